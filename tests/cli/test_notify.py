"""`dca-daemon notify test` sends what it says, tells who did not take it, and shows no address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dca_daemon.cli.examination import examine_all
from dca_daemon.cli.main import execute
from dca_daemon.services.doctor import Level
from tests.runtime.receiver import receiver

SECRET = "tgram://123456789:abcdefg_hijklmnop/12315544/"


def called(path: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    status = execute(["--config", str(path), "notify", "test", *arguments])
    out, err = capfd.readouterr()
    assert "Pa55word" not in out + err and "hijklmnop" not in out + err and "Traceback" not in err
    return status, out, err


def configured(tmp_path: Path, urls: str, **more: object) -> Path:
    path = tmp_path / "dca.toml"
    table = {"urls": urls, **more}
    path.write_text("[notify]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items()))
    return path


def test_a_test_message_is_sent_to_each(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with receiver() as one, receiver() as other:
        path = configured(tmp_path, f"# mine\n{one.url}\n\n{other.url}\n", name="Antigua")
        assert called(path, capfd) == (0, "json 1: sent\njson 2: sent\n", "")
        assert [told["title"] for told in (*one.messages, *other.messages)] == ["Antigua: a test"] * 2
        other.refusing = True
        status, out, err = called(path, capfd)
        assert status == 1 and out.startswith("json 1: sent\njson 2: ") and "503" in out
        assert err == "error: 1 of 2 could not be sent to, the first: json 2\n"
        status, out, _ = called(path, capfd, "--json")
        first, second = json.loads(out)["targets"]
        assert (status, first) == (1, {"name": "json 1", "sent": True, "reason": None})
        assert (second["sent"], "503" in second["reason"]) == (False, True)


@pytest.mark.parametrize(
    ("urls", "more", "words"),
    [
        ("", {}, "nobody is notified: notify.urls is not set"),
        (f"{SECRET}\nhijklmnop", {}, "setting notify.urls (from file): line 2 must be an address like ntfys://"),
        (f"{SECRET}\nbogus://hijklmnop", {}, "setting notify.urls: line 2 is no address that apprise knows"),
        (SECRET, {"severity": "loud"}, "setting notify.severity"),
        (SECRET, {"group_seconds": 0}, "setting notify.group_seconds = 0 (from file): must be greater"),
        (SECRET, {"repeat_hours": True}, "must be a number, not true or false"),
        (SECRET, {"minimum": "page"}, "unknown setting notify.minimum"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], urls: str, more: dict[str, object], words: str
) -> None:
    status, out, err = called(configured(tmp_path, urls, **more), capfd)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert words in err


def test_doctor_finds_an_address_that_is_none(tmp_path: Path) -> None:
    for urls, level in ((SECRET, Level.OK), (f"{SECRET}\nbogus://hijklmnop", Level.FAIL)):
        (finding,) = [f for f in examine_all(configured(tmp_path, urls)) if f.name == "notify"]
        assert finding.level is level and "hijklmnop" not in finding.text


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"disk_paths": ["var"]}, "setting watch.disk_paths"),
        ({"disk_free_percent": 100}, "setting watch.disk_free_percent"),
        ({"wallet_low_sats": -1}, "setting watch.wallet_low_sats"),
        ({"unknown_minutes": "soon"}, "setting watch.unknown_minutes"),
    ],
)
def test_so_is_what_is_watched(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], table: dict[str, object], words: str
) -> None:
    path = tmp_path / "dca.toml"
    path.write_text("[watch]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items()))
    status, _, err = called(path, capfd)
    assert status == 1 and words in err
