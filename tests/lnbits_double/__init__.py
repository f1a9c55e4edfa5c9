"""A scripted LNbits: the same answers as the real one, and on demand any lie.

    double = LnbitsDouble(random.Random(7), clock)          # `sleep` may be given too; no other time or chance
    source, ana = double.create_wallet("source"), double.create_wallet("Ana")
    double.top_up(source.id, 1_000_000)
    config = LnbitsConfig(url="http://double.test", admin_key=source.adminkey)
    wallet = LnbitsWallet(config, transport=double.transport())

    double.lie(pay=Lie.TAKE_AND_DROP)                       # the next pay call; `times=3`: the next three
    double.policy = lambda call: None                       # asked at each call for which no lie is scripted
    double.latency = lambda call, step: 0.01                # seconds that a call rests at each `Step`
    double.on_money_moved.append(lambda move: ...)          # a `Move`: what really moved, recorded or not
    double.kill(); double.restart()                         # between two commits, where calls are at that moment
    double.down = True                                      # refuses connections

    double.balance_msat(key); double.records(key, tag="aio-dca"); double.moves(external_id=payout_id)
    double.outside_invoice(1_000, Route(after_seconds=600, fee_msat=21))

Requests run in tasks of their own: a client that gives up does not stop them. What takes long by the clock
(pending payments, late ones) happens as soon as somebody looks after its time. Money is integer msat.
`tests.lnbits_double.server.DoubleServer` serves the same double on loopback, for a daemon in another process.
"""

from tests.lnbits_double.double import LnbitsDouble
from tests.lnbits_double.http import Call, Kind
from tests.lnbits_double.lies import Lie, cases
from tests.lnbits_double.model import Direction, Move
from tests.lnbits_double.outside import OutsideInvoice, Route
from tests.lnbits_double.paying import Step
from tests.lnbits_double.server import DoubleServer

__all__ = [
    "Call",
    "Direction",
    "DoubleServer",
    "Kind",
    "Lie",
    "LnbitsDouble",
    "Move",
    "OutsideInvoice",
    "Route",
    "Step",
    "cases",
]
