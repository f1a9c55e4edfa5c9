"""The few files that do not change: their address bears their content's hash, so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

FOLDER = Path(__file__).with_name("static")
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

router = APIRouter()


@cache
def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@cache
def static_path(name: str) -> str:
    """Where a file of ours is: /static/<hash>/<name>."""
    return f"/static/{hashlib.sha256(_content(name)).hexdigest()[:12]}/{name}"


_NAMES = frozenset(path.name for path in FOLDER.iterdir() if path.suffix in _TYPES)


@router.get("/static/{stamp}/{name}", include_in_schema=False)
def static_file(stamp: str, name: str) -> Response:
    """One of the files; never anything else of the disk."""
    if name not in _NAMES or static_path(name) != f"/static/{stamp}/{name}":
        raise HTTPException(404)
    return Response(
        _content(name),
        media_type=_TYPES[Path(name).suffix],
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
