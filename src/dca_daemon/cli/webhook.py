"""`dca-daemon webhook`: programs elsewhere that are told what happens here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, Limit, iso, note, print_json, print_pairs, print_table, say, when

if TYPE_CHECKING:
    from dca_daemon.services.webhooks import DeliveryView, WebhookView

app = typer.Typer(
    name="webhook", no_args_is_help=True, help="Webhooks: programs elsewhere that are told what happens here."
)

Which = Annotated[str, typer.Argument(metavar="WEBHOOK", help="By id or name.")]


def as_dict(w: WebhookView) -> dict[str, Any]:
    """A webhook for scripts."""
    return {
        "id": w.webhook_id,
        "name": w.name,
        "url": w.url,
        "kinds": list(w.kinds),
        "created_at": iso(w.created_at),
        "created_by": w.created_by,
        "disabled_at": iso(w.disabled_at),
        "disabled_reason": w.disabled_reason,
        "pending": w.pending,
        "delivered": w.delivered,
        "given_up": w.given_up,
        "last_delivered_at": iso(w.last_delivered_at),
    }


def delivery_dict(d: DeliveryView) -> dict[str, Any]:
    """A delivery for scripts."""
    return {
        "id": d.delivery_id,
        "webhook_id": d.webhook_id,
        "event_id": d.event_id,
        "kind": d.kind,
        "state": d.state,
        "attempts": d.attempts,
        "next_attempt_at": iso(d.next_attempt_at),
        "last_status": d.last_status,
        "last_error": d.last_error,
        "created_at": iso(d.created_at),
        "ended_at": iso(d.ended_at),
    }


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own among the webhooks in use.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent: https://…")],
    kinds: Annotated[
        list[str],
        typer.Argument(
            metavar="KIND…", help="Kinds, or beginnings of them: payout, deposit.confirm; '*' for all."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Add a webhook for what happens from now on, and show the secret that signs, this once.

    The console sends: nothing is sent while it does not run.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import webhooks
    from dca_daemon.services.webhook_http import WebhookHttpConfig

    settings = load()
    keys = key_ring(settings)
    config = WebhookHttpConfig(allow_private=settings.console.allow_private_webhooks)
    view, secret = with_books(
        settings,
        lambda db: webhooks.add(db, keys, name=name, url=url, kinds=kinds, config=config, actor=actor()),
    )
    if as_json:
        print_json({"webhook": as_dict(view), "secret": secret})
        return
    say(f"Webhook {view.webhook_id} {view.name!r} is sent {', '.join(view.kinds)} from now on.")
    say(f"Its secret, shown this once: {secret}")
    note(f"Next: dca-daemon webhook test {view.webhook_id}")


@app.command("list")
def list_webhooks(
    everything: Annotated[bool, typer.Option("--all", help="Those that are disabled too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the webhooks in use, and what became of their deliveries of the last 30 days."""
    from dca_daemon.services import webhooks

    found = with_books(load(), lambda db: webhooks.list_all(db, disabled=everything))
    if as_json:
        print_json({"webhooks": [as_dict(w) for w in found]})
        return
    print_table(
        ("id", "name", "~kinds", ">pending", ">delivered", ">given up", "last delivered", "disabled"),
        (
            (
                w.webhook_id,
                w.name,
                ", ".join(w.kinds),
                w.pending,
                w.delivered,
                w.given_up,
                when(w.last_delivered_at),
                when(w.disabled_at),
            )
            for w in found
        ),
        empty="There is no webhook.",
    )


@app.command()
def show(
    webhook: Which,
    state: Annotated[
        Literal["pending", "delivered", "given-up"] | None,
        typer.Option("--state", metavar="STATE", help="Only these deliveries: pending, delivered or given-up."),
    ] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Show a webhook, and its newest deliveries."""
    from dca_daemon.ledger.db import Database
    from dca_daemon.services import webhooks

    async def work(db: Database) -> tuple[WebhookView, list[DeliveryView]]:
        view = await webhooks.show(db, webhook)
        return view, await webhooks.deliveries(db, view.webhook_id, state=state, limit=limit)

    view, log = with_books(load(), work)
    if as_json:
        print_json({"webhook": as_dict(view), "deliveries": [delivery_dict(d) for d in log]})
        return
    print_pairs(
        (
            ("webhook", f"{view.webhook_id} {view.name!r}"),
            ("URL", view.url),
            ("kinds", ", ".join(view.kinds)),
            ("added", f"{when(view.created_at)} by {view.created_by}"),
            ("deliveries", f"{view.pending} pending, {view.delivered} delivered, {view.given_up} given up"),
            ("disabled", view.disabled_at and f"{when(view.disabled_at)}: {view.disabled_reason}"),
        )
    )
    say()
    print_table(
        ("id", ">event", "kind", "state", ">attempts", ">status", "planned", "next attempt", "~last error"),
        (
            (
                d.delivery_id,
                d.event_id,
                d.kind,
                d.state,
                d.attempts,
                d.last_status,
                when(d.created_at),
                when(d.next_attempt_at),
                d.last_error or None,
            )
            for d in log
        ),
        empty="Nothing was sent yet.",
    )


@app.command()
def disable(
    webhook: Which,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Disable a webhook for good. What waits to be sent is given up."""
    from dca_daemon.services import webhooks

    view = with_books(load(), lambda db: webhooks.disable(db, webhook, reason=reason, actor=actor()))
    if as_json:
        print_json({"webhook": as_dict(view)})
    else:
        say(f"Webhook {view.webhook_id} {view.name!r} is disabled: nothing more is sent to it.")


@app.command()
def test(webhook: Which, as_json: AsJson = False) -> None:
    """Have an event of the kind webhook.test sent, whatever the webhook's kinds are."""
    from dca_daemon.services import webhooks

    view = with_books(load(), lambda db: webhooks.send_test(db, webhook, actor=actor()))
    if as_json:
        print_json({"delivery": delivery_dict(view)})
        return
    say(f"Delivery {view.delivery_id} is to be sent.")
    note(f"The console sends it, if it runs. See: dca-daemon webhook show {view.webhook_id}")


@app.command()
def retry(
    delivery_id: Annotated[
        int, typer.Argument(metavar="DELIVERY", min=1, max=2**63 - 1, help="The delivery's number.")
    ],
    as_json: AsJson = False,
) -> None:
    """Have a delivery sent again that was given up, or at once one that waits."""
    from dca_daemon.services import webhooks

    view = with_books(load(), lambda db: webhooks.retry(db, delivery_id, actor=actor()))
    if as_json:
        print_json({"delivery": delivery_dict(view)})
        return
    say(f"Delivery {view.delivery_id} of the event {view.event_id} is to be sent again.")
    note(f"The console sends it, if it runs. See: dca-daemon webhook show {view.webhook_id}")
