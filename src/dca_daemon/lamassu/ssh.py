"""One SSH connection: who answers is proven, and where it can't be had, why. Imported where there is a tunnel.

Nothing of the account's own ~/.ssh is read: what counts is in the settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import asyncssh

from dca_daemon.domain.errors import SourceError
from dca_daemon.domain.text import plain
from dca_daemon.lamassu.host_keys import HostKey
from dca_daemon.lamassu.tunnel import TunnelConfig, refused

_UNANSWERED = 2  # keepalives in a row; with the one that is due then, three intervals
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_PREFERRED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA)
_ALLOWED_THERE = 'restrict,port-forwarding,permitopen="127.0.0.1:5432"'
_CHECK_IT = (
    "if that server was set up anew, see `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on it, and set "
    "tunnel.host_key to what it says there; if it was not, somebody stands in between: find out who"
)


class SshWatcher(asyncssh.SSHClient):
    """Takes none but the pinned host keys, and tells of the end of the connection."""

    def __init__(self, pinned: Sequence[HostKey], on_lost: Callable[[SshWatcher, str], None]) -> None:
        self._pinned = {key.fingerprint for key in pinned}
        self._on_lost = on_lost
        self.shown: str | None = None
        self.lost: str | None = None  # why it has ended

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for every key: none is known beforehand."""
        fingerprint = key.get_fingerprint("sha256")
        self.shown = f"{key.get_algorithm()} {fingerprint}"
        return fingerprint in self._pinned

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whatever its reason."""
        self.lost = "closed by the server" if exc is None else plain(exc, 200) or type(exc).__name__
        self._on_lost(self, self.lost)


async def connect(config: TunnelConfig, watcher: SshWatcher) -> asyncssh.SSHClientConnection:
    """A new connection, with the server's identity proven. Raises `SourceError`; code `tunnel-refused` for what
    a person must mend."""
    if config.private_key is not None:
        key = _private_key(config.private_key)
        return await _connect(config, watcher, [key], _key_refused(config, key))
    try:
        agent = await asyncssh.connect_agent(config.agent or "")
        keys = await agent.get_keys()
    except (OSError, asyncssh.Error, ValueError) as error:
        raise SourceError(
            f"the ssh-agent at {config.agent} can't be asked: {plain(error, 200)}",
            remedy="see that it runs, for an account that the daemon's may talk to (tunnel.agent)",
        ) from None
    try:
        return await _connect(config, watcher, keys, _agent_refused(config, len(keys)))
    finally:
        agent.close()
        await agent.wait_closed()


async def _connect(
    config: TunnelConfig, watcher: SshWatcher, keys: Sequence[Any], no_entry: SourceError
) -> asyncssh.SSHClientConnection:
    # asyncssh asks where home is, though nothing there is read: a service's account may have none.
    os.environ.setdefault("HOME", "/nonexistent")
    try:
        return await asyncssh.connect(
            config.host,
            config.port,
            username=config.user,
            client_factory=lambda: watcher,
            config=None,
            # Three empty lists: nothing is trusted beforehand, and so `watcher` is asked. An empty text would
            # stand for ~/.ssh/known_hosts, and None for no check at all.
            known_hosts=([], [], []),
            server_host_key_algs=_algorithms(config.host_keys),
            client_keys=keys or None,  # None: none at all; an empty list would stand for those in ~/.ssh
            agent_path=None,
            preferred_auth="publickey",
            gss_host=None,
            x509_trusted_certs=None,
            connect_timeout=config.connect_timeout_seconds,
            keepalive_interval=config.keepalive_seconds,
            keepalive_count_max=_UNANSWERED,
        )
    except asyncssh.HostKeyNotVerifiable:
        raise _other_host_key(config, watcher) from None
    except asyncssh.PermissionDenied:
        raise no_entry from None
    except (OSError, asyncssh.Error, TimeoutError) as error:
        detail = plain(error, 200) or f"no answer for {config.connect_timeout_seconds:g} s"
        raise SourceError(
            f"the SSH server {config.place} can't be reached: {detail}",
            remedy="check tunnel.host and tunnel.port, and that sshd runs there",
        ) from None


def _algorithms(pinned: Sequence[HostKey]) -> list[str]:
    """The pinned kinds first, since a server shows one of its keys only; then others, to tell what it shows."""
    kinds = [key.kind for key in pinned if key.kind is not None]
    first = [name for kind in kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]
    return list(dict.fromkeys([name for name in first if name in _PREFERRED] + list(_PREFERRED)))


def _private_key(text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text + "\n")
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        text, remedy = "can't be read as one", "make one: ssh-keygen -t ed25519 -N '' -f tunnel.key"
        if "passphrase" in str(error).lower():
            text, remedy = "is protected by a passphrase", "use one without, or an ssh-agent (tunnel.agent)"
        raise refused(f"the private key tunnel.key {text}", remedy) from None


def _other_host_key(config: TunnelConfig, watcher: SshWatcher) -> SourceError:
    pinned = " or ".join(str(key) for key in config.host_keys)
    return refused(
        f"the SSH server {config.host}:{config.port} shows another host key than the pinned one: it shows "
        f"{watcher.shown}, tunnel.host_key is {pinned}. Nothing was sent to it",
        _CHECK_IT,
    )


def _key_refused(config: TunnelConfig, key: asyncssh.SSHKey) -> SourceError:
    line = key.export_public_key().decode("ascii", "replace").strip()
    return refused(
        f"the SSH server {config.place} refuses our key {key.get_fingerprint('sha256')}",
        f"put this line into ~/.ssh/authorized_keys of {config.user} there: {_ALLOWED_THERE} {line}",
    )


def _agent_refused(config: TunnelConfig, count: int) -> SourceError:
    holds = f"none of the {count} keys" if count else "no key: there is none"
    return refused(
        f"the SSH server {config.place} takes {holds} in the agent at {config.agent}",
        "see `ssh-add -l` with that agent, and ~/.ssh/authorized_keys of that account on the server",
    )
