"""The steps of one payout: reserve → invoice → pay → look up → settle, each step its own transaction.

The races, and the answers:

1. Killed before the invoice is stored: it was never submitted by anyone; a new one is made.
2. Killed after `submitted` is committed, before or after the request: the look-up tells; the same invoice is
   submitted again if nothing left. LNbits pays one payment hash at most once.
3. Two payers at one payout: every step names the state that it expects; the slower one is superseded, and
   its invoice, if it made one, is never submitted.
4. A new invoice for the same records exists only after the first is proven dead (`verdict.py`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from dca_daemon.domain.errors import (
    ConfigError,
    InvoiceExpiredError,
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.fault_points import around_call
from dca_daemon.payouts.agenda import SHORT_OF_FUNDS
from dca_daemon.payouts.books import InvoiceReusedError, PayoutBooks
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.clock import now_seconds
from dca_daemon.payouts.funds import SourceFunds
from dca_daemon.payouts.store import Payout, SupersededError
from dca_daemon.payouts.verdict import Evidence, Judgement, Verdict, judge
from dca_daemon.payouts.wallet import Destination, DestinationKind, PayHint, Wallet, WalletRecord

log = structlog.get_logger()

_FINAL_STATUSES = (400, 401, 403, 404, 422)  # the destination itself is refused
_REFUSALS_BEFORE_HOLD = 3
_PASSING_REFUSALS_BEFORE_HOLD = 20  # about an hour: the node behind LNbits, or the receiver's, may be restarting
_RESUBMITS_BEFORE_HOLD = 20
_INTERVAL_MAX_SECONDS = 300.0
OUTAGE_INTERVAL_MAX_SECONDS = 5.0
_SHORT_INTERVAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class PayerConfig:
    """How payouts are made; see docs/configuration.md, section payouts."""

    concurrency: int = 4
    invoice_expiry_seconds: int = 604_800
    max_payout_sats: int = 10_000_000
    lookup_after_timeout_seconds: float = 90
    trust_external_failures: bool = False
    wallet_reserve_sats: int = 0
    idle_poll_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pay request that has just been made: LNbits' hint (None without a complete answer) and its words."""

    hint: PayHint | None
    text: str


