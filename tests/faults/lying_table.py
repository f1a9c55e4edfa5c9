"""What is expected of the payer for every lie that the double can tell, to every kind of call.

Each lie is told twice: once to a client's first call, and to another client again and again, beyond every
patience, until LNbits is honest again and a person has looked at what is held.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.lnbits_double import Kind, Lie


@dataclass(frozen=True)
class Expected:
    """Outcomes in the words of `lying_world.outcome`; a held one by what its reason contains."""

    once: str  # after a lie to the first call
    always: str  # while every call is lied to
    honest: str  # once LNbits is honest again
    released: str  # once a person has released what is held


def _same(outcome: str) -> Expected:
    return Expected(outcome, outcome, outcome, outcome)


# The lie does no harm: what was carried out is found by looking it up.
SETTLED = _same("settled")
# It is tried again, for as long as it takes.
TRIED_AGAIN = Expected("settled", "waits", "settled", "settled")
# A destination that gives no proper invoice three times is a person's turn; released, another payout pays.
NO_INVOICE = Expected("settled", "held: no invoice to be had", "held: no invoice to be had", "paid anew")
# Proven dead: neither left nor arrived, nor can it any more. The records are paid by another payout.
DEAD_INVOICE = Expected("paid anew", "owed", "paid anew", "paid anew")
# It left and never arrived: LNbits' operator credits it, then it is settled.
TORN = Expected("held: never arrived", "held: never arrived", "held: never arrived", "settled")


def _held(reason: str) -> Expected:
    return _same(f"held: {reason}")


def _all(kind: Kind, lies: Iterable[Lie], expected: Expected) -> dict[tuple[Kind, Lie], Expected]:
    return {(kind, lie): expected for lie in lies}


NOTHING_DONE = (
    *(Lie.REFUSE_CONNECTION, Lie.RESET_BEFORE, Lie.SILENT_BEFORE, Lie.GARBAGE_BEFORE, Lie.HTML_BEFORE),
    *(Lie.ERROR_500_BEFORE, Lie.BAD_GATEWAY_BEFORE, Lie.REDIRECT),
    *(Lie.RATE_LIMITED, Lie.RATE_LIMITED_RETRY_AFTER),
)
KEY_REFUSED = (Lie.UNAUTHORIZED, Lie.FORBIDDEN, Lie.NOT_FOUND)
DONE_WITHOUT_AN_ANSWER = (
    *(Lie.TAKE_AND_RESET, Lie.TAKE_AND_DROP, Lie.TAKE_AND_STAY_SILENT, Lie.SLOW, Lie.TAKE_AND_GARBAGE),
    *(Lie.CUT_OFF, Lie.TAKE_AND_HTML, Lie.TRUNCATED_JSON, Lie.TAKE_AND_ERROR_500, Lie.TAKE_AND_BAD_GATEWAY),
    Lie.TAKE_AND_RATE_LIMITED,
)

CREATE: dict[tuple[Kind, Lie], Expected] = {
    **_all(Kind.CREATE, (*NOTHING_DONE, Lie.NODE_AWAY, Lie.EXPIRED_INVOICE), TRIED_AGAIN),
    **_all(Kind.CREATE, DONE_WITHOUT_AN_ANSWER, TRIED_AGAIN),  # an invoice that nobody will ever submit
    **_all(Kind.CREATE, (*KEY_REFUSED, Lie.TAKE_AND_NOT_FOUND), NO_INVOICE),
    **_all(Kind.CREATE, (Lie.NULL_BEFORE, Lie.TAKE_AND_NULL, Lie.NO_INVOICE), NO_INVOICE),
    **_all(Kind.CREATE, (Lie.OTHER_AMOUNT, Lie.OTHER_AMOUNT_DISGUISED, Lie.OTHER_HASH, Lie.OTHER_ID), NO_INVOICE),
    **_all(Kind.CREATE, (Lie.OTHERS_INVOICE, Lie.GIVEN_BEFORE), NO_INVOICE),
    (Kind.CREATE, Lie.SHORT_LIVED_INVOICE): SETTLED,  # it is paid at once; LNbits pays late ones too
    # The money reached somebody else: found out afterwards, since only LNbits knows whose an invoice is.
    (Kind.CREATE, Lie.OTHERS_INVOICE_DISGUISED): _held("never arrived"),
    (Kind.CREATE, Lie.NOT_KEPT): _held("only the node behind it"),
    **_all(Kind.CREATE, (Lie.MARKED_FAILED, Lie.FORGOTTEN), DEAD_INVOICE),
}

PAY: dict[tuple[Kind, Lie], Expected] = {
    **_all(Kind.PAY, (*NOTHING_DONE, *KEY_REFUSED, Lie.NULL_BEFORE, Lie.NODE_AWAY), TRIED_AGAIN),
    **_all(Kind.PAY, DONE_WITHOUT_AN_ANSWER, SETTLED),
    **_all(Kind.PAY, (Lie.TAKE_AND_NULL, Lie.TAKE_AND_NOT_FOUND, Lie.TAKE_LATE, Lie.TAKE_AND_HIDE), SETTLED),
    **_all(Kind.PAY, (Lie.CLAIM_PAID, Lie.CLAIM_PENDING, Lie.CLAIM_PAID_BEFORE, Lie.CLAIM_REFUSED), TRIED_AGAIN),
    **_all(Kind.PAY, (Lie.CLAIM_SHORT, Lie.CLAIM_FAILED), TRIED_AGAIN),
    **_all(Kind.PAY, (Lie.TAKE_AND_CLAIM_PAID_BEFORE, Lie.TAKE_AND_CLAIM_REFUSED, Lie.OTHER_PAYMENT), SETTLED),
    **_all(Kind.PAY, (Lie.TAKE_AND_CLAIM_SHORT, Lie.TAKE_AND_CLAIM_FAILED), SETTLED),
    (Kind.PAY, Lie.PENDING_THEN_SETTLES): Expected("waits", "waits", "settled", "settled"),
    (Kind.PAY, Lie.PENDING_THEN_FAILS): Expected("waits", "waits", "paid anew", "paid anew"),
    **_all(Kind.PAY, (Lie.TORN, Lie.TORN_AND_FAILED, Lie.TORN_AND_CLAIM_PAID), TORN),
    (Kind.PAY, Lie.CREDITED_ONLY): _held("no record of paying it"),
    (Kind.PAY, Lie.DEBITS_MORE): _held("left the source wallet, not"),
    (Kind.PAY, Lie.CREDITS_LESS): _held("arrived, not"),
}

LIST: dict[tuple[Kind, Lie], Expected] = {
    **_all(Kind.LIST, (*NOTHING_DONE, *KEY_REFUSED, Lie.NULL_BEFORE), TRIED_AGAIN),
    **_all(Kind.LIST, (Lie.SLOW, Lie.CUT_OFF, Lie.TRUNCATED_JSON), TRIED_AGAIN),
    # Nothing seems to have left: the same invoice is submitted again and again, and LNbits pays it once.
    (Kind.LIST, Lie.EMPTY): TRIED_AGAIN,
    **_all(Kind.LIST, (Lie.WITHHELD, Lie.FILTER_IGNORED, Lie.OTHERS_ROWS, Lie.SAYS_PENDING), TRIED_AGAIN),
    **_all(Kind.LIST, (Lie.UNKNOWN_STATUS, Lie.NO_HASH), TRIED_AGAIN),
}

# The balance is read for all payouts together, so that only `always` counts here.
WALLET: dict[tuple[Kind, Lie], Expected] = {
    **_all(Kind.WALLET, (*NOTHING_DONE, *KEY_REFUSED, Lie.NULL_BEFORE), TRIED_AGAIN),
    **_all(Kind.WALLET, (Lie.SLOW, Lie.CUT_OFF, Lie.TRUNCATED_JSON), TRIED_AGAIN),
    **_all(Kind.WALLET, (Lie.CLAIM_EMPTY, Lie.WITHOUT_ID, Lie.FLOAT_BALANCE), TRIED_AGAIN),
    (Kind.WALLET, Lie.CLAIM_RICH): SETTLED,  # LNbits itself refuses what is not there
}

EXPECTED = {**CREATE, **PAY, **LIST, **WALLET}
