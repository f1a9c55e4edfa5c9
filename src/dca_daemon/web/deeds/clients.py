"""What can be done with clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.payouts.wallet import Destination, DestinationInfo
from dca_daemon.services import clients, destinations
from dca_daemon.services.clients import ClientView, Mode, Status
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.clients import AddedClientOut, ClientOut, RedirectedOut
from dca_daemon.web.wishes import Id, Text, Widget, Wish, like

ClientId = Annotated[Id, Field(title="Client", description="The client's number.")]
ModeName = Literal["flow", "fixed"]
OptionalReason = Annotated[
    Text | None, Field(title="Reason", description="Why; kept with the change."), Widget("area")
]
ClientName = Annotated[Text, Field(title="Name", description="A name of its own.", examples=["Ana"])]


class Elsewhere(Wish):
    """Where a client is to be paid: one of these."""

    invoice_key: Annotated[
        Text | None,
        Field(
            title="Invoice key",
            description="Of its wallet on our LNbits (the invoice or read key, never the admin key). It is kept "
            "encrypted and never shown again.",
        ),
        Widget(secret=True),
    ] = None
    lightning_address: Annotated[
        Text | None,
        Field(title="Lightning address", description="Instead of a key.", examples=["ana@example.com"]),
    ] = None
    lnurl: Annotated[
        Text | None, Field(title="LNURL", description="An LNURL-pay code, instead of both.", examples=["LNURL1…"])
    ] = None

    def destination(self) -> Destination:
        """Raises `InputError` unless exactly one is given."""
        return destinations.given(
            invoice_key=self.invoice_key, lightning_address=self.lightning_address, lnurl=self.lnurl
        )


@contextmanager
def blaming(wish: Wish) -> Iterator[None]:
    """Says of an error within which field it was that did not answer as it should."""
    try:
        yield
    except DcaError as error:
        given = [name for name in Elsewhere.model_fields if getattr(wish, name) is not None]
        if error.field is None and len(given) == 1:
            error.field = given[0]
        raise


class Named(Wish):
    """What is called so."""

    model_config = like({"name": "Ana", "mode": "flow", "lightning_address": "ana@example.com"})

    name: ClientName


class AddClient(Elsewhere, Named):
    """A client, with where it is paid."""

    mode: Annotated[
        ModeName,
        Field(title="Mode", description="flow: buys with each cash-out. fixed: buys a set amount a day."),
    ] = "flow"


class RenameClient(Wish):
    """Another name."""

    client_id: ClientId
    name: ClientName
    reason: OptionalReason = None


class SetMode(Wish):
    """How it buys from now on."""

    model_config = like({"mode": "fixed", "reason": "she asked for it"})

    client_id: ClientId
    mode: Annotated[ModeName, Field(title="Mode")]
    reason: OptionalReason = None


class SetStatus(Wish):
    """Whether it takes part."""

    model_config = like({"reason": "on a journey"})

    client_id: ClientId
    reason: OptionalReason = None


class SetDestination(Elsewhere):
    """Where it is paid from now on."""

    model_config = like({"lightning_address": "ana@example.com", "reason": "a new wallet"})

    client_id: ClientId
    reason: OptionalReason = None


@dataclass(frozen=True, slots=True)
class Added:
    """A client, and what its destination answered."""

    client: ClientView
    info: DestinationInfo


@dataclass(frozen=True, slots=True)
class Redirected:
    """A client before and after, and what its new destination answered."""

    before: ClientView
    client: ClientView
    info: DestinationInfo
    under_way_sats: int


async def _check_new(call: Call, wish: AddClient) -> DestinationInfo:
    with blaming(wish):
        return await clients.check_new(call.db, call.desk.receivers, wish.name, wish.destination())


async def _add(call: Call, wish: AddClient) -> Added:
    added = await clients.add_checked(
        call.db,
        call.desk.keys,
        name=wish.name,
        mode=Mode(wish.mode),
        destination=wish.destination(),
        info=call.prepared,
        actor=call.actor,
    )
    return Added(added, call.prepared)


async def _rename(call: Call, wish: RenameClient) -> ClientView:
    return await clients.rename(call.db, str(wish.client_id), wish.name, actor=call.actor, reason=wish.reason)


async def _set_mode(call: Call, wish: SetMode) -> ClientView:
    mode = Mode(wish.mode)
    return await clients.set_mode(call.db, str(wish.client_id), mode, actor=call.actor, reason=wish.reason)


async def _activate(call: Call, wish: SetStatus) -> ClientView:
    return await _set_status(call, wish, Status.ACTIVE)


async def _deactivate(call: Call, wish: SetStatus) -> ClientView:
    return await _set_status(call, wish, Status.INACTIVE)


async def _set_status(call: Call, wish: SetStatus, status: Status) -> ClientView:
    return await clients.set_status(call.db, str(wish.client_id), status, actor=call.actor, reason=wish.reason)


async def _check_elsewhere(call: Call, wish: SetDestination) -> DestinationInfo:
    with blaming(wish):
        return await clients.check_destination(
            call.db, call.desk.receivers, str(wish.client_id), wish.destination()
        )


async def _set_destination(call: Call, wish: SetDestination) -> Redirected:
    before = await clients.show(call.db, str(wish.client_id))
    after = await clients.set_checked_destination(
        call.db,
        call.desk.keys,
        str(wish.client_id),
        wish.destination(),
        call.prepared,
        actor=call.actor,
        reason=wish.reason,
    )
    return Redirected(before, after, call.prepared, await clients.under_way_sats(call.db, before.client_id))


def _client_facts(client: ClientView) -> Facts:
    return [
        ("Client", client.name),
        ("Mode", client.mode),
        ("Status", client.status),
        ("Paid to", client.destination),
        ("Owed", Standing(sats_text(client.owed_sats))),
    ]


def _answered(info: DestinationInfo) -> Facts:
    most = "" if info.max_sats is None else f" to {sats_text(info.max_sats)}"
    takes = Standing(f"{sats_text(info.min_sats)}{most or ' or more'}")
    return [("It answered", info.name), ("It takes", takes)]


def _redirected_facts(done: Redirected) -> Facts:
    facts = [
        ("Client", done.client.name),
        ("Paid so far to", done.before.destination),
        ("From now on to", done.client.destination),
        *_answered(done.info),
        ("Owed, which will go there", Standing(sats_text(done.client.owed_sats))),
    ]
    if done.under_way_sats:
        facts.append(("Under way or held, still to the old one", Standing(sats_text(done.under_way_sats))))
    return facts


def _page(client: ClientView) -> str:
    return f"/clients/{client.client_id}"


ACTIONS = (
    Action(
        name="client.add",
        title="Add a client",
        path="/clients/add",
        api_path="/clients",
        api_status=201,
        wish=AddClient,
        role=Role.OPERATOR,
        scope=Scope.CLIENTS,
        explanation="The destination is asked before anything is kept: give one, and see who answers.",
        prepare=_check_new,
        work=_add,
        facts=lambda done: [*_client_facts(done.client), *_answered(done.info)],
        leads_to=lambda done: _page(done.client),
        said=lambda done: f"Client {done.client.client_id} {done.client.name!r} is added.",
        answer=AddedClientOut.of,
        answer_model=AddedClientOut,
    ),
    Action(
        name="client.rename",
        title="Rename a client",
        path="/clients/{client_id}/rename",
        wish=RenameClient,
        role=Role.OPERATOR,
        scope=Scope.CLIENTS,
        one_step=True,
        work=_rename,
        facts=_client_facts,
        leads_to=_page,
        said=lambda client: f"The client is called {client.name!r}.",
        answer=ClientOut.of,
        answer_model=ClientOut,
    ),
    Action(
        name="client.set-mode",
        title="Change a client's mode",
        path="/clients/{client_id}/mode",
        wish=SetMode,
        role=Role.OPERATOR,
        scope=Scope.CLIENTS,
        explanation="Counts from the next cash-out on. In fixed mode it buys only what its daily amount says.",
        work=_set_mode,
        facts=_client_facts,
        leads_to=_page,
        said=lambda client: f"{client.name} is in {client.mode} mode.",
        answer=ClientOut.of,
        answer_model=ClientOut,
    ),
    Action(
        name="client.set-active",
        title="Activate a client",
        path="/clients/{client_id}/activate",
        wish=SetStatus,
        role=Role.OPERATOR,
        scope=Scope.CLIENTS,
        explanation="The client takes part in new cash-outs.",
        work=_activate,
        facts=_client_facts,
        leads_to=_page,
        said=lambda client: f"{client.name} is {client.status}.",
        answer=ClientOut.of,
        answer_model=ClientOut,
    ),
    Action(
        name="client.set-inactive",
        title="Deactivate a client",
        path="/clients/{client_id}/deactivate",
        wish=SetStatus,
        role=Role.OPERATOR,
        scope=Scope.CLIENTS,
        explanation="It takes no part in new cash-outs. What it is owed is still paid; its balance stays.",
        work=_deactivate,
        facts=_client_facts,
        leads_to=_page,
        said=lambda client: f"{client.name} is {client.status}.",
        answer=ClientOut.of,
        answer_model=ClientOut,
    ),
    Action(
        name="client.set-destination",
        title="Pay a client elsewhere",
        path="/clients/{client_id}/destination",
        wish=SetDestination,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="The new destination is asked first: see who answers. A payout that is under way "
        "still goes to the old one.",
        prepare=_check_elsewhere,
        work=_set_destination,
        facts=_redirected_facts,
        leads_to=lambda done: _page(done.client),
        said=lambda done: f"{done.client.name} is paid to {done.client.destination} from now on.",
        answer=RedirectedOut.of,
        answer_model=RedirectedOut,
    ),
)
