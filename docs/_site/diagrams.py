"""Draws docs/diagrams/*.svg: `python docs/_site/diagrams.py`. A test fails while one is not as drawn here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from draw import Drawing, Point, sequence

# Where each state of a payout stands, and the way of each move between two.
STATES: dict[str, Point] = {
    "reserved": (90, 150),
    "invoiced": (290, 150),
    "submitted": (490, 150),
    "settled": (730, 150),
    "expired": (290, 65),
    "unknown": (490, 255),
    "failed": (730, 255),
    "held": (310, 375),
    "void": (90, 375),
}
ENDS = ("settled", "failed", "expired", "void")
MOVES: dict[tuple[str, str], list[Point]] = {
    ("reserved", "invoiced"): [(140, 150), (240, 150)],
    ("invoiced", "submitted"): [(340, 150), (440, 150)],
    ("submitted", "settled"): [(540, 150), (680, 150)],
    ("reserved", "settled"): [(90, 132), (90, 22), (730, 22), (730, 132)],
    ("invoiced", "expired"): [(290, 132), (290, 83)],
    ("submitted", "failed"): [(540, 164), (680, 243)],
    ("submitted", "unknown"): [(490, 168), (490, 237)],
    ("unknown", "settled"): [(540, 243), (680, 164)],
    ("unknown", "failed"): [(540, 259), (680, 259)],
    ("reserved", "void"): [(75, 168), (75, 357)],
    ("reserved", "held"): [(115, 168), (272, 357)],
    ("invoiced", "void"): [(268, 168), (118, 357)],
    ("invoiced", "held"): [(294, 168), (306, 357)],
    ("submitted", "held"): [(462, 168), (330, 357)],
    ("unknown", "held"): [(458, 273), (344, 357)],
    ("held", "unknown"): [(360, 362), (478, 273)],
    ("held", "settled"): [(360, 381), (810, 381), (810, 150), (780, 150)],
    ("held", "void"): [(260, 375), (140, 375)],
}
BEGINS = ("reserved", "unknown", "held")


def payout_states() -> str:
    drawing = Drawing(830, 430, "The states of a payout, and the moves between them")
    drawing.dot((20, 150))
    drawing.arrow([(26, 150), (40, 150)])
    drawing.dot((560, 330))
    drawing.words((605, 331), "adopted")
    drawing.arrow([(554, 325), (520, 273)])
    drawing.arrow([(554, 332), (360, 369)])
    usual = {("reserved", "invoiced"), ("invoiced", "submitted"), ("submitted", "settled")}
    for move, points in MOVES.items():
        drawing.arrow(points, kind="strong" if move in usual else "")
    drawing.words((410, 13), "wholly covered by credit: nothing to pay")
    drawing.words((640, 396), "a person says what happened")
    for name, at in STATES.items():
        drawing.box(at, name, width=100, height=36, kind="strong" if name in ENDS else "")
    return drawing.svg


def rooms() -> str:
    drawing = Drawing(520, 430, "Which room may use which: downwards only")
    rows: list[list[tuple[str, float]]] = [
        [("demo", 260)],
        [("cli", 260)],
        [("web", 260)],
        [("runtime", 260)],
        [("services", 260)],
        [("lamassu", 170), ("payouts", 350)],
        [("ledger", 260)],
        [("domain", 260)],
    ]
    for number, row in enumerate(rows):
        y = 28 + number * 53
        for name, x in row:
            drawing.box((x, y), name, width=130, height=32)
        if number:
            before = rows[number - 1]
            for _, upper in before:
                for _, lower in row:
                    drawing.arrow([(upper, y - 37), (lower, y - 17)])
    return drawing.svg


def notify_to_settled() -> str:
    parts = ("Lamassu's DB", "listener", "scanner", "intake", "the books", "payer", "LNbits")
    atm, listener, scanner, intake, books, payer, lnbits = parts
    return sequence(
        "From the notification to the settled payout",
        parts,
        [
            (atm, listener, "NOTIFY id, at the commit"),
            (listener, scanner, "look at this id"),
            (scanner, atm, "SELECT the row"),
            (scanner, intake, "row, by a queue"),
            (intake, books, "one transaction"),
            (intake, payer, "wake"),
            (payer, books, "reserved"),
            (payer, lnbits, "make an invoice"),
            (payer, books, "invoiced"),
            (payer, books, "submitted"),
            (payer, lnbits, "pay"),
            (payer, lnbits, "look up both"),
            (payer, books, "settled"),
        ],
    )


def overview() -> str:
    drawing = Drawing(760, 400, "Who gives what to whom")
    drawing.box((90, 60), "layperson", kind="outside")
    drawing.box((90, 330), "operator", kind="outside")
    drawing.box((660, 330), "DCA client", kind="outside")
    drawing.box((300, 60), "Lamassu ATM\nits own wallet", width=130)
    drawing.box((300, 200), "dca-daemon\nthe books", width=130, kind="strong")
    drawing.box((660, 60), "LNbits\nsource wallet", width=130)
    drawing.arrow([(150, 50), (235, 50)], "bitcoin", at=(192, 40))
    drawing.arrow([(235, 74), (150, 74)], "notes", at=(192, 86))
    drawing.arrow([(300, 88), (300, 172)], "what was dispensed\n(read only)", at=(368, 128))
    drawing.arrow([(365, 185), (615, 88)], "invoice, pay, look up", at=(545, 150), kind="strong")
    drawing.arrow([(660, 88), (660, 310)], "sats", kind="strong")
    drawing.arrow([(600, 330), (150, 330)], "a deposit, in notes", at=(400, 318))
    drawing.arrow([(150, 318), (234, 220)], "deposits,\ndecisions", at=(152, 258))
    drawing.arrow([(75, 310), (75, 190), (225, 190), (262, 88)], "notes into\nthe machine", at=(112, 165))
    drawing.arrow([(365, 50), (595, 50)], "sats, moved by the operator", at=(480, 40))
    return drawing.svg


def one_cash_out() -> str:
    drawing = Drawing(760, 330, "One cash-out of 4,000 GTQ for 512,400 sats, as it is booked and paid")
    drawing.box((110, 60), "coins:received\n512,400 sats came in", width=190)
    drawing.box((110, 200), "cash:pool\n4,000.00 GTQ left", width=190)
    drawing.box((400, 40), "house:sats\n28,182 sats", width=170)
    drawing.box((400, 110), "client:…:payable\n484,218 sats owed", width=170, kind="strong")
    drawing.box((400, 190), "client:…:fiat\n3,780.00 GTQ used", width=170)
    drawing.box((400, 260), "house:fiat\n220.00 GTQ", width=170)
    drawing.box((650, 40), "commission shares", width=150)
    drawing.box((650, 110), "payouts:in-flight", width=150, kind="strong")
    drawing.box((650, 190), "coins:source\nout of LNbits", width=150, kind="strong")
    drawing.arrow([(205, 55), (315, 42)], "5.5 %")
    drawing.arrow([(205, 72), (315, 105)], "principal", kind="strong")
    drawing.arrow([(205, 195), (315, 190)], "by what each has in", at=(260, 178))
    drawing.arrow([(205, 212), (315, 256)], "the rest")
    drawing.arrow([(485, 40), (575, 40)], "if shared")
    drawing.arrow([(485, 110), (575, 110)], "reserved", kind="strong")
    drawing.arrow([(650, 131), (650, 163)], "settled", at=(690, 147), kind="strong")
    drawing.words((380, 312), "one entry at the cash-out; one at each step of a payout")
    return drawing.svg


def proof() -> str:
    drawing = Drawing(760, 300, "What a pay request without an answer leads to")
    drawing.box((110, 60), "invoice stored,\nsubmitted committed", width=180)
    drawing.box((360, 60), "pay request", width=120)
    drawing.box((620, 60), "answered: paid", width=150)
    drawing.box((360, 160), "no answer,\nor anything else", width=150)
    drawing.box((620, 160), "settled", width=150, kind="strong")
    drawing.box((110, 255), "the same invoice again", width=190)
    drawing.box((360, 255), "look up both wallets", width=170, kind="strong")
    drawing.box((620, 255), "unknown, held: a person", width=190)
    drawing.arrow([(200, 60), (300, 60)], kind="strong")
    drawing.arrow([(420, 60), (545, 60)], kind="strong")
    drawing.arrow([(360, 78), (360, 132)])
    drawing.arrow([(620, 78), (620, 142)], "and found in the records", at=(620, 110), kind="strong")
    drawing.arrow([(360, 188), (360, 236)])
    drawing.arrow([(445, 245), (545, 172)], "it moved", at=(510, 212))
    drawing.arrow([(275, 255), (205, 255)], "nothing\nmoved", at=(240, 232))
    drawing.arrow([(110, 236), (330, 80)], at=(200, 160))
    drawing.arrow([(445, 258), (525, 258)], "can't\nbe told", at=(485, 280))
    return drawing.svg


DIAGRAMS: dict[str, Callable[[], str]] = {
    "overview": overview,
    "one-cash-out": one_cash_out,
    "notify-to-settled": notify_to_settled,
    "payout-states": payout_states,
    "proof": proof,
    "rooms": rooms,
}


def main() -> None:
    """Writes them all."""
    folder = Path(__file__).parents[1] / "diagrams"
    folder.mkdir(exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (folder / f"{name}.svg").write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
