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
from dca_daemon.web.api import adjustments as adjustments_api
from dca_daemon.web.api import clients as clients_api
from dca_daemon.web.api import deposits as deposits_api
from dca_daemon.web.api import events as events_api
from dca_daemon.web.api import filters as filters_api
from dca_daemon.web.api import machines as machines_api
from dca_daemon.web.api import users as users_api
from dca_daemon.web.api import webhooks as webhooks_api
from dca_daemon.web.deeds import adjustments as adjustment_deeds
from dca_daemon.web.deeds import clients as client_deeds
from dca_daemon.web.deeds import deposits as deposit_deeds
from dca_daemon.web.deeds import filters as filter_deeds
from dca_daemon.web.deeds import machines as machine_deeds
from dca_daemon.web.deeds import users as user_deeds
from dca_daemon.web.desk import Desk
from dca_daemon.web.guard import guarded
from dca_daemon.web.live import Live
from dca_daemon.web.pages import account, cash_outs, clients, deposits, filters, login, machines, overview, users, webhooks
from dca_daemon.web.problems import PROBLEMS
from dca_daemon.web.api import cash_outs as cash_outs_api
from dca_daemon.web.api import deposits as deposits_api
from dca_daemon.web.api import events as events_api
from dca_daemon.web.api import webhooks as webhooks_api
from dca_daemon.web.deeds import cash_outs as cash_out_deeds
from dca_daemon.web.deeds import deposits as deposit_deeds
from dca_daemon.web.desk import Desk
from dca_daemon.web.guard import guarded
from dca_daemon.web.live import Live
from dca_daemon.web.rendering import environment, page, see_other
from dca_daemon.web.rights import at_least, scoped, sees_still

API_PATH = "/api/v1"

# What can be done, by the name that the API's documentation puts it under.
_DEEDS: dict[str, tuple[Action[Any, Any], ...]] = {
    "clients": deeds.clients.ACTIONS,
    "adjustments": deeds.adjustments.ACTIONS,
    "deposits": deeds.deposits.ACTIONS,
    "users": deeds.users.ACTIONS,
_DEEDS: dict[str, tuple[Action[Any, Any], ...]] = {
    "clients": (*client_deeds.ACTIONS, *adjustment_deeds.ACTIONS),
    "deposits": deposit_deeds.ACTIONS,
    "machines": (*machine_deeds.ACTIONS, *filter_deeds.ACTIONS),
    "users": user_deeds.ACTIONS,
}
_PAGES = (
    pages.overview,
    pages.clients,
    pages.deposits,
)
_API = (
    api.clients,
    api.adjustments,
    api.deposits,
    api.users,
)
_DEEDS = {"deposits": deposit_deeds.ACTIONS, "cash-outs": cash_out_deeds.ACTIONS}


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
    app.state.templates = environment()
    problems.install(app)
    for router in _page_routers():
        app.include_router(router)
    for router in _api_routers():
        app.include_router(router, prefix=API_PATH, responses=PROBLEMS)
    guarded(app, desk)
    return app


def _page_routers() -> list[APIRouter]:
    viewer, admin = at_least(Role.VIEWER), at_least(Role.ADMIN)
    sees = APIRouter(dependencies=[Depends(viewer)], include_in_schema=False)
    # Forms before lists: /deposits/record is no deposit's number.
    for actions in _DEEDS.values():
        sees.include_router(action_pages(actions))
    for module in _PAGES:
    for module in (overview, clients, deposits, machines, filters):
    for module in (overview, deposits, cash_outs):
        sees.include_router(module.router)
    return [
        static_files.router,
        pages.login.router,
        sees,
        pages.account.router,
        pages.users.router,
        live.router(viewer, sees_still),
        pages.webhooks.router(admin, page, see_other),
    ]


def _api_routers() -> list[APIRouter]:
    return [
        *(action_api(actions, tag) for tag, actions in _DEEDS.items()),
        *(module.router for module in _API),
        api.events.router(scoped(Scope.READ)),
        api.webhooks.router(scoped(Scope.ADMIN)),
        clients_api.router,
        adjustments_api.router,
        deposits_api.router,
        filters_api.router,
        machines_api.router,
        users_api.router,
        cash_outs_api.router,
        events_api.router(scoped(Scope.READ)),
        webhooks_api.router(scoped(Scope.ADMIN)),
    ]
