"""What the site needs beyond MkDocs: pages from above the folder, links out of it, diagrams in the page."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages that stand at the top of the repository, where people look for them first.
FROM_ABOVE = {"readme.md": "README.md", "changes.md": "CHANGELOG.md"}
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<path>\.\./[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_PICTURE = re.compile(r'<img alt="[^"]*" src="(?P<path>diagrams/[\w-]+\.svg)"\s*/?>')
_MERMAID = re.compile(r"^```mermaid\n.*?^```$", re.MULTILINE | re.DOTALL)
_SEARCH = 'data-md-component="search" role="dialog"'
_OVERVIEW = "![Who gives what to whom](diagrams/overview.svg)"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from above, with links as from within this folder."""
    for name, source in FROM_ABOVE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        text = re.sub(r"\]\((?!docs/|[a-z]+:|#)", "](../", text).replace("](docs/", "](")
        files.append(File.generated(config, name, content=_MERMAID.sub(_OVERVIEW, text)))
    files.append(File.generated(config, "style.css", content=(ROOT / "docs/_site/style.css").read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to a page from above leads to it here; of a link to another file its path is left."""
    return _LINK.sub(_inward, markdown)


def _inward(found: re.Match[str]) -> str:
    path = found["path"].removeprefix("../")
    for name, source in FROM_ABOVE.items():
        if path == source:
            return f"[{found['text']}]({name}{found['anchor'] or ''})"
    if not (ROOT / path).exists():
        return found[0]  # the strict build names it
    return f"`{path}`" if found["text"] in path else f"{found['text']} (`{path}`)"


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme gives its search a role, and no name."""
    return output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"')


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Diagrams become part of the page, so that they take its colours."""
    return _PICTURE.sub(_inline, html)


def _inline(found: re.Match[str]) -> str:
    drawing = (ROOT / "docs" / found["path"]).read_text("utf-8")
    return f'<span class="frame" tabindex="0" role="group" aria-label="diagram">{drawing}</span>'
