"""The site is built strictly: links and anchors lead somewhere, pages are in the menu; and it needs nobody."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import diagrams
from tests.docs.sources import ROOT

_LOADED = re.compile(r'<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)="(https?:)?//[^"]*"')


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "--site-dir",
            tmp_path,
        ],  # with --quiet it would not be strict
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stderr
    pages = list(tmp_path.glob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not _LOADED.search(text), page.name
        assert "mermaid" not in text, page.name
    assert 'class="diagram"' in (tmp_path / "architecture.html").read_text(encoding="utf-8")


def test_the_diagrams_are_as_drawn() -> None:
    folder = ROOT / "docs/diagrams"
    drawn = {f"{name}.svg": draw() for name, draw in diagrams.DIAGRAMS.items()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert kept == drawn, "renew them: python docs/_site/diagrams.py"
    shown = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    assert not [name for name in kept if f"diagrams/{name}" not in shown]
