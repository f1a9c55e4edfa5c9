"""Secrets in files that others of this computer can read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from dca_daemon.runtime.secrecy import exposed
from dca_daemon.runtime.settings import load_settings


def test_a_secret_that_others_can_read(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        path, credential = folder / "config.toml", folder / "lnbits.admin_key"
        path.write_text('[database]\nurl = "postgresql://dca:pw@127.0.0.1/dca"\n')
        credential.write_text("0123456789abcdef")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        folder.chmod(0o755)
        for file in (path, credential):
            file.chmod(0o644)
        assert list(exposed(load_settings(path))) == [
            (path, ["database.url"]),
            (credential, ["lnbits.admin_key"]),
        ]
        folder.chmod(0o700)  # who can't pass the folder reads nothing in it
        assert list(exposed(load_settings(path))) == []
        folder.chmod(0o755)
        for file in (path, credential):
            file.chmod(0o640)
        assert list(exposed(load_settings(path))) == []
        path.chmod(0o644)
        path.write_text('[pool]\ncurrency = "GTQ"\n')  # no secret in it: others may read it
        assert list(exposed(load_settings(path))) == []
