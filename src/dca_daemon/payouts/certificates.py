"""The certificates that we trust: reading them takes longer than a page, or a payment's step, may."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

import httpx


def trusted() -> ssl.SSLContext:
    """Read once. Honours SSL_CERT_FILE and SSL_CERT_DIR, where httpx' trust_env would also take a proxy."""
    return _read(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _read(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()