class PayoutSteps:
    """Takes payouts forward. `on_lost` is told when LNbits can't be reached."""

    def __init__(
        self,
        books: PayoutBooks,
        wallet: Wallet,
        keys: KeyRing,
        config: PayerConfig,
        funds: SourceFunds,
        on_lost: Callable[[WalletError], None],
    ) -> None:
        self._books = books
        self._wallet = wallet
        self._keys = keys
        self._config = config
        self._funds = funds
        self._on_lost = on_lost
        self.began_seconds = now_seconds()  # since when we are the ones who pay
        self._submitted_seconds: dict[str, float] = {}  # our own last request for each payout under way

    async def advance(self, payout_id: str) -> None:
        """Takes a payout as far as it goes now: to its end, or to where it has to wait."""
        payout = await self._books.load(payout_id)
        try:
            if payout.state in NEVER_SUBMITTED_STATES and await self._ended(payout):
                return
            if payout.state is PayoutState.RESERVED:
                # An invoice that has to wait for money may run out meanwhile, again and again.
                if not await self._funds.covers(payout.amount_sats):
                    await self._wait_for_funds(payout)
                    return
                if not await self._invoice(payout):
                    return
                payout = await self._books.load(payout_id)
            if payout.state is PayoutState.INVOICED:
                if not await self._may_submit(payout):
                    return
                await self._submit(payout)
            elif payout.state in (PayoutState.SUBMITTED, PayoutState.UNKNOWN):
                await self._look_up(payout, None)
        except WalletRateLimitedError as error:
            await self.postpone(payout_id, error.message, seconds=error.retry_after_seconds)
        except WalletUnreachableError as error:
            self._on_lost(error)
            await self.postpone(payout_id, str(error), seconds=1)
        except WalletUnknownError as error:
            await self._doubt()
            await self.postpone(payout_id, str(error), max_seconds=OUTAGE_INTERVAL_MAX_SECONDS)
        except (WalletError, ConfigError) as error:
            await self.postpone(payout_id, str(error))

    async def _ended(self, payout: Payout) -> bool:
        """Whether there is nothing to pay: its records are owed again, or the client's credit covers them all."""
        if payout.overtaken:
            reason = "the client was paid by later payouts, which the books had forgotten: it had ended before"
            await self._books.release(payout, PayoutState.VOID, reason=reason)
            log.warning("payout.overtaken", client_id=payout.client_id, amount_sats=payout.amount_sats)
            return True
        if payout.amount_sats:
            return False
        await self._books.settle(payout, fee_msat=0, evidence={"credit_sats": payout.credit_sats})
        log.info("payout.settled", client_id=payout.client_id, amount_sats=0, credit_sats=payout.credit_sats)
        return True

    async def _doubt(self) -> None:
        """An answer of LNbits told nothing. Is it LNbits that fails, or only this call?"""
        try:
            await self._funds.refresh()
        except WalletRateLimitedError:
            pass
        except WalletError as error:
            self._on_lost(error)

    def _destination(self, payout: Payout) -> Destination:
        sealed = payout.invoice_key_sealed
        return Destination(
            kind=payout.destination_kind,
            address=payout.address,
            wallet_id=payout.wallet_id,
            invoice_key=None if sealed is None else self._keys.decrypt(bytes(sealed)),
        )

    async def _invoice(self, payout: Payout) -> bool:
        """Gets and stores an invoice; whether the payout can go on."""
        if payout.amount_sats > self._config.max_payout_sats:
            limit = self._config.max_payout_sats
            await self._hold(
                payout,
                f"one record of {payout.amount_sats} sats is more than payouts.max_payout_sats = {limit}: "
                "raise it to what LNbits accepts in one invoice, then release this payout",
            )
            return False
        try:
            async with around_call("wallet.create-invoice"):
                invoice = await self._wallet.create_invoice(
                    self._destination(payout),
                    amount_sats=payout.amount_sats,
                    memo=payout.memo,
                    expiry_seconds=self._config.invoice_expiry_seconds,
                    payout_id=payout.payout_id,
                    extra=_extra(payout),
                )
        except (WalletRefusedError, WalletReplyError) as error:
            await self._no_invoice(payout, error)
            return False
        except (WalletUnreachableError, WalletUnknownError) as error:
            if payout.destination_kind is DestinationKind.LNBITS:
                raise
            await self.postpone(payout.payout_id, str(error))  # it is the receiver's own server that is away
            return False
        try:
            await self._books.invoiced(payout, invoice)
        except InvoiceReusedError as error:
            await self._no_invoice(payout, WalletReplyError(error.message))
            return False
        log.info("payout.invoiced", client_id=payout.client_id, payment_hash=invoice.payment_hash)
        return True

    async def _no_invoice(self, payout: Payout, error: WalletError) -> None:
        """Later; a person's turn soon where the refusal is final, after an hour where it may pass."""
        passing = isinstance(error, InvoiceExpiredError) or (
            isinstance(error, WalletRefusedError) and error.status not in _FINAL_STATUSES
        )
        if payout.failures + 1 < (_PASSING_REFUSALS_BEFORE_HOLD if passing else _REFUSALS_BEFORE_HOLD):
            await self.postpone(payout.payout_id, str(error))
        else:
            await self._hold(payout, f"no invoice to be had from the destination: {error}")

    async def _may_submit(self, payout: Payout) -> bool:
        if payout.expiring:
            reason = "its invoice ran out, never submitted"
            await self._books.release(payout, PayoutState.EXPIRED, reason=reason)
            log.info("payout.expired", client_id=payout.client_id, amount_sats=payout.amount_sats)
            return False
        return await self._take_funds(payout)

    async def _take_funds(self, payout: Payout) -> bool:
        """Whether the source wallet has enough; if not, the payout waits."""
        if await self._funds.take(payout.amount_sats):
            if self._funds.short:
                await self._tell_funds(taken_sats=payout.amount_sats)
            return True
        await self._wait_for_funds(payout)
        return False

    async def _tell_funds(self, *, taken_sats: int = 0) -> None:
        self._funds.tell(await self._books.unpaid_sats() - taken_sats)

    async def _wait_for_funds(self, payout: Payout) -> None:
        await self._books.postpone(payout, seconds=_SHORT_INTERVAL_SECONDS, reason=SHORT_OF_FUNDS, failed=False)
        await self._tell_funds()

    async def _submit(self, payout: Payout) -> None:
        """Submits the stored invoice, written down beforehand, and looks up what came of it."""
        assert payout.bolt11 is not None
        await self._books.submitting(payout)
        log.info("payout.submitted", client_id=payout.client_id, amount_sats=payout.amount_sats)
        attempt = Attempt(None, "no complete answer came back")
        try:
            async with around_call("wallet.pay"):
                answer = await self._wallet.pay(payout.bolt11, payout_id=payout.payout_id, extra=_extra(payout))
            attempt = Attempt(answer.hint, answer.text)
        except (WalletUnreachableError, WalletRateLimitedError):
            self._funds.forget()
            raise
        except WalletRefusedError as error:
            log.error("payout.source-refused", status=error.status, text=str(error))
            await self._doubt()
            await self.postpone(payout.payout_id, f"the source wallet refused: {error}", seconds=60)
            return
        except WalletError as error:
            attempt = Attempt(None, str(error))
        finally:
            self._submitted_seconds[payout.payout_id] = now_seconds()
        if attempt.hint is None:  # it may still run: patience begins now, not when its turn was awaited
            await self._books.unanswered(payout)
        payout = await self._books.load(payout.payout_id)
        if payout.state not in (PayoutState.SUBMITTED, PayoutState.UNKNOWN):
            raise SupersededError(f"payout {payout.payout_id} became {payout.state} while it was being paid")
        await self._look_up(payout, attempt)

    async def _look_up(self, payout: Payout, attempt: Attempt | None) -> None:
        """Decides by the wallets' records what came of a submitted payout, and of the attempt just made."""
        assert payout.payment_hash is not None
        async with around_call("wallet.sent"):
            sent = await self._wallet.sent(payout.payment_hash)
        received: WalletRecord | None = None
        visible = payout.destination_kind is DestinationKind.LNBITS
        if visible:
            received = await self._received(payout)
        patient = attempt is None and self._patient(payout)
        answered = attempt is not None and attempt.hint is not None
        evidence = Evidence(
            amount_sats=payout.amount_sats,
            sent=sent,
            received=received,
            receiver_visible=visible,
            idle=patient or (answered and payout.submits == 1),
            patient=patient,
            expiring=payout.expiring,
            trust_external_failures=self._config.trust_external_failures,
        )
        await self._carry_out(payout, judge(evidence), evidence, attempt)

    def _patient(self, payout: Payout) -> bool:
        """Whether the last request is so long ago that nothing of it can be under way any more.

        Our own is told by our own clock, since the database's may be set back meanwhile; by the database's what
        another daemon sent. Whoever paid before us may have sent it late: patience begins with us at the earliest.
        """
        patience_seconds = self._config.lookup_after_timeout_seconds
        ours_seconds = max(self.began_seconds, self._submitted_seconds.get(payout.payout_id, 0))
        ago = payout.submitted_ago_seconds
        elsewhere = ago is None or 0 <= ago <= patience_seconds
        return now_seconds() - ours_seconds > patience_seconds and not elsewhere

    async def _received(self, payout: Payout) -> WalletRecord | None:
        assert payout.payment_hash is not None
        try:
            async with around_call("wallet.received"):
                return await self._wallet.received(self._destination(payout), payout.payment_hash)
        except WalletRefusedError as error:
            # The receiver's wallet is gone or its key has changed: its side can't be seen, which proves nothing.
            log.warning("payout.receiver-unseen", client_id=payout.client_id, text=str(error))
            return None

    async def _carry_out(
        self, payout: Payout, found: Judgement, evidence: Evidence, attempt: Attempt | None
    ) -> None:
        if found.verdict in (Verdict.SETTLED, Verdict.FAILED, Verdict.HOLD):
            self._submitted_seconds.pop(payout.payout_id, None)
        if found.verdict is Verdict.SETTLED:
            await self._settle(payout, evidence)
        elif found.verdict is Verdict.FAILED:
            reason = f"{found.reason} ({attempt.text})" if attempt else found.reason
            await self._books.release(payout, PayoutState.FAILED, reason=reason)
            log.error("payout.failed", client_id=payout.client_id, amount_sats=payout.amount_sats, reason=reason)
        elif found.verdict is Verdict.HOLD:
            await self._hold(payout, found.reason)
        elif found.verdict is Verdict.WAIT:
            await self._await_outcome(payout, found.reason)
        else:
            await self._again(payout, attempt)

    async def _settle(self, payout: Payout, evidence: Evidence) -> None:
        assert evidence.sent is not None
        fee_msat = evidence.sent.fee_msat
        proof = {
            "payment_hash": payout.payment_hash,
            "source_record": evidence.sent.status,
            "receiver_record": evidence.received.status if evidence.received else None,
            "fee_msat": fee_msat,
        }
        await self._books.settle(payout, fee_msat=fee_msat, evidence=proof)
        log.info(
            "payout.settled",
            client_id=payout.client_id,
            amount_sats=payout.amount_sats,
            fee_msat=fee_msat,
            payment_hash=payout.payment_hash,
            submits=payout.submits,
        )

    async def _await_outcome(self, payout: Payout, reason: str) -> None:
        """Unknown is not failed: look again, at growing intervals, for as long as it takes."""
        if payout.state is PayoutState.SUBMITTED:
            await self._books.unknown(payout, reason=reason)
            log.warning("payout.unknown", client_id=payout.client_id, reason=reason)
        await self.postpone(payout.payout_id, reason)

    async def _again(self, payout: Payout, attempt: Attempt | None) -> None:
        """Nothing has left the source wallet. Straight after an attempt: later. Else: the same invoice again."""
        if payout.adopted:  # it never was ours to submit
            await self._hold(payout, "LNbits no longer shows this payment, which the books had forgotten")
        elif payout.overtaken:
            await self._hold(
                payout,
                "nothing has left the source wallet, but the client was paid by later payouts, which the books "
                "had forgotten: this one had ended before, or was held",
            )
        elif attempt is None:
            if await self._take_funds(payout):
                await self._submit(payout)
        elif attempt.hint is PayHint.INSUFFICIENT_BALANCE and not await self._enough_now(payout):
            await self._wait_for_funds(payout)
        elif attempt.hint is not None and payout.submits >= _RESUBMITS_BEFORE_HOLD:
            asked = f"nothing has left the source wallet, though LNbits was asked {payout.submits} times"
            await self._hold(payout, f"{asked}; it answers: {attempt.text}")
        else:
            await self.postpone(payout.payout_id, attempt.text)

    async def _enough_now(self, payout: Payout) -> bool:
        """Whether it is not the balance that falls short, but what LNbits keeps back of it for fees."""
        self._funds.forget()
        return await self._funds.covers(payout.amount_sats)

    async def _hold(self, payout: Payout, reason: str) -> None:
        detail = {"payment_hash": payout.payment_hash, "amount_sats": payout.amount_sats}
        await self._books.hold(payout, reason=reason, detail=detail)
        log.error(
            "payout.held",
            client_id=payout.client_id,
            amount_sats=payout.amount_sats,
            payment_hash=payout.payment_hash,
            reason=reason,
            remedy=f"dca-daemon payout show {payout.payout_id}",
        )

    async def postpone(
        self,
        payout_id: str,
        reason: str,
        *,
        seconds: float | None = None,
        max_seconds: float = _INTERVAL_MAX_SECONDS,
    ) -> None:
        payout = await self._books.load(payout_id)
        if seconds is None:
            interval = min(max_seconds, 2.0 ** min(payout.failures, 10))
            seconds = interval * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, no secret
        await self._books.postpone(payout, seconds=seconds, reason=reason)
        log.info("payout.postponed", failures=payout.failures + 1, seconds=round(seconds, 1), reason=reason)


def _extra(payout: Payout) -> dict[str, object]:
    """What makes the payment recognisable from LNbits alone, besides the tag and the payout's id."""
    found: dict[str, object] = {"client": payout.client_id, "installation": payout.installation}
    # A wallet on this LNbits shows by itself what it received; another place is told by this alone.
    return found if payout.address is None else {**found, "to": payout.address}
