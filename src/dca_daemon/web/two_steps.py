"""An action in two steps: rehearsed and offered, then carried out once, as it was shown."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from dca_daemon.ledger.db import Database
from dca_daemon.runtime.logging import held_back
from dca_daemon.services import intents
from dca_daemon.services.intents import Rehearsal
from dca_daemon.web.actions import Action, Call
from dca_daemon.web.desk import Desk
from dca_daemon.web.wishes import Wish

DONE_ALREADY = "That is done already: nothing was done a second time."


@dataclass(frozen=True, slots=True)
class TwoSteps:
    """What somebody wishes. `named`: the action on this subject, for which alone an offer counts. `prepared` and
    `client_id` as in `Call`."""

    desk: Desk
    action: Action[Any, Any]
    wish: Wish
    actor: str
    named: str
    prepared: Any = None
    client_id: int | None = None

    async def rehearse(self) -> tuple[Rehearsal[Any], str]:
        """What would come of it, and the token of the offer to do just that."""
        with held_back():
            rehearsal = await intents.rehearse(self.desk.db, self._work)
        token = await intents.offer(
            self.desk.db,
            self.desk.keys,
            actor=self.actor,
            action=self.named,
            fields=self.wish.model_dump(mode="json"),
            effect_hash=intents.as_shown(rehearsal.effect, self.action.told(rehearsal.result)),
        )
        return rehearsal, token

    async def carry_out(self, token: str) -> Any:
        """The result, or the path that it led to when it was done already. Raises `NotAsShownError`."""
        with held_back() as let_go:
            result = await intents.carry_out(
                self.desk.db,
                self.desk.keys,
                token,
                actor=self.actor,
                action=self.named,
                work=self._work,
                told=self.action.told,
                leads_to=self.action.leads_to,
            )
            let_go()
        return result

    def _work(self, db: Database) -> Awaitable[Any]:
        return self.action.work(Call(self.desk, db, self.actor, self.prepared, self.client_id), self.wish)
