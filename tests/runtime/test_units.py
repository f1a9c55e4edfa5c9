"""The units in deploy/systemd, as systemd reads them; `make systemd` runs them under a real one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dca_daemon.runtime.setting_up.folder import CONFIG_NAME
from dca_daemon.runtime.settings_model import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy/systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
NEWER_THAN_SOME = ("RestartSteps", "RestartMaxDelaySec")  # systemd before 254 says that it does not know them
EXPOSURE_MAX = 1.5

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")


@needs_systemd
def test_systemd_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    for unit in UNITS:  # where the program is not installed, that is all that would be said
        text = unit.read_text().replace("/usr/local/bin/dca-daemon", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    copies = sorted(str(path) for path in tmp_path.iterdir())
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True)
    ours = [line for line in found.stderr.splitlines() if str(tmp_path) in line or "dca-" in line]
    assert [line for line in ours if not any(name in line for name in NEWER_THAN_SOME)] == []


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    threshold = f"--threshold={EXPOSURE_MAX * 10:.0f}"
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", threshold, "--no-pager", str(unit)],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-500:]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_secret_is_handed_over_and_named_to_the_program(unit: Path) -> None:
    text = unit.read_text()
    loaded = re.findall(r"^#?LoadCredential=([\w.]+):/etc/dca-daemon/([\w.]+)$", text, re.M)
    named = dict(re.findall(r"^#?Environment=(DCA_\w+)=%d/([\w.]+)$", text, re.M))
    secrets = [name for name, file in loaded if name == file and name != CONFIG_NAME]
    assert len(secrets) == len([name for name, _ in loaded if name != CONFIG_NAME])
    for name in secrets:
        section, _, key = name.partition(".")
        assert f"{key}_file" in SECTIONS[section].model_fields
        assert named.pop(f"DCA_{section}__{key}_FILE".upper()) == name
    assert named == {}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing")
def test_shellcheck_finds_nothing_in_our_scripts() -> None:
    scripts = sorted((ROOT / "deploy").rglob("*.sh"))
    assert subprocess.run(["shellcheck", *scripts], capture_output=True).stdout == b""


def test_the_script_refuses_what_it_can_not_install(tmp_path: Path) -> None:
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHON": sys.executable}
        script = ROOT / "deploy/install.sh"
        return subprocess.run([script, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True)

    assert "--uninstall" in run("--help").stdout
    assert run("--nonsense").returncode == run("one.whl", "two.whl").returncode == 2
    none = tmp_path / "none.whl"
    none.write_text("no wheel")
    refused = [run("nowhere.whl"), run(none)]
    assert [one.returncode for one in refused] == [1, 1]
    if os.geteuid() == 0:
        assert [one.stderr.splitlines()[-1] for one in refused] == [
            "error: there is no nowhere.whl",
            f"error: {none} is not a wheel",
        ]
