"""The wheel has all that an installation needs: it sets itself up and works where the repository is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from tests.fixtures.postgres import LamassuDb, TestDb

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.M)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--wheel", "--quiet", "--out-dir", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_brings_everything_along(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    versions = {f"dca_daemon/_alembic/versions/{p.name}" for p in (ROOT / "alembic" / "versions").glob("*.py")}
    assert versions and versions <= names
    units = {f"dca_daemon/systemd/{p.name}" for p in (ROOT / "deploy/systemd").iterdir()}
    assert units and units <= names
    assert {
        "dca_daemon/_alembic/env.py",
        "dca_daemon/_alembic/script.py.mako",
        "dca_daemon/_alembic/alembic.ini",
        "dca_daemon/config.example.toml",
        "dca_daemon/requirements.lock",
        "dca_daemon/py.typed",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_it_is_installed_with_the_versions_that_are_tested() -> None:
    """Everything that the program needs, by hash, and in no other version than here."""
    text = (ROOT / "src/dca_daemon/requirements.lock").read_text()
    ours, tested = dict(PINNED.findall(text)), dict(PINNED.findall((ROOT / "requirements.lock").read_text()))
    assert ours.items() <= tested.items(), "renew it: make lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[\[<>=~ ;]", line)[0].lower() for line in project["dependencies"]}
    assert needed <= ours.keys(), "renew it: make lock"
    assert text.count("--hash=sha256:") >= len(ours)


def test_a_wheel_sets_itself_up_and_works(
    wheel: Path, tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin
) -> None:
    venv = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    python = venv / "bin/python"
    subprocess.run([UV, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel], check=True)
    # What it depends on is lent by our own environment, but not the program itself.
    (site,) = venv.glob("lib/python3*/site-packages")
    assert (site / "dca_daemon").is_dir()
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DCA_", "PYTHON"))}
    environment |= {
        "DCA_DATABASE__URL": books_db.dsn,
        "DCA_LAMASSU__DSN": lamassu_db.reader_dsn,
        "DCA_LNBITS__ADMIN_KEY": lnbits.create_wallet("source").adminkey,
    }

    def said(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    program = venv / "bin/dca-daemon"
    assert said(program, "version").startswith("dca-daemon ")
    folder = tmp_path / "etc"
    said(program, "init", "--yes", "--dir", folder, "--currency", "GTQ", "--lnbits-url", lnbits.url)
    environment = {name: value for name, value in environment.items() if not name.startswith("DCA_")}
    assert "already" in said(program, "--config", folder / "config.toml", "db", "upgrade")
    assert "0 failed" in said(program, "--config", folder / "config.toml", "doctor")
