"""`/api/v1/system`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.runtime.version import program_version
from dca_daemon.web.api.values import Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rights import scoped
from dca_daemon.web.versions import versions_of


class SystemOut(Out):
    """The console's version, and how the daemon says that it stands."""

    console_version: str
    daemon: dict[str, Any] | None = Field(description="The daemon's /status; null when it does not answer.")
    ready: dict[str, Any] | None = Field(description="Its /readyz.")
    why: str | None = Field(description="Why there is no answer.")
    versions: dict[str, str] = Field(description="Of programs, libraries, and the schema of the books.")


router = APIRouter(prefix="/system", tags=["system"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="How the daemon stands")
async def show_system(request: Request) -> SystemOut:
    """At most two seconds old."""
    desk = desk_of(request)
    found = await desk.daemon.read()
    return SystemOut(
        console_version=program_version(),
        daemon=None if found.status is None else dict(found.status),
        ready=None if found.ready is None else dict(found.ready),
        why=found.why,
        versions=await versions_of(desk),
    )
