"""The console's application: every page, every endpoint, and what guards them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.runtime.version import program_version
from dca_daemon.web import api, deeds, live, pages, problems, static_files
from dca_daemon.web.action_api import action_api
from dca_daemon.web.action_pages import action_pages
from dca_daemon.web.actions import Action
from dca_daemon.web.desk import Desk
from dca_daemon.web.guard import guarded
from dca_daemon.web.live import Live
from dca_daemon.web.problems import PROBLEMS
from dca_daemon.web.rendering import environment
from dca_daemon.web.rights import at_least, scoped, sees_still

API_PATH = "/api/v1"

# What can be done, by the name that the API's documentation puts it under.
DEEDS: dict[str, tuple[Action[Any, Any], ...]] = {
    "clients": (
        *deeds.clients.ACTIONS,
        *deeds.client_access.ACTIONS,
        *deeds.client_privacy.ACTIONS,
        *deeds.adjustments.ACTIONS,
    ),
    "deposits": deeds.deposits.ACTIONS,
    "cash-outs": deeds.cash_outs.ACTIONS,
    "payouts": deeds.payouts.ACTIONS,
    "distributions": deeds.distributions.ACTIONS,
    "fixed": deeds.fixed.ACTIONS,
    "commission": deeds.commission.ACTIONS,
    "machines": (*deeds.machines.ACTIONS, *deeds.filters.ACTIONS),
    "treasury": deeds.treasury.ACTIONS,
    "users": deeds.users.ACTIONS,
    "tokens": deeds.tokens.ACTIONS,
    "webhooks": deeds.webhooks.ACTIONS,
}
_PAGES = (
    pages.overview,
    pages.clients,
    pages.deposits,
    pages.cash_outs,
    pages.payouts,
    pages.distributions,
    pages.fixed,
    pages.commission,
    pages.machines,
    pages.filters,
    pages.treasury,
    pages.periods,
    pages.reconciliation,
    pages.ledger,
    pages.system,
    pages.audit,
)
_API = (
    api.clients,
    api.client_access,
    api.client_privacy,
    api.adjustments,
    api.deposits,
    api.cash_outs,
    api.payouts,
    api.distributions,
    api.fixed,
    api.commission,
    api.machines,
    api.filters,
    api.treasury,
    api.periods,
    api.reconciliations,
    api.ledger,
    api.audit,
    api.system,
    api.users,
    api.webhooks,
    api.own,
)


def create_app(desk: Desk, streams: Live) -> FastAPI:
    """The application on this desk."""
    app = FastAPI(
        title="dca-daemon",
        version=program_version(),
        openapi_url=f"{API_PATH}/openapi.json",
        docs_url=None,  # its pages would be fetched from elsewhere
        redoc_url=None,
    )
    app.state.desk = desk
    app.state.live = streams
    app.state.templates = environment(desk.zone)
    problems.install(app)
    for router in _page_routers():
        app.include_router(router)
    _include_api(app)
    guarded(app, desk)
    return app


def api_alone() -> FastAPI:
    """The API's endpoints without anything behind them, to be described."""
    app = FastAPI(title="dca-daemon", version=program_version())
    _include_api(app)
    return app


def _include_api(app: FastAPI) -> None:
    for router in api_routers():
        app.include_router(router, prefix=API_PATH, responses=PROBLEMS)


def _page_routers() -> list[APIRouter]:
    viewer = at_least(Role.VIEWER)
    sees = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)
    # Forms before lists: /deposits/record is no deposit's number.
    for actions in DEEDS.values():
        sees.include_router(action_pages(actions))
    for module in _PAGES:
        sees.include_router(module.router)
    return [
        static_files.router,
        pages.login.router,
        sees,
        pages.account.router,
        pages.users.router,
        pages.own.router,
        live.router(viewer, sees_still),
        pages.webhooks.router,
    ]


def api_routers() -> list[APIRouter]:
    """Every endpoint of the API, without its prefix."""
    return [
        *(action_api(actions, tag) for tag, actions in DEEDS.items()),
        action_api(deeds.own.ACTIONS, "me"),
        *(module.router for module in _API),
        api.events.router(scoped(Scope.READ)),
    ]
