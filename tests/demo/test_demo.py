"""The demo as a user starts it: the real thing, to its end; and what it says where LNbits can't be had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dca_daemon.demo.playing import _notes

KEYS = {
    "agrees", "cash_outs", "records", "payouts", "paid_sats", "owed_sats", "commission_sats", "fixed_sats",
    "seconds",
}  # fmt: skip


class Demo:
    """`dca-daemon demo` in a folder for temporary files of its own; knows every process that came of it."""

    def __init__(self, tmp_path: Path, lnbits_dir: Path) -> None:
        self.temporary = tmp_path / "temporary"
        self.temporary.mkdir()
        # All that it starts inherits the PATH, even where nothing else is passed on.
        self._mark = str(tmp_path / "mark")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DCA_")},
            "PATH": f"{os.environ['PATH']}:{self._mark}",
            "TMPDIR": str(self.temporary),
            "DCA_DEMO_LNBITS_DIR": str(lnbits_dir),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts it."""
        return subprocess.Popen(
            [sys.executable, "-m", "dca_daemon", "demo", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def processes(self) -> list[str]:
        """What runs of it, as command lines."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # somebody else's, or gone by now
        return found

    def assert_nothing_left(self) -> None:
        """No process, no file."""
        assert self.processes() == []
        assert list(self.temporary.iterdir()) == []


@pytest.mark.timeout(300)
def test_once_ends_with_everything_agreeing(tmp_path: Path, lnbits_install_dir: Path) -> None:
    demo = Demo(tmp_path, lnbits_install_dir)
    running = demo.start("--once", "--json")
    stdout, told = running.communicate(timeout=280)
    assert running.returncode == 0, told
    result = json.loads(stdout.splitlines()[-1])
    assert result.keys() == KEYS
    assert result["agrees"] is True
    assert 100 < result["cash_outs"] < 150, "a week's, what has come of today's, and the story's"
    assert 0 < result["payouts"] < result["records"] / 2, "a backlog becomes few payments"
    assert result["paid_sats"] > 5_000_000
    assert 0 < result["owed_sats"] < 100_000, "one payout is held"
    assert 0 < result["commission_sats"] < result["paid_sats"] / 10
    assert result["fixed_sats"] > 100_000, "by the clock of each day, and by hand"
    assert "taken back" in told
    assert "DIFFERS" not in told
    assert "kill -9" in told
    assert "Ana's own page: http://127.0.0.1:" in told
    demo.assert_nothing_left()


@pytest.mark.timeout(120)
def test_sigterm_leaves_nothing_behind(tmp_path: Path, lnbits_install_dir: Path) -> None:
    demo = Demo(tmp_path, lnbits_install_dir)
    running = demo.start("--once", "--json")
    assert running.stderr is not None
    told = ""
    while "people " not in told:  # PostgreSQL and LNbits run, the daemon is next
        line = running.stderr.readline()
        assert line, told
        told += line
    assert demo.processes()
    running.send_signal(signal.SIGTERM)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM, told + rest
    assert "Interrupted" in rest
    demo.assert_nothing_left()


def test_without_lnbits_it_says_so(tmp_path: Path) -> None:
    in_the_way = tmp_path / "a-file"
    in_the_way.touch()
    demo = Demo(tmp_path, in_the_way / "lnbits")
    running = demo.start("--once", "--json")
    stdout, told = running.communicate(timeout=60)
    assert running.returncode == 1
    assert stdout == "", "nothing is pretended"
    assert told.splitlines()[-1].startswith("error: LNbits can't be installed in ")
    assert "Traceback" not in told
    demo.assert_nothing_left()


@pytest.mark.parametrize(
    ("words", "fiat"),
    [
        ([], 500),
        (["700"], 700),
        (["150"], None),
        (["0"], None),
        (["-500"], None),
        (["1e5"], None),
        (["5000000000000"], None),
        (["500", "GTQ"], None),
        (["\u0665\u0660\u0660"], None),
    ],
)
def test_the_prompt_takes_what_a_machine_could_give(words: list[str], fiat: int | None) -> None:
    assert _notes(words) == fiat
