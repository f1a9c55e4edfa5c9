"""A host on a network of its own that can vanish without a word, and come back knowing nothing of its connections.

In front of a partner that listens on loopback: a bridge, and behind it a network namespace with an address. What
connects there is passed on to the partner. `vanish` takes the namespace's cable away and drops the namespace, so
that no FIN and no RST ever arrives; `come_back` makes a new one with the same address.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_numbers = iter(range(1, 1000))


def needs_namespaces() -> None:
    """Skips the test, and says why, where this process may not make networks."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a link that is cut without a word needs root and iproute2 (network namespaces)")
    if subprocess.run(["ip", "link", "add", _name("try"), "type", "bridge"], capture_output=True).returncode:
        pytest.skip("this machine's kernel lets nobody make a network (ip link add … type bridge)")
    _ip("link", "del", _name("try"))


def _name(kind: str) -> str:
    return f"d{kind}{os.getpid()}"[:15]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class VanishingHost:
    """One partner's port as seen at `address:port`. Use as an asynchronous context."""

    def __init__(self, partner_port: int) -> None:
        self._partner_port = partner_port
        self._number = next(_numbers)
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        network = f"10.213.{(4 * worker + os.getpid()) % 250}"
        self._gateway = f"{network}.{4 * self._number + 1}"
        self.address = f"{network}.{4 * self._number + 2}"
        self.port = 5000
        self._bridge = _name(f"b{self._number}")
        self._link = _name(f"v{self._number}")
        self._namespace = _name(f"n{self._number}")
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._swallows = False
        self.swallowed = asyncio.Event()

    async def __aenter__(self) -> VanishingHost:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self._gateway}/30", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()
        _ip("link", "del", self._bridge)

    def swallow(self) -> None:
        """From now on takes what is sent to it, and neither passes it on nor answers."""
        self._swallows = True
        self.swallowed.clear()

    async def come_back(self) -> None:
        """Is there again, with the address that it had, and with no connection."""
        self._swallows = False
        mac = f"02:00:00:00:00:{self._number:02x}"
        _ip("netns", "add", self._namespace)
        _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _ip("link", "set", self._link, "master", self._bridge, "up")
        _ip("-n", self._namespace, "link", "set", "eth0", "address", mac)
        _ip("-n", self._namespace, "addr", "add", f"{self.address}/30", "dev", "eth0")
        _ip("-n", self._namespace, "link", "set", "eth0", "up")
        self._server = await asyncio.start_server(self._accepted, sock=self._listening_socket())

    async def vanish(self) -> None:
        """Is gone, and tells nobody."""
        if self._server is None:
            return
        _ip("link", "del", self._link)
        _ip("netns", "del", self._namespace)
        self._server.close()
        self._server = None
        for relay in list(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    def _listening_socket(self) -> socket.socket:
        """A socket belongs to the namespace that its thread was in when it was made."""
        made: list[socket.socket] = []

        def make() -> None:
            with (Path("/run/netns") / self._namespace).open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_server((self.address, self.port)))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            if self._swallows:
                self.swallowed.set()
                continue
            target.write(data)
            await target.drain()
        target.write_eof()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        upstream = None
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                back, upstream = await asyncio.open_connection("127.0.0.1", self._partner_port)
                await asyncio.gather(self._pass_on(reader, upstream), self._pass_on(back, writer))
        finally:
            self._relays.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()
