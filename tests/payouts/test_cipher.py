"""Invoice keys at rest."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import ConfigError
from dca_daemon.payouts.cipher import MAKE_A_KEY, KeyRing

OLD, NEW, OTHER = KeyRing.generate(), KeyRing.generate(), KeyRing.generate()


@given(st.text())
@settings(max_examples=30, deadline=None)
def test_what_was_encrypted_comes_back(text: str) -> None:
    ring = KeyRing(OLD)
    token = ring.encrypt(text)
    assert ring.decrypt(token) == text
    assert ring.encrypt(text) != token, "equal texts can't be told from what is stored"


def test_a_key_is_rotated_without_losing_anything() -> None:
    token = KeyRing(OLD).encrypt("invoice key")
    both = KeyRing(f"# new on top\n{NEW}\n\n  {OLD}  \n")
    assert both.decrypt(token) == "invoice key"

    rotated = both.rotate(token)
    assert KeyRing(NEW).decrypt(rotated) == "invoice key"
    assert KeyRing(NEW).decrypt(both.encrypt("another")) == "another", "the first key encrypts"
    with pytest.raises(ConfigError):
        KeyRing(NEW).decrypt(token)


@pytest.mark.parametrize(
    "token",
    [KeyRing(OTHER).encrypt("x"), b"", b"garbage", "ü".encode()],
    ids=["another key", "empty", "garbage", "not ascii"],
)
def test_what_no_key_fits_is_one_clear_error(token: bytes) -> None:
    ring = KeyRing(f"{NEW}\n{OLD}")
    for call in (ring.decrypt, ring.rotate):
        with pytest.raises(ConfigError, match="none of the encryption keys fits") as raised:
            call(token)
        assert raised.value.remedy is not None


@pytest.mark.parametrize(
    "text",
    ["", "\n# only a comment\n", "tooshort", OLD[:-2], f"{OLD}\nsecretgarbage"],
    ids=["empty", "comment", "short", "cut", "garbage below"],
)
def test_a_wrong_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        KeyRing(text)
    assert raised.value.remedy is not None
    assert "secretgarbage" not in str(raised.value)


def test_a_key_ring_shows_no_key() -> None:
    assert OLD not in repr(KeyRing(OLD)) + str(vars(KeyRing(OLD)))


def test_the_command_that_is_offered_makes_a_key() -> None:
    command = MAKE_A_KEY.replace("dca-daemon", f"{sys.executable} -m dca_daemon")
    made = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
    assert KeyRing(made).decrypt(KeyRing(made).encrypt("x")) == "x"
