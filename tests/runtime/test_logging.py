"""Log lines: their shape, what libraries say, and that no secret is in them."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.runtime.logging import configure_logging, count_events_with
from dca_daemon.runtime.redaction import (
    MASK,
    forget_secrets,
    is_secret_key,
    redact,
    redact_text,
    register_secret,
)

Lines = Callable[[], list[dict[str, Any]]]
log = structlog.get_logger()
SECRET = "0123456789abcdef-key"


def test_a_json_line(logged: Lines) -> None:
    with structlog.contextvars.bound_contextvars(payout_id="p1"):
        structlog.get_logger("dca_daemon.x").info("payout.settled", amount_sats=5, names=("a", "b"))
    (line,) = logged()
    assert list(line)[:4] == ["ts", "level", "event", "logger"]
    assert datetime.fromisoformat(line.pop("ts")).utcoffset() is not None
    assert line == {
        "level": "info",
        "event": "payout.settled",
        "logger": "dca_daemon.x",
        "payout_id": "p1",
        "amount_sats": 5,
        "names": ["a", "b"],
    }


def test_times_are_iso_8601_and_amounts_are_exact(logged: Lines) -> None:
    log.info("an.event", at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC), fiat=Decimal("1950.50"))
    (line,) = logged()
    assert (line["at"], line["fiat"]) == ("2026-01-02T03:04:00+00:00", "1950.50")


def test_an_exception_is_one_field(logged: Lines) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("something.broke")
    (line,) = logged()
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback") and line["exception"].endswith("two\nlines")
    assert "exc_info" not in line


def test_libraries_speak_through_us_and_not_too_much(logged: Lines) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST")
    logging.getLogger("uvicorn.access").warning("GET /")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("psycopg.pool").warning("error connecting in %r: %s", "pool-1", "refused")
    (line,) = logged()
    assert line["event"] == "library" and line["logger"] == "psycopg.pool" and line["level"] == "warning"
    assert line["message"] == "error connecting in 'pool-1': refused"


def test_warnings_become_lines(logged: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old ways", stacklevel=1)
        logging.captureWarnings(False)
    (line,) = logged()
    assert line["logger"] == "py.warnings" and "old ways" in line["message"]


def test_the_level_is_kept_to() -> None:
    stream = io.StringIO()
    configure_logging(level="warning", format="json", stream=stream)
    log.info("not.shown")
    logging.getLogger("any.library").info("not shown")
    log.warning("shown")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["shown"]


def test_configuring_twice_does_not_double_lines(logged: Lines) -> None:
    second = io.StringIO()
    configure_logging(level="debug", format="json", stream=second)
    log.info("once")
    assert logged() == []
    assert len(second.getvalue().splitlines()) == 1


def test_the_console_is_for_people(logged: Lines) -> None:
    stream = io.StringIO()
    configure_logging(format="console", secrets=[SECRET], stream=stream)
    log.info("payout.settled", amount_sats=5, key=SECRET)
    try:
        raise ValueError(f"postgresql://u:pw@h/d {SECRET}")
    except ValueError:
        log.exception("something.broke")
    text = stream.getvalue()
    assert "payout.settled" in text and "amount_sats=5" in text and "Traceback" in text
    assert SECRET not in text and "pw@" not in text and "\x1b" not in text


def test_auto_means_json_where_nobody_watches() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pipe, terminal = io.StringIO(), Terminal()
    configure_logging(stream=pipe)
    log.info("an.event")
    configure_logging(stream=terminal)
    log.info("an.event")
    assert json.loads(pipe.getvalue())["event"] == "an.event"
    assert not terminal.getvalue().startswith("{")


def test_events_are_counted_by_name_and_level(logged: Lines) -> None:
    counted: list[tuple[str, str]] = []
    count_events_with(lambda event, level: counted.append((event, level)))
    log.info("one.event")
    log.exception("other.event", exc_info=ValueError())
    logging.getLogger("some.library").warning("a %s text", "free")
    assert counted == [("one.event", "info"), ("other.event", "error"), ("library", "warning")]


SECRET_KEYS = """password dsn listen_dsn admin_key adminkey invoice_key inkey in_key authorization Authorization
X-Api-Key encryption_keys secret client_secret preimage database_url api_key cookie"""
PLAIN_KEYS = "payment_hash wallet_id lock_key idempotency_key key keys path"


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_secret_keys_are_masked(logged: Lines, key: str) -> None:
    log.info("an.event", **{key: "geheim", "nested": {"list": [{key: ["geheim"]}]}})
    assert is_secret_key(key)
    assert "geheim" not in json.dumps(logged())


@pytest.mark.parametrize("key", PLAIN_KEYS.split())
def test_other_keys_are_not(key: str) -> None:
    assert not is_secret_key(key)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("at postgresql://dca:geheim@host:5432/dca?x=1", f"at postgresql://{MASK}@host:5432/dca?x=1"),
        ("postgresql://dca:ge@heim@host/dca", f"postgresql://{MASK}@host/dca"),
        ("https://geheim@host/x", f"https://{MASK}@host/x"),
        ("host=a password=geheim user=b", f"host=a password={MASK} user=b"),
        ("host=a password='ge heim' user=b", f"host=a password={MASK} user=b"),
        ("mail name@domain at https://host/x", "mail name@domain at https://host/x"),
        ("https://host/.well-known/lnurlp/a@b", "https://host/.well-known/lnurlp/a@b"),
    ],
)
def test_logins_in_texts(text: str, left: str) -> None:
    assert redact_text(text) == left


def test_known_secrets_are_masked_wherever_they_are(logged: Lines) -> None:
    register_secret(SECRET)
    register_secret(SECRET[:10])

    class Odd:
        def __repr__(self) -> str:
            return f"<Odd {SECRET}>"

    logging.getLogger("x").error("library says %s", SECRET)
    log.info(f"event {SECRET}", odd=Odd(), deep={"a": [(SECRET,)]}, stack_info=True)
    try:
        raise RuntimeError(f"key {SECRET} refused") from ValueError(SECRET)
    except RuntimeError:
        log.exception("it.failed")
    text = json.dumps(logged())
    assert SECRET not in text and SECRET[:10] not in text and text.count(MASK) >= 5


@given(
    prefix=st.text(max_size=20),
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=40),
    suffix=st.text(max_size=20),
)
def test_no_text_around_a_known_secret_lets_it_through(prefix: str, secret: str, suffix: str) -> None:
    if secret in MASK:
        return
    forget_secrets()
    register_secret(secret)
    try:
        value = redact({"a": [f"{prefix}{secret}{suffix}"]})["a"][0]
        assert secret not in value.replace(MASK, "\0")
    finally:
        forget_secrets()


def test_short_values_do_not_mask_words() -> None:
    register_secret("dca")
    assert redact_text("dca-daemon") == "dca-daemon"
