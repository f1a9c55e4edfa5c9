"""Pages from templates: amounts with their unit, times with their zone, one look for states."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dca_daemon.domain.commission import percent_text
from dca_daemon.domain.money import fiat_per_btc, fiat_text, sats_text
from dca_daemon.domain.wording import detail_text, source_coins_text, source_fiat_text
from dca_daemon.runtime.version import program_version
from dca_daemon.web.desk import desk_of
from dca_daemon.web.navigation import MENU
from dca_daemon.web.static_files import static_path

NOTHING = "–"
_SAID = "dca-said"
_SAID_MAX_CHARS = 500

_TONES = {
    "good": ("settled", "distributed", "confirmed", "active", "ok", "done", "delivered", "released"),
    "busy": ("pending", "owed", "reserved", "invoiced", "submitted", "in-payout", "due", "gathered", "waiting"),
    "look": ("review", "held", "unknown", "warn", "given-up"),
    "bad": ("failed", "fail", "error"),
}


def environment(zone: ZoneInfo) -> Environment:
    """The templates, with what they may call. Everything is escaped; a name that is not given is an error."""
    env = Environment(
        loader=PackageLoader("dca_daemon.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(fiat=_fiat, sats=_sats, msat=_msat, price=_price, state=_state, or_dash=_or_dash)
    env.filters.update(when=partial(_when, zone), day=partial(_day, zone))
    env.filters.update(
        source_fiat=source_fiat_text,
        source_coins=source_coins_text,
        detail=_detail,
        part=_part,
        percent=percent_text,
    )
    env.globals.update(static=static_path, version=program_version(), menu=MENU)
    return env


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """A whole page. What the last deed said is shown once."""
    env: Environment = request.app.state.templates
    said = _heard(request)
    person = getattr(request.state, "person", None)
    text = env.get_template(template).render(
        request=request, person=person, said=said, zone=desk_of(request).zone, here=request.url.path, **values
    )
    response = HTMLResponse(text, status_code=status)
    if said is not None:
        response.delete_cookie(_SAID)
    return response


def see_other(request: Request, path: str, say: str | None = None) -> Response:
    """To another page after a deed; `say` is shown there."""
    response = RedirectResponse(path, status_code=303)
    if say:
        value = urlsafe_b64encode(say[:_SAID_MAX_CHARS].encode()).decode()
        response.set_cookie(
            _SAID, value, max_age=60, httponly=True, samesite="strict", secure=desk_of(request).secure
        )
    return response


def _heard(request: Request) -> str | None:
    try:
        return urlsafe_b64decode(request.cookies[_SAID]).decode()[:_SAID_MAX_CHARS]
    except (KeyError, ValueError):
        return None


def _fiat(minor: int | None, currency: str) -> str:
    return NOTHING if minor is None else fiat_text(minor, currency)


def _sats(sats: int | None) -> str:
    return NOTHING if sats is None else sats_text(sats)


def _msat(msat: int | None) -> str:
    """Millisatoshi, as sats with what is left."""
    if msat is None:
        return NOTHING
    return sats_text(msat // 1000) if msat % 1000 == 0 else f"{Decimal(msat) / 1000:,f} sats"


def _price(sats: int, minor: int, currency: str) -> str:
    """What a bitcoin cost: fiat for sats."""
    found = fiat_per_btc(sats, minor, currency)
    return NOTHING if found is None else f"{found:,.2f} {currency}/BTC"


def _when(zone: ZoneInfo, at: datetime | None) -> str | Markup:
    """A time in the pages' zone; machines read it exactly."""
    if at is None:
        return NOTHING
    local = at.astimezone(zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        local.isoformat(), local.isoformat(), local.strftime("%Y-%m-%d %H:%M:%S %Z")
    )


def _day(zone: ZoneInfo, at: datetime | None) -> str:
    return NOTHING if at is None else at.astimezone(zone).strftime("%Y-%m-%d")


def _state(name: str | None) -> str | Markup:
    """A state's name, as everywhere, in its tone."""
    if name is None:
        return NOTHING
    tone = next((tone for tone, names in _TONES.items() if name in names), "plain")
    return Markup('<span class="state {}">{}</span>').format(tone, name)


def _detail(detail: Mapping[str, Any], currency: str | None) -> str:
    return detail_text(detail, currency) or NOTHING


def _part(weight: int, weights: int) -> str:
    return f"{Decimal(weight) * 100 / weights:.4f} %" if weights else NOTHING


def _or_dash(value: object) -> object:
    return NOTHING if value is None or value == "" else value


def query(values: Mapping[str, object]) -> str:
    """`?a=1&b=2` of what is given."""
    from urllib.parse import urlencode

    kept = {name: str(value) for name, value in values.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""
