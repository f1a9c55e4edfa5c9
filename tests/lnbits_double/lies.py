"""The lies that the double can tell: names and meanings. What each does is in `lying_*.py`.

Those that begin with TAKE carry the call out, whatever they answer; BEFORE means that nothing was carried out.
"""

from __future__ import annotations

from enum import Enum

from tests.lnbits_double.http import Kind

_ALL = frozenset({Kind.CREATE, Kind.PAY, Kind.LIST, Kind.WALLET})
_CHANGING = frozenset({Kind.CREATE, Kind.PAY})
_CREATE = frozenset({Kind.CREATE})
_PAY = frozenset({Kind.PAY})
_LIST = frozenset({Kind.LIST})
_WALLET = frozenset({Kind.WALLET})


class Lie(Enum):
    """A fault for one call; `kinds` are the calls that it suits, `meaning` what it does."""

    def __init__(self, kinds: frozenset[Kind], meaning: str) -> None:
        self.kinds = kinds
        self.meaning = meaning

    # The connection
    REFUSE_CONNECTION = _ALL, "The connection is not accepted: provably nothing was sent."
    RESET_BEFORE = _ALL, "The request is read, then the connection is reset; nothing is carried out."
    TAKE_AND_RESET = _CHANGING, "Carried out, then the connection is reset."
    TAKE_AND_DROP = _CHANGING, "Carried out, then the connection is closed without an answer."
    SILENT_BEFORE = _ALL, "Nothing is carried out, and nothing ever comes back."
    TAKE_AND_STAY_SILENT = _CHANGING, "Carried out, and nothing ever comes back."
    SLOW = _ALL, "Carried out after `slow_seconds`; the client may have given up meanwhile."
    TAKE_LATE = _PAY, "The connection is reset at once; carried out `late_seconds` later (by the clock)."
    GARBAGE_BEFORE = _ALL, "What comes back is not HTTP; nothing is carried out."
    TAKE_AND_GARBAGE = _CHANGING, "Carried out; what comes back is not HTTP."
    CUT_OFF = _ALL, "Carried out; the answer ends before its Content-Length is reached."

    # The answer's form
    HTML_BEFORE = _ALL, "A page of HTML with status 200; nothing is carried out."
    TAKE_AND_HTML = _CHANGING, "Carried out; a page of HTML with status 200."
    TRUNCATED_JSON = _ALL, "Carried out; the JSON ends in the middle."
    NULL_BEFORE = _ALL, "The JSON `null` with status 200; nothing is carried out."
    TAKE_AND_NULL = _CHANGING, "Carried out; the JSON `null` with status 201."
    ERROR_500_BEFORE = _ALL, "LNbits' own 500; nothing is carried out."
    TAKE_AND_ERROR_500 = _CHANGING, "Carried out; LNbits' own 500."
    BAD_GATEWAY_BEFORE = _ALL, "A proxy's 502 in HTML; nothing is carried out."
    TAKE_AND_BAD_GATEWAY = _CHANGING, "Carried out; a proxy's 502 in HTML."
    REDIRECT = _ALL, "307 to its first installation; nothing is carried out."
    RATE_LIMITED = _ALL, "429 without Retry-After; nothing is carried out."
    RATE_LIMITED_RETRY_AFTER = _ALL, "429 with Retry-After: 7; nothing is carried out."
    TAKE_AND_RATE_LIMITED = _CHANGING, "Carried out; answers 429 nevertheless."
    UNAUTHORIZED = _ALL, "401 for a key that is right; nothing is carried out."
    FORBIDDEN = _ALL, "403 for a key that is right; nothing is carried out."
    NOT_FOUND = _ALL, "404, as if the key were unknown; nothing is carried out."
    TAKE_AND_NOT_FOUND = _CHANGING, "Carried out; answers 404 as if the key were unknown."
    NODE_AWAY = _CHANGING, "520, as if the node behind LNbits were away; nothing is carried out."

    # Creating an invoice
    OTHER_AMOUNT = _CREATE, "The invoice is over one sat more; the answer says so."
    OTHER_AMOUNT_DISGUISED = _CREATE, "The invoice is over one sat more; the answer says what was asked."
    OTHER_HASH = _CREATE, "The answer's payment hash is not the invoice's."
    OTHER_ID = _CREATE, "The answer has another external_id than was asked."
    EXPIRED_INVOICE = _CREATE, "The invoice ran out an hour ago."
    SHORT_LIVED_INVOICE = _CREATE, "The invoice runs out in two seconds, whatever was asked."
    OTHERS_INVOICE = _CREATE, "An invoice of another wallet; the answer says so."
    OTHERS_INVOICE_DISGUISED = _CREATE, "An invoice of another wallet; the answer names the right one."
    GIVEN_BEFORE = _CREATE, "The invoice that the wallet gave before, where there is one of that amount."
    NO_INVOICE = _CREATE, "201 without a bolt11."
    NOT_KEPT = _CREATE, "The invoice is not stored: LNbits will not know it."
    MARKED_FAILED = _CREATE, "The invoice is marked failed straight afterwards."
    FORGOTTEN = _CREATE, "Marked failed straight afterwards, and forgotten by the node, as after a restart."

    # Paying
    CLAIM_PAID = _PAY, "201 success, and nothing is paid."
    CLAIM_PENDING = _PAY, "201 pending, and nothing is paid."
    CLAIM_PAID_BEFORE = _PAY, "520 'Payment already paid.', and nothing is paid."
    TAKE_AND_CLAIM_PAID_BEFORE = _PAY, "Paid; answers 520 'Internal invoice already paid.'"
    CLAIM_REFUSED = _PAY, "520 'Payment failed: no route', and nothing is paid."
    TAKE_AND_CLAIM_REFUSED = _PAY, "Paid; answers 520 'Payment failed: no route'."
    CLAIM_SHORT = _PAY, "520 'Insufficient balance.', though there is enough."
    TAKE_AND_CLAIM_SHORT = _PAY, "Paid; answers 520 'Insufficient balance.'"
    CLAIM_FAILED = _PAY, "201 failed, and nothing is paid."
    TAKE_AND_CLAIM_FAILED = _PAY, "Paid; answers 201 failed."
    OTHER_PAYMENT = _PAY, "Paid; the answer is about another payment."
    PENDING_THEN_SETTLES = _PAY, "201 pending; settles `pending_seconds` later (by the clock)."
    PENDING_THEN_FAILS = _PAY, "201 pending; fails `pending_seconds` later (by the clock)."
    TAKE_AND_HIDE = _PAY, "Paid, no answer; look-ups do not show it for `hidden_seconds` (by the clock)."
    TORN = _PAY, "Debited and not credited, no answer: killed between its two commits."
    TORN_AND_FAILED = _PAY, "Torn, and the receiver's record is marked failed, as after a restart."
    TORN_AND_CLAIM_PAID = _PAY, "Torn; answers 201 success: paid on the sender's side only."
    CREDITED_ONLY = _PAY, "The reverse: the receiver has it, the source no record; no answer."
    DEBITS_MORE = _PAY, "Paid; the source is debited one sat more."
    CREDITS_LESS = _PAY, "Paid; the receiver is credited one sat less."

    # Listing
    EMPTY = _LIST, "An empty list."
    WITHHELD = _LIST, "A total, but no rows."
    FILTER_IGNORED = _LIST, "All rows of the wallet: the filters are ignored."
    OTHERS_ROWS = _LIST, "Rows of another wallet."
    SAYS_PENDING = _LIST, "Every row is still pending."
    UNKNOWN_STATUS = _LIST, "Every row has a status that there is not."
    NO_HASH = _LIST, "The rows lack their payment hash."

    # The wallet
    CLAIM_EMPTY = _WALLET, "The balance is 0, though there is enough."
    CLAIM_RICH = _WALLET, "The balance is all bitcoin that there will be."
    WITHOUT_ID = _WALLET, "As if the admin key were the invoice key."
    FLOAT_BALANCE = _WALLET, "The balance is no whole number."


def cases() -> list[tuple[Kind, Lie]]:
    """Every lie, with every kind of call that it suits."""
    return [(kind, lie) for lie in Lie for kind in Kind if kind in lie.kinds]
