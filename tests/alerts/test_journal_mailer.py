"""The mailer of deploy/alerts/journald on real log lines of ours; journalctl and sendmail are stand-ins."""

from __future__ import annotations

import email
import email.policy
import io
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import structlog

from dca_daemon.runtime.logging import configure_logging
from tests.docs.sources import ROOT

REMOTE = Path("/lib/systemd/systemd-journal-remote")
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
FOLDER = ROOT / "deploy/alerts/journald"
JOURNALCTL = """#!/bin/sh
echo "$@" >> {at}/asked
for argument; do case "$argument" in --after-cursor=*) after="${{argument#--after-cursor=}}" ;; esac; done
tail -n +$((${{after:-0}} + 1)) {at}/journal
"""
SENDMAIL = """#!/bin/sh
test ! -e {at}/broken || exit 75
n=$(ls {at}/sent | wc -l)
cat > {at}/sent/$n
"""


def line(level: str, event: str, **fields: object) -> str:
    """What our own logging makes of it."""
    stream = io.StringIO()
    configure_logging(level="info", format="json", stream=stream)
    getattr(structlog.get_logger(), level)(event, **fields)
    return stream.getvalue().strip()


class Host:
    """A computer with a journal and a sendmail."""

    def __init__(self, at: Path) -> None:
        self.at = at
        (at / "sent").mkdir()
        (at / "journal").touch()
        for name, text in (("journalctl", JOURNALCTL), ("sendmail", SENDMAIL)):
            (at / name).write_text(text.format(at=at))
            (at / name).chmod(0o755)
        self.entries = 0

    def log(self, level: str, event: str, *, minutes_ago: float = 0, **fields: object) -> None:
        self.write(line(level, event, **fields), minutes_ago=minutes_ago)

    def write(self, message: str | list[int], *, minutes_ago: float = 0, **fields: str) -> None:
        self.entries += 1
        entry = {
            "__CURSOR": str(self.entries),
            "__REALTIME_TIMESTAMP": str(int((time.time() - 60 * minutes_ago) * 1e6)),
            "MESSAGE": message,
            **fields,
        }
        with (self.at / "journal").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def run(self, status: int = 0, **settings: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "JOURNALCTL": str(self.at / "journalctl"),
            "SENDMAIL": str(self.at / "sendmail"),
            "STATE_DIRECTORY": str(self.at),
            **settings,
        }
        command = ["/usr/bin/env", "python3", str(FOLDER / "dca-alert-mail")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        return done.stderr

    def mails(self) -> list[tuple[str, str]]:
        """Subject, without the host's name, and text of each."""
        found = []
        for path in sorted((self.at / "sent").iterdir(), key=lambda path: int(path.name)):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = mail.get_body()
            assert body is not None
            found.append((str(mail["Subject"]).partition(": ")[2], body.get_content()))
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_outage_is_one_mail_and_one_all_clear(host: Host) -> None:
    host.log("error", "lnbits.lost", error="connection refused", minutes_ago=61)
    host.log("info", "payout.postponed", seconds=60, minutes_ago=60)
    host.run(MAILTO="me@example.com")
    host.run()
    ((subject, text),) = host.mails()
    assert subject == "lnbits.lost"
    assert text.startswith("PAGE lnbits.lost\nLNbits can't be reached") and "What to do: Start LNbits" in text
    host.log("info", "lnbits.back", minutes_ago=1)
    host.run()
    assert len(host.mails()) == 1, "it may come and go"
    host.run(SETTLE_MINUTES="0")
    host.run(SETTLE_MINUTES="0")
    assert [subject for subject, _ in host.mails()] == ["lnbits.lost", "lnbits.lost is over"]
    assert host.mails()[1][1].startswith("OVER lnbits.lost, after 60 min")


def test_many_things_are_one_mail_and_known_ones_none(host: Host) -> None:
    for payout_id in ("one", "two", "two"):
        host.log("error", "payout.held", payout_id=payout_id, reason="look")
    host.log("info", "cash-out.duplicate", external_id="x")
    host.log("warning", "listener.lost")
    host.log("info", "listener.recovered")
    host.write("no JSON at all")
    host.write(list(json.dumps({"event": "wallet.short", "text": "\udcff"}).encode()))
    host.write("", MESSAGE_ID=UNIT_FAILED, UNIT="dca-daemon.service")
    host.run()
    ((subject, text),) = host.mails()
    assert subject == "payout.held, wallet.short, unit.failed"
    for part in ("(payout_id one)", "(payout_id two)", "(unit dca-daemon.service)"):
        assert text.count(part) == 1
    assert "duplicate" not in text and "listener" not in text
    host.log("error", "payout.held", payout_id="one", reason="look")
    host.run()
    assert len(host.mails()) == 1
    host.run(REPEAT_HOURS="0")
    assert [subject for subject, _ in host.mails()[1:]] == ["wallet.short, unit.failed"], "they last"


def test_a_mail_that_can_not_be_sent_is_sent_later(host: Host) -> None:
    host.log("error", "lnbits.lost")
    (host.at / "broken").touch()
    assert "sendmail failed with status 75" in host.run(status=1)
    (host.at / "broken").unlink()
    host.run()
    host.run()
    assert [subject for subject, _ in host.mails()] == ["lnbits.lost"]
    asked = (host.at / "asked").read_text().splitlines()
    assert "--since=-10min" in asked[0] and "--since=-10min" in asked[1] and "--after-cursor=1" in asked[2]


def journal_entry(message: str, number: int, unit: str, **fields: str) -> str:
    """In the form that systemd-journal-remote reads."""
    when = f"__REALTIME_TIMESTAMP={int(time.time() * 1e6) + number}\n__MONOTONIC_TIMESTAMP={number}\n"
    every = {"_BOOT_ID": "0123456789abcdef" * 2, "_SYSTEMD_UNIT": unit, "_UID": "0", "MESSAGE": message, **fields}
    return when + "".join(f"{name}={text}\n" for name, text in every.items()) + "\n"


@pytest.mark.skipif(not REMOTE.exists(), reason="systemd-journal-remote is not installed")
def test_it_reads_a_real_journal(host: Host) -> None:
    daemon, failed = "dca-daemon.service", {"UNIT": "dca-daemon.service", "MESSAGE_ID": UNIT_FAILED, "_PID": "1"}
    folder = host.at / "real"
    folder.mkdir()
    for number, entries in enumerate(
        (
            [
                journal_entry(line("error", "lnbits.lost", error="refused"), 1, daemon),
                journal_entry(line("error", "wallet.short"), 2, "other.service"),
                journal_entry("Failed with result 'exit-code'.", 3, "init.scope", **failed),
            ],
            [journal_entry(line("info", "lnbits.back"), 4, daemon)],
        )
    ):
        command = [str(REMOTE), f"--output={folder}/{number}.journal", "-"]
        subprocess.run(command, input="".join(entries), text=True, check=True, capture_output=True)
        host.run(JOURNALCTL=f"journalctl --directory={folder}", SETTLE_MINUTES="0")
    assert [subject for subject, _ in host.mails()] == ["lnbits.lost, unit.failed", "lnbits.lost is over"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_are_in_order(tmp_path: Path) -> None:
    for unit in ("dca-alert-mail.service", "dca-alert-mail.timer"):
        text = (FOLDER / unit).read_text()
        (tmp_path / unit).write_text(text.replace("/usr/local/lib/dca-alert-mail", str(FOLDER)))
    command = ["systemd-analyze", "verify", "--man=no", *(str(path) for path in tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
