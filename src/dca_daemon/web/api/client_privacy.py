"""`/api/v1/clients/{id}/export`, and what is answered when a client is erased."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from dca_daemon.domain.rights import Scope
from dca_daemon.ledger.db import Database
from dca_daemon.services import client_data, clients
from dca_daemon.services.erasing import Erasure
from dca_daemon.web.api.values import Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import RowId
from dca_daemon.web.rights import scoped


class ErasureOut(Out):
    """What is gone of a client."""

    client_id: int
    name: str = Field(description="As it was.")
    name_after: str = Field(examples=["client-7 (erased)"])
    destinations: int
    personal_links: int
    tokens: int
    texts: dict[str, int] = Field(description="Rows in which its words stood, by table.")

    @classmethod
    def of(cls, done: Erasure) -> ErasureOut:
        return cls.from_view(done, texts=dict(done.texts))


router = APIRouter(prefix="/clients", tags=["clients"])


@router.get(
    "/{client_id}/export",
    summary="Export all that is kept of a client",
    dependencies=[Depends(scoped(Scope.ADMIN))],
    response_model=dict[str, Any],
)
async def export_client(request: Request, client_id: RowId) -> StreamingResponse:
    """For the client itself: the keys are in docs/client-data.md. No secret is in it."""
    return await data_json(desk_of(request).db, client_id)


async def data_json(db: Database, client_id: int) -> StreamingResponse:
    """All that is kept of a client, written as it is read. Raises `NotFoundError` before it begins."""
    await clients.show(db, str(client_id))
    return StreamingResponse(
        client_data.document(db, str(client_id)),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="client-{client_id}-data.json"'},
    )
