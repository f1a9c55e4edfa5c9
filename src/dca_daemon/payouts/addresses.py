"""What a host's name stands for, and whether that is out in the world or within our own network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from dca_daemon.domain.errors import WalletUnreachableError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


async def resolve(host: str, port: int) -> list[Address]:
    """Every address that the host has. Raises `WalletUnreachableError` for an unknown name."""
    try:
        return [ipaddress.ip_address(host.strip("[]"))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WalletUnreachableError(f"there is no address for {host}: {error}") from error
    # "fe80::1%eth0" has a scope that ipaddress understands; it is private anyhow.
    addresses = list(dict.fromkeys(ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in found))
    if not addresses:
        raise WalletUnreachableError(f"there is no address for {host}")
    return addresses


def is_public(address: Address) -> bool:
    """False for private, loopback, link-local, shared, reserved, multicast; and IPv6 around such an IPv4."""
    inner: Address | None = None
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            return False
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved
