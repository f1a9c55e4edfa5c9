"""Who may ask for what: every route of the console, and the least that it takes. None may be missing."""

from __future__ import annotations

from dca_daemon.domain.rights import Role, Scope

PUBLIC = "public"
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN

Least = Role | Scope | str

# By path: what its GET takes, and what its POST takes.
PAGES: dict[str, dict[str, Least]] = {
    "/static/{stamp}/{name}": {"GET": PUBLIC},
    "/login": {"GET": PUBLIC, "POST": PUBLIC},
    "/login/link/{token}": {"GET": PUBLIC, "POST": PUBLIC},
    "/logout": {"POST": PUBLIC},
    "/live": {"GET": VIEWER},
    "/": {"GET": VIEWER},
    "/deposits": {"GET": VIEWER},
    "/deposits/{deposit_id}": {"GET": VIEWER},
    "/deposits/record": {"GET": OPERATOR, "POST": OPERATOR},
    "/deposits/{deposit_id}/confirm": {"GET": OPERATOR, "POST": OPERATOR},
    "/deposits/{deposit_id}/void": {"GET": OPERATOR, "POST": OPERATOR},
    "/deposits/give-back": {"GET": OPERATOR, "POST": OPERATOR},
    "/account": {"GET": VIEWER},
    "/account/password": {"POST": VIEWER},
    "/account/second-factor": {"POST": VIEWER},
    "/account/second-factor/off": {"POST": VIEWER},
    "/account/end-others": {"POST": VIEWER},
    "/users": {"GET": ADMIN},
    "/users/add": {"GET": ADMIN, "POST": ADMIN},
    "/users/{name}/role": {"GET": ADMIN, "POST": ADMIN},
    "/users/{name}/password": {"GET": ADMIN, "POST": ADMIN},
    "/users/{name}/disable": {"GET": ADMIN, "POST": ADMIN},
    "/users/{name}/enable": {"GET": ADMIN, "POST": ADMIN},
    "/tokens": {"GET": ADMIN, "POST": ADMIN},
    "/tokens/{token_id}/revoke": {"POST": ADMIN},
    "/webhooks": {"GET": ADMIN, "POST": ADMIN},
    "/webhooks/{webhook_id}": {"GET": ADMIN},
    "/webhooks/{webhook_id}/{deed}": {"POST": ADMIN},
    "/webhooks/deliveries/{delivery_id}/retry": {"POST": ADMIN},
}
# The same of the API, where a token's scope counts.
API: dict[str, dict[str, Least]] = {
    "/openapi.json": {"GET": PUBLIC},
    "/deposits": {"GET": Scope.READ, "POST": Scope.DEPOSITS},
    "/deposits/{deposit_id}": {"GET": Scope.READ},
    "/deposits/{deposit_id}/confirm": {"POST": Scope.DEPOSITS},
    "/deposits/{deposit_id}/void": {"POST": Scope.DEPOSITS},
    "/give-backs": {"POST": Scope.DEPOSITS},
    "/events": {"GET": Scope.READ},
    "/events/stream": {"GET": Scope.READ},
    "/users": {"GET": Scope.ADMIN, "POST": Scope.ADMIN},
    "/users/{name}/role": {"POST": Scope.ADMIN},
    "/users/{name}/password": {"POST": Scope.ADMIN},
    "/users/{name}/disable": {"POST": Scope.ADMIN},
    "/users/{name}/enable": {"POST": Scope.ADMIN},
    "/tokens": {"GET": Scope.ADMIN},
    "/tokens/{token_id}/revoke": {"POST": Scope.ADMIN},
    "/webhooks": {"GET": Scope.ADMIN, "POST": Scope.ADMIN},
    "/webhooks/{webhook_id}": {"GET": Scope.ADMIN},
    "/webhooks/{webhook_id}/deliveries": {"GET": Scope.ADMIN},
    "/webhooks/{webhook_id}/disable": {"POST": Scope.ADMIN},
    "/webhooks/{webhook_id}/test": {"POST": Scope.ADMIN},
    "/webhooks/deliveries/{delivery_id}/retry": {"POST": Scope.ADMIN},
}
