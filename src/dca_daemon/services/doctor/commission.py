"""Whether the commission of recent cash-outs fits the way of splitting that is configured.

Two ways must tell the same of a row, but for the machine's rounding: the recorded percentage, and what the fiat
was worth at the row's ticker price. Where they do not, the clients get too much or too little by one of them.
docs/arithmetic.md has the formulas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dca_daemon.domain.cash_out import SourceRow, split_row
from dca_daemon.domain.errors import InputError, SourceError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.services.doctor.findings import Finding, Level, Subject

_ROWS = 200
_ROUNDING_SATS = (
    100  # machines round coins to 100 sats; either way may be off by half of that, and by a sat or two
)
_FIRST_OF_THE_GROSS = 8  # machines before v8 take their commission of the net


@dataclass(frozen=True, slots=True)
class _Apart:
    """One row of which the two ways tell different things, in sats of commission."""

    row: SourceRow
    recorded_sats: int
    ticker_sats: int

    @property
    def why(self) -> str:
        """What explains it, as far as the row tells."""
        if self.row.fixed_fee:
            return "a fixed fee"
        version = re.match(r"v?(\d+)\.", self.row.machine_version or "")
        if version is not None and int(version[1]) < _FIRST_OF_THE_GROSS:
            return f"machines before v{_FIRST_OF_THE_GROSS}"
        return ""


async def check_commission(subject: Subject) -> list[Finding]:
    """The newest cash-outs, by both ways."""
    if subject.source is None or subject.split_method is None:
        return []
    source = LamassuSource(subject.source)
    try:
        rows = await source.newest_successes(_ROWS)
    except SourceError:  # `check_lamassu` has told why
        return []
    finally:
        await source.close()
    if not rows:
        return []
    unusable = [(row, why) for row in rows if (why := _unusable(row, subject.split_method))]
    found = [_unusable_finding(unusable, len(rows), subject.split_method)] if unusable else []
    apart = [one for row in rows if (one := _compared(row)) is not None]
    return [*found, *_apart_findings(apart, len(rows), subject.split_method)]


def _commission_sats(row: SourceRow, method: SplitMethod) -> int:
    parts, _ = split_row(row, pool_currency=row.fiat_code, method=method, charge=Charge.PRINCIPAL)
    return parts.commission_sats


def _unusable(row: SourceRow, method: SplitMethod) -> str:
    try:
        _commission_sats(row, method)
    except InputError as error:
        return error.message
    return ""


def _compared(row: SourceRow) -> _Apart | None:
    """None where the two agree, or one can't be told."""
    try:
        recorded, ticker = (_commission_sats(row, method) for method in SplitMethod)
    except InputError:
        return None
    apart = abs(recorded - ticker) > _ROUNDING_SATS + int(row.crypto_atoms) // 100_000
    return _Apart(row, recorded, ticker) if apart else None


def _unusable_finding(unusable: list[tuple[SourceRow, str]], count: int, method: SplitMethod) -> Finding:
    row, why = unusable[0]
    other = next(each for each in SplitMethod if each is not method)
    text = f"{len(unusable)} of the newest {count} cash-outs can't be split: {row.external_id}: {why}"
    helps = all(not _unusable(each, other) for each, _ in unusable)
    remedy = f'set lamassu.split_method = "{other}", which can' if helps else "decide on each: cash-out review"
    return Finding("commission", "usable", Level.WARN, text, remedy)


def _apart_findings(apart: list[_Apart], count: int, method: SplitMethod) -> list[Finding]:
    if not apart:
        text = f"the newest {count} cash-outs: recorded commission and ticker price tell the same"
        return [Finding("commission", "fits", Level.OK, text)]
    unexplained = [one for one in apart if not one.why]
    if method is SplitMethod.TICKER and not unexplained:
        whys = " and ".join(sorted({one.why for one in apart}))
        text = f'{whys} in {len(apart)} of the newest {count} cash-outs: "ticker" splits them rightly'
        return [Finding("commission", "fits", Level.OK, text)]
    found = []
    if explained := [one for one in apart if one.why and method is SplitMethod.RECORDED]:
        whys = " and ".join(sorted({one.why for one in explained}))
        remedy = 'set lamassu.split_method = "ticker", which is right for these: docs/arithmetic.md'
        found.append(Finding("commission", "fits", Level.WARN, f"{whys}: {_told(explained, count)}", remedy))
    if unexplained:
        remedy = (
            "compare commission and ticker in Lamassu with a receipt of the machine before you change anything"
        )
        text = f"nothing in the rows explains it: {_told(unexplained, count)}"
        found.append(Finding("commission", "explained", Level.WARN, text, remedy))
    return found


def _told(apart: list[_Apart], count: int) -> str:
    """How many, how much in all, and the one that is most apart."""
    lost_sats = sum(one.recorded_sats - one.ticker_sats for one in apart)
    worst = max(apart, key=lambda one: abs(one.recorded_sats - one.ticker_sats))
    row = worst.row
    less = "less" if lost_sats > 0 else "more"
    return (
        f'in {len(apart)} of the newest {count} cash-outs "recorded" gives the clients '
        f'{sats_text(abs(lost_sats))} {less} in all than "ticker". For example {row.external_id}: '
        f"{row.fiat.normalize():f} {row.fiat_code} for {sats_text(int(row.crypto_atoms))} at "
        f"{row.raw_ticker_price} is a commission of {sats_text(worst.recorded_sats)} as recorded, of "
        f"{sats_text(worst.ticker_sats)} by the ticker"
    )
