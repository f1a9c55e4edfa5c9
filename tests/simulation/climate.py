"""How bad the world of one seed is. Each seed has some kinds of faults and not others, so that they combine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random

from tests.lnbits_double import Kind, Lie

# Lies about what is recorded, told at any time, nobody could see through: those belong to test_lying_wallet.py.
_UNPROVABLE = frozenset(
    {
        Lie.EMPTY,
        Lie.CREDITED_ONLY,
        Lie.DEBITS_MORE,
        Lie.CREDITS_LESS,
        Lie.OTHERS_INVOICE,
        Lie.OTHERS_INVOICE_DISGUISED,
        Lie.NOT_KEPT,
    }
)
LIES = {kind: tuple(lie for lie in Lie if kind in lie.kinds and lie not in _UNPROVABLE) for kind in Kind}


@dataclass(frozen=True)
class Climate:
    """Chances from 0 to 1 for each occasion; seconds for what lasts."""

    kill: float = 0.0  # at a fault point: the process ends there
    crash: float = 0.0  # at a fault point: an error that nobody foresaw
    pause: float = 0.0  # at a fault point: this task stops for a while, the others go on
    freeze: float = 0.0  # at a fault point: the whole process stops for a while
    database_error: float = 0.0  # at a statement, before or after a commit
    database_outages: float = 0.0  # each minute
    lie: float = 0.0  # at a request to LNbits
    lnbits_kills: float = 0.0  # each minute
    lnbits_outages: float = 0.0  # each minute
    rivals: float = 0.0  # that a second process is active all the time
    slowness: float = 0.0  # that a statement or a commit takes seconds
    poverty: float = 0.0  # that the source wallet begins empty, and is filled later
    repeats: float = 0.0  # that a row comes once more

    @classmethod
    def of(cls, random: Random) -> Climate:
        """A climate with about half of the kinds of faults, each more or less often."""
        highest = {
            "kill": 0.05, "crash": 0.03, "pause": 0.05, "freeze": 0.03, "database_error": 0.05,
            "database_outages": 0.5, "lie": 0.35, "lnbits_kills": 0.7, "lnbits_outages": 0.5, "rivals": 1.0,
            "slowness": 0.2, "poverty": 1.0, "repeats": 0.5,
        }  # fmt: skip
        return cls(**{f.name: random.choice([0.0, 0.3, 1.0]) * highest[f.name] for f in fields(cls)})
