"""A configuration that was written for an older version: old names still work, and the operator is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dca_daemon.cli.examination import examine_all
from dca_daemon.domain.errors import ConfigError
from dca_daemon.runtime.settings import load_settings
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_renamed import GONE, RENAMED, Renamed, tell
from dca_daemon.runtime.settings_sources import Source


def write(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text)


def test_an_old_name_in_the_file(clean_environment: Path, logged: Callable[[], list[dict[str, Any]]]) -> None:
    write(clean_environment, "[reconcile]\ndays = 12")
    settings = load_settings()
    assert settings.reconcile.window_days == 12
    assert settings.source_of("reconcile.window_days") is Source.FILE
    tell(settings.renamed)
    (line,) = logged()
    assert (line["event"], line["level"]) == ("settings.renamed", "warning")
    assert (line["old"], line["new"], line["where"]) == ("reconcile.days", "reconcile.window_days", "file")
    (warned,) = [found for found in examine_all(None) if found.name == "renamed"]
    assert warned.level == "warn" and "reconcile.days is called reconcile.window_days" in warned.text


def test_an_old_name_in_the_environment_wins_over_the_file(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean_environment, "[reconcile]\nwindow_days = 12")
    monkeypatch.setenv("DCA_RECONCILE__DAYS", "13")
    settings = load_settings()
    assert settings.reconcile.window_days == 13
    assert settings.source_of("reconcile.window_days") is Source.ENV
    assert settings.renamed == [Renamed("reconcile.days", "reconcile.window_days", "DCA_RECONCILE__DAYS")]
    assert "DCA_RECONCILE__WINDOW_DAYS" in settings.renamed[0].remedy


def test_both_names_in_one_place_are_refused(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(clean_environment, "[reconcile]\ndays = 12\nwindow_days = 13")
    with pytest.raises(ConfigError, match=r"^reconcile\.days is the old name of reconcile\.window_days: set one"):
        load_settings()
    write(clean_environment, "")
    monkeypatch.setenv("DCA_RECONCILE__DAYS", "13")
    monkeypatch.setenv("DCA_RECONCILE__WINDOW_DAYS", "13")
    with pytest.raises(ConfigError, match=r"^DCA_RECONCILE__DAYS is the old name of DCA_RECONCILE__WINDOW_DAYS"):
        load_settings()


def test_a_wrong_value_is_refused_by_the_new_name(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean_environment, "[reconcile]\ndays = 0")
    with pytest.raises(ConfigError, match=r"^setting reconcile\.window_days = 0 \(from file\): must be greater"):
        load_settings()
    monkeypatch.setenv("DCA_RECONCILE__DAYS", "many")
    with pytest.raises(ConfigError, match="must be a whole number"):
        load_settings()


def test_what_is_gone_is_refused_with_what_takes_its_place(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clean_environment, "[lamassu]\ncoins = ['BTC']")
    with pytest.raises(ConfigError, match=r"^setting lamassu\.coins is gone: .*filter add coin LN") as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 1
    write(clean_environment, "lamassu = 3\nreconcile = 4")
    monkeypatch.setenv("DCA_LAMASSU__COINS", "BTC")
    with pytest.raises(ConfigError, match="setting DCA_LAMASSU__COINS is gone") as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 3


def test_the_tables_name_what_is_not_there_and_what_is() -> None:
    known = {f"{name}.{key}" for name, cls in SECTIONS.items() for key in cls.model_fields}
    assert set(RENAMED.values()) <= known
    assert not known & (set(RENAMED) | set(GONE))
