"""What the source and the documents refer to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.sources import DOCUMENTS, ROOT, SOURCE, anchors


def test_documents_named_in_the_source_exist() -> None:
    named = {
        (name, str(path.relative_to(ROOT)))
        for path in SOURCE.rglob("*.py")
        for name in re.findall(r"docs/[\w-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert named
    missing = sorted(f"{name} (in {where})" for name, where in named if not (ROOT / name).is_file())
    assert not missing, "write " + ", ".join(missing)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_resolve(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert not broken, f"{path.name}: {', '.join(broken)}"


@pytest.mark.parametrize("service", ["daemon", "backup"])
def test_the_unit_is_what_the_settings_expect(service: str) -> None:
    """Each credential has the name of a secret setting, and is pointed at by the variable of that setting."""
    from dca_daemon.runtime.settings_model import SECTIONS

    unit = (ROOT / f"deploy/systemd/dca-{service}.service").read_text(encoding="utf-8")
    secrets = {f"{name}.{key}" for name, cls in SECTIONS.items() for key in cls.secret_keys()}
    for_backups = {name for name in secrets if name.startswith("backup.")}
    secrets = {"database.url", *for_backups} if service == "backup" else secrets - for_backups
    loaded = set(re.findall(r"^#?LoadCredential=([\w.]+):/etc/dca-daemon/\1$", unit, re.MULTILINE))
    pointed = set(re.findall(r"^#?Environment=(DCA_\w+)=%d/([\w.]+)$", unit, re.MULTILINE))
    assert loaded - {"config.toml"} == secrets
    assert pointed == {(f"DCA_{name.replace('.', '__').upper()}_FILE", name) for name in secrets}
