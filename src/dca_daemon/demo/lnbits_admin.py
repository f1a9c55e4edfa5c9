"""What an LNbits operator does by hand, done over its API: the first install, wallets, top-ups, settings.

For the demo and the tests only: the daemon itself never needs the super user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from dca_daemon.domain.errors import WalletError

MAX_TOP_UP_SATS = 10_000_000  # more at once is refused


@dataclass(frozen=True, slots=True)
class WalletKeys:
    """A wallet in an account of its own. `lightning_address` is the part before the @."""

    id: str
    adminkey: str = field(repr=False)
    inkey: str = field(repr=False)
    lightning_address: str | None
    user_id: str


class LnbitsAdmin:
    """The super user of one LNbits. Blocking calls; each raises `WalletError` when LNbits refuses."""

    def __init__(self, url: str, *, username: str, password: str) -> None:
        self.url = url
        self._username = username
        self._password = password
        self._token: str | None = None

    def first_install(self) -> None:
        """Sets the super user's name and password on a fresh data folder."""
        body = {
            "username": self._username,
            "password": self._password,
            "password_repeat": self._password,
        }
        self._token = self._send("PUT", "/api/v1/auth/first_install", json=body)["access_token"]

    def login(self) -> None:
        """Fetches a token; the other calls do it themselves when they need one."""
        body = {"username": self._username, "password": self._password}
        self._token = self._send("POST", "/api/v1/auth", json=body)["access_token"]

    def create_wallet(self, name: str) -> WalletKeys:
        """A new account with one empty wallet, which looks up no fiat rates."""
        answer = self._send("POST", "/api/v1/account", json={"name": name})
        keys = WalletKeys(
            id=answer["id"],
            adminkey=answer["adminkey"],
            inkey=answer["inkey"],
            lightning_address=answer.get("lightning_address"),
            user_id=answer["user"],
        )
        self.set_currency(keys.adminkey, "")
        return keys

    def set_currency(self, adminkey: str, currency: str) -> None:
        """The wallet's fiat currency; with "" no payment waits for a price source."""
        self._send("PATCH", "/api/v1/wallet", key=adminkey, json={"currency": currency})

    def top_up(self, wallet_id: str, sats: int) -> None:
        """Gives the wallet that many sats out of nothing: on FakeWallet the only source of money."""
        while sats > 0:
            part = min(sats, MAX_TOP_UP_SATS)
            self._send_as_super_user("PUT", "/users/api/v1/balance", {"id": wallet_id, "amount": part})
            sats -= part

    def balance_msat(self, key: str) -> int:
        """The balance of the wallet with that invoice or admin key."""
        return int(self._send("GET", "/api/v1/wallet", key=key)["balance"])

    def records(self, key: str, **filters: str) -> list[dict[str, Any]]:
        """That wallet's payments, the failed ones too, oldest first, at most 1000."""
        query = {"limit": "1000", "sortby": "time", "direction": "asc", **filters}
        answer = self._send("GET", "/api/v1/payments/paginated", key=key, params=query)
        rows: list[dict[str, Any]] = answer["data"]
        return rows

    def delete_wallet(self, keys: WalletKeys) -> None:
        """Deletes the wallet as its user's operator would; its unpaid invoices stay payable."""
        self._send_as_super_user("DELETE", f"/users/api/v1/user/{keys.user_id}/wallet/{keys.id}")

    def set_rate_limit(self, requests: int, unit: str = "minute") -> None:
        """From now on so many requests per unit, client address and path; counters start anew."""
        self.change_settings({"lnbits_rate_limit_no": requests, "lnbits_rate_limit_unit": unit})

    def change_settings(self, settings: Mapping[str, object]) -> None:
        """Changes settings of the running LNbits; they outlast a restart."""
        self._send_as_super_user("PATCH", "/admin/api/v1/settings", settings)

    def _send_as_super_user(self, method: str, path: str, json: Mapping[str, object] | None = None) -> Any:
        if self._token is None:
            self.login()
        return self._send(method, path, json=json, headers={"Authorization": f"Bearer {self._token}"})

    def _send(
        self,
        method: str,
        path: str,
        *,
        key: str | None = None,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        sent_headers = {**(headers or {}), **({"X-Api-Key": key} if key else {})}
        try:
            answer = httpx.request(
                method,
                self.url + path,
                json=json,
                params=params,
                headers=sent_headers,
                timeout=60,
                trust_env=False,
            )
        except httpx.HTTPError as error:
            raise WalletError(f"LNbits at {self.url} did not answer {method} {path}: {error}") from error
        if not answer.is_success:
            raise WalletError(f"LNbits refused {method} {path} with {answer.status_code}: {answer.text[:200]}")
        return answer.json()
