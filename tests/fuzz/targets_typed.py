"""What people type, and what the ATM's database says besides rows: notifications and the trigger."""

from __future__ import annotations

import uuid
from datetime import UTC
from fractions import Fraction
from unittest.mock import patch

import structlog
from psycopg import Notify

from dca_daemon.cli.output import when
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_time
from dca_daemon.domain.money import MINOR_DIGITS, fiat_per_btc, fiat_text, from_minor, parse_fiat, to_minor
from dca_daemon.lamassu import listener, trigger
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.listener import Listener
from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.registry import target
from tests.fuzz.values import moment, number, text

CHANNEL = "dca_cash_out"
TYPED = ("1000", "1000.50", "0.01", "-1", "1e5", "1_000", "1,000", "\u0661", "0." + "0" * 400 + "1", "9" * 400)


@target("amount", examples=150)
def any_amount(choices: Choices) -> None:
    """What is taken for an amount is exactly what was typed."""
    currency = pick(choices, (*sorted(MINOR_DIGITS), "XXX", "gtq", ""))
    typed = text(choices, TYPED)
    try:
        minor = parse_fiat(typed, currency)
    except InputError as error:
        assert len(str(error)) < 500
    else:
        assert 0 < minor < 10**15
        assert Fraction(typed.strip()) * 10 ** MINOR_DIGITS[currency] == minor
        assert parse_fiat(str(from_minor(minor, currency)), currency) == minor
        assert fiat_text(minor, currency).endswith(currency)
        assert fiat_per_btc(choices.integer(1, 10**15), minor, currency) is not None
    amount = number(choices)
    try:
        minor = to_minor(amount, "GTQ")
    except InputError as error:
        assert len(str(error)) < 500
    else:
        assert from_minor(minor, "GTQ") == amount


@target("time", examples=100)
def any_time(choices: Choices) -> None:
    """A baseline's time can be shown and stored, or is refused."""
    typed = moment(choices).isoformat() if chance(choices, 3) else text(choices, ("2026-01-31T00:00:00-06:00",))
    try:
        found = parse_time(typed)
    except InputError:
        return
    assert found.tzinfo is not None
    found.astimezone(UTC)
    assert when(found)


@target("notification", examples=100)
def any_notification(choices: Choices) -> None:
    """Only an id in PostgreSQL's own spelling is passed on."""
    heard: list[str] = []
    hearing = Listener(SourceConfig(dsn="host=127.0.0.1", channel=CHANNEL), heard.extend, lambda: None)
    genuine = str(uuid.UUID(int=choices.integer(0, 2**128 - 1)))
    spellings = (genuine, genuine.upper(), f"{{{genuine}}}", f"urn:uuid:{genuine}", genuine.replace("-", ""))
    payload = text(choices, (*spellings, trigger.PROBE_PREFIX + "x"))
    channel = text(choices, (CHANNEL, CHANNEL.upper())) if chance(choices, 3) else CHANNEL
    with patch.object(listener, "log", structlog.stdlib.get_logger().bind()), structlog.testing.capture_logs():
        hearing._heard(Notify(channel, payload, choices.integer(0, 2**31)))
    assert heard in ([], [payload])
    if heard:
        assert channel == CHANNEL and str(uuid.UUID(payload)) == payload


@target("trigger", examples=60)
def any_trigger(choices: Choices) -> None:
    """Only the trigger that this release installs counts as unchanged, whatever another one's body says."""
    right = trigger.function_body(CHANNEL)
    body = pick(choices, (right, right.replace("dca_cash_out", "a''b"), right + " ", choices.text(200)))
    definition = f"CREATE TRIGGER x WHEN ({choices.text(80)}) EXECUTE"
    channel = trigger._channel_of(body)
    names = (trigger.INSERT_TRIGGER, trigger.UPDATE_TRIGGER)
    kinds = (5, 17)
    found = {
        name: ("O", kind, definition if chance(choices, 3) else f"WHEN ({trigger._WHEN[name]}) EXECUTE")
        for name, kind in zip(names, kinds, strict=True)
    }
    unchanged = trigger._unchanged(found, {(body, ("search_path=pg_catalog",))}, channel)
    if unchanged:
        assert channel is not None and body == trigger.function_body(channel)
    trouble = trigger._trouble(True, unchanged, channel, CHANNEL)
    assert (trouble is None) <= (body == right)
