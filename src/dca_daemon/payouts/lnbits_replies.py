"""Reads LNbits' answers, and believes none that does not fit what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime

from dca_daemon.domain.errors import WalletReplyError, WalletUnknownError
from dca_daemon.domain.money import MAX_SATS, MSATS_PER_SAT
from dca_daemon.domain.text import plain
from dca_daemon.payouts.lnbits_http import LNBITS_REFUSED, Reply
from dca_daemon.payouts.wallet import PayAnswer, PayHint, RecordStatus, WalletRecord

# LNbits' sentences at pay, by their beginnings. "Could not fetch wallet" comes after the money has moved.
_REFUSALS: tuple[tuple[str, PayHint], ...] = (
    ("internal invoice already paid", PayHint.ALREADY_PAID),
    ("payment already paid", PayHint.ALREADY_PAID),
    ("payment is still pending", PayHint.PENDING),
    ("could not fetch wallet", PayHint.PENDING),
    ("insufficient balance", PayHint.INSUFFICIENT_BALANCE),
    ("you must reserve at least", PayHint.INSUFFICIENT_BALANCE),
)
# A record that says more happened outweighs one that says less.
_WEIGHT = {RecordStatus.SUCCESS: 2, RecordStatus.PENDING: 1, RecordStatus.FAILED: 0}


def pay_answer(reply: Reply, payment_hash: str) -> PayAnswer:
    """What LNbits' complete answer to a pay request suggests.

    Raises `WalletRefusedError` for 401, 403, 404, `WalletReplyError` when it is about another payment, and
    `WalletUnknownError` for an answer that LNbits is not known to give.
    """
    if reply.ok:
        return _carried_out(reply, payment_hash)
    if reply.status in (401, 403, 404):
        raise reply.refusal("pay")
    is_own_520 = reply.status == LNBITS_REFUSED and isinstance(reply.body, dict) and "status" in reply.body
    if not is_own_520 and reply.status not in (400, 422):
        raise WalletUnknownError(f"an answer to a pay request that says nothing: {reply.status} {reply.text}")
    sentence = reply.text.lower()
    hint = next((hint for start, hint in _REFUSALS if sentence.startswith(start)), PayHint.REFUSED)
    return PayAnswer(hint=hint, text=reply.text, http_status=reply.status)


def _carried_out(reply: Reply, payment_hash: str) -> PayAnswer:
    body = mapping(reply.body)
    if body.get("payment_hash", payment_hash) != payment_hash:
        raise WalletReplyError("LNbits answered a pay request with another payment")
    status = _text(body.get("status"))
    amount = body.get("amount")
    text = f"status {plain(status)}"
    if status == RecordStatus.FAILED or (isinstance(amount, int) and amount > 0):
        # With an invoice that was marked failed, LNbits shows the receiver's own record and pays nothing.
        return PayAnswer(hint=PayHint.REFUSED, text=text, http_status=reply.status)
    hint = PayHint.PENDING if status == RecordStatus.PENDING else PayHint.ACCEPTED
    return PayAnswer(hint=hint, text=text, http_status=reply.status)


def rows(reply: Reply, doing: str) -> tuple[list[Mapping[str, object]], int]:
    """The rows of a list, and how many there are in all."""
    if not reply.ok:
        raise reply.refusal(doing)
    body = mapping(reply.body)
    data = body.get("data")
    if not isinstance(data, list):
        raise WalletReplyError(f"LNbits' answer has no list (asked to {doing})")
    return [mapping(row) for row in data], integer_of(body, "total")


def record(row: Mapping[str, object]) -> WalletRecord:
    """One row of a list of payments. Raises `WalletReplyError` when it lacks what decides about money."""
    status = text_of(row, "status")
    try:
        known_status = RecordStatus(status)
    except ValueError:
        raise WalletReplyError(f"a payment with the unknown status {plain(status)!r}") from None
    extra = row.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    tag = row.get("tag") or extra.get("tag")
    bolt11 = row.get("bolt11") or row.get("payment_request")
    return WalletRecord(
        payment_hash=text_of(row, "payment_hash"),
        wallet_id=text_of(row, "wallet_id"),
        amount_msat=integer_of(row, "amount"),
        fee_msat=abs(integer_of(row, "fee")),
        status=known_status,
        internal=text_of(row, "checking_id").startswith("internal_"),
        external_id=_text(row.get("external_id")),
        tag=_text(tag),
        time=time_of(row.get("time")),
        extra=extra,
        bolt11=_text(bolt11),
    )


def record_of_hash(
    found: tuple[list[Mapping[str, object]], int],
    *,
    payment_hash: str,
    wallet_id: str | None,
    outgoing: bool,
) -> WalletRecord | None:
    """The record that was asked for, after each row was checked."""
    asked = {payment_hash}
    return records_by_hash(found, asked=asked, wallet_id=wallet_id, outgoing=outgoing).get(payment_hash)


def records_by_hash(
    found: tuple[list[Mapping[str, object]], int],
    *,
    asked: Set[str],
    wallet_id: str | None,
    outgoing: bool,
) -> dict[str, WalletRecord]:
    """The records that were asked for, after each row was checked: filters that LNbits does not know it drops.

    One hash has two records in one wallet when it pays itself, one of each sign.
    """
    found_rows, total = found
    records = [record(row) for row in found_rows]
    if total > len(records):
        raise WalletReplyError(f"LNbits shows {len(records)} of {total} payments asked for: filter ignored?")
    if any(one.payment_hash not in asked for one in records):
        raise WalletReplyError("LNbits' list holds payments that were not asked for: filter ignored")
    wallets = {one.wallet_id for one in records} | ({wallet_id} if wallet_id is not None else set())
    if len(wallets) > 1:
        raise WalletReplyError(f"LNbits' list holds payments of another wallet: {plain(sorted(wallets), 200)}")
    best: dict[str, WalletRecord] = {}
    for one in records:
        if (one.amount_msat < 0) == outgoing and one.amount_msat != 0:
            known = best.get(one.payment_hash)
            if known is None or _WEIGHT[one.status] > _WEIGHT[known.status]:
                best[one.payment_hash] = one
    return best


def mapping(value: object) -> Mapping[str, object]:
    """An object of JSON. Raises `WalletReplyError` for anything else."""
    if not isinstance(value, dict):
        raise WalletReplyError(f"LNbits answered with {type(value).__name__} in place of an object")
    return value


def text_of(row: Mapping[str, object], *names: str) -> str:
    """The first of these keys that holds a text; one that can be stored and shown."""
    for name in names:
        if value := _text(row.get(name)):
            return value
    raise WalletReplyError(f"LNbits' answer lacks {_either(names)}")


def integer_of(row: Mapping[str, object], name: str) -> int:
    """A whole number, never a float: these are amounts of money, and none is above all bitcoin."""
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > MAX_SATS * MSATS_PER_SAT:
        raise WalletReplyError(f"LNbits' answer has no usable whole number in {name}")
    return value


def time_of(value: object) -> datetime | None:
    """LNbits' time: ISO 8601, in UTC where it says nothing; older versions write seconds since 1970."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else None


def _either(names: Sequence[str]) -> str:
    return " or ".join(names)
