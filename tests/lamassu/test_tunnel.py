"""The way through SSH, against a real sshd; against asyncssh's own server what a real one can't be made to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import asyncssh
import psutil
import psycopg
import pytest
from structlog.testing import capture_logs

from dca_daemon.domain.errors import ConfigError, SourceError
from dca_daemon.lamassu import own_account, tunnel
from dca_daemon.lamassu.connection import SourceConfig, connect
from dca_daemon.lamassu.host_keys import parse_host_keys
from dca_daemon.lamassu.tunnel import REFUSED_CODE, Tunnel, TunnelConfig
from tests.e2e.conftest import eventually
from tests.fixtures.postgres import LamassuDb
from tests.fixtures.sshd import HOST, Sshd, agent_at, make_key


def to(sshd: Sshd, **others: Any) -> Tunnel:
    """A tunnel to that server, as it should be but for `others`."""
    values: dict[str, Any] = {
        "host": HOST,
        "port": sshd.port,
        "user": sshd.user,
        "host_keys": parse_host_keys(sshd.host_key),
        "private_key": sshd.key.strip(),
        "connect_timeout_seconds": 30.0,
    }
    return Tunnel(TunnelConfig(**{**values, **others}), telling=True)


@asynccontextmanager
async def through(way: Tunnel, lamassu_db: LamassuDb) -> AsyncIterator[SourceConfig]:
    config = SourceConfig(dsn=lamassu_db.reader_dsn, connect_timeout_seconds=3, tunnel=way)
    try:
        yield config
    finally:
        await config.close()


async def connects(config: SourceConfig) -> bool:
    async with await connect(config) as conn:
        return (await (await conn.execute("SELECT current_user::text")).fetchone()) == ("dca_reader",)


async def refusal(config: SourceConfig) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await connect(config)
    return caught.value


async def refuses(config: SourceConfig, words: str) -> None:
    """Soon: right after a failure it is told again, and nothing is tried."""

    async def does() -> bool:
        return words in (await refusal(config)).message

    await eventually(does)


async def down(way: Tunnel) -> None:
    await eventually(lambda: not way.up)


async def test_it_is_lost_and_comes_back(sshd: Sshd, lamassu_db: LamassuDb) -> None:
    way = to(sshd)
    with capture_logs() as logs:
        async with through(way, lamassu_db) as config:
            assert not way.up and way.trouble is None
            conn = await connect(config)
            assert way.up and sshd.user in config.place
            sshd.drop()
            await down(way)
            assert way.trouble is not None and "lost" in way.trouble
            with pytest.raises(psycopg.OperationalError):
                await conn.execute("SELECT 1")
            await conn.close()
            sshd.stop()
            await refuses(config, "can't be reached")
            sshd.start()

            async def back() -> bool:
                with contextlib.suppress(SourceError):
                    return await connects(config)
                return False

            await eventually(back, 10)
            assert way.trouble is None
        assert not way.up
        async with through(way, lamassu_db) as config:  # closed is not the end of it
            assert await connects(config)
    events = [line["event"] for line in logs if line["event"].startswith("tunnel.")]
    assert events == ["tunnel.up", "tunnel.lost", "tunnel.up", "tunnel.up"]
    assert logs[0]["host_key"].startswith("ssh-ed25519 SHA256:")


async def test_an_account_without_a_home_will_do(
    sshd: Sshd, lamassu_db: LamassuDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As systemd's DynamicUser has none, but its name."""

    def nobody(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setenv("USER", "dca-daemon")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    async with through(to(sshd), lamassu_db) as config:
        assert await connects(config)


async def test_a_silent_peer_is_noticed(sshd: Sshd, lamassu_db: LamassuDb) -> None:
    way = to(sshd, keepalive_seconds=0.2)
    async with through(way, lamassu_db) as config:
        assert await connects(config)
        assert sshd.process is not None
        frozen = psutil.Process(sshd.process.pid).children(recursive=True)
        for child in frozen:
            child.send_signal(signal.SIGSTOP)
        started = time.monotonic()
        await down(way)
        assert time.monotonic() - started < 10
        assert way.trouble is not None and "keepalive" in way.trouble
        for child in frozen:
            child.send_signal(signal.SIGCONT)


async def test_another_host_key_is_refused(
    sshd: Sshd, lamassu_db: LamassuDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = parse_host_keys((make_key(tmp_path / "other").with_suffix(".pub")).read_text())
    ours = parse_host_keys(sshd.host_key)
    home = tmp_path / "home/.ssh"
    home.mkdir(parents=True)
    (home / "known_hosts").write_text(f"[{HOST}]:{sshd.port} {sshd.host_key}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # what the account knows of hosts does not count
    rsa = parse_host_keys((make_key(tmp_path / "rsa", "rsa").with_suffix(".pub")).read_text())
    for pinned in (other, rsa):
        with capture_logs() as logs:
            async with through(to(sshd, host_keys=pinned), lamassu_db) as config:
                error = await refusal(config)
                seen = sshd.log
                again = await refusal(config)
        assert error.code == again.code == REFUSED_CODE and error.message == again.message
        assert pinned[0].fingerprint in error.message and ours[0].fingerprint in error.message
        assert "ssh-keygen -lf" in (error.remedy or "")
        assert [line["event"] for line in logs] == ["tunnel.refused"]
        assert sshd.log == seen  # it is not asked again at once
    assert "publickey" not in sshd.log  # nothing of ours was shown to it
    bare = parse_host_keys(ours[0].fingerprint)
    for pinned in ((*other, *ours), bare, parse_host_keys(f"|1|salt|hash {sshd.host_key}")):
        async with through(to(sshd, host_keys=pinned), lamassu_db) as config:
            assert await connects(config)


async def test_what_a_person_must_mend_is_told(
    sshd: Sshd, lamassu_db: LamassuDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_REFUSED_SECONDS", 0.0)
    way = to(sshd)
    sshd.allow("")
    async with through(way, lamassu_db) as config:
        error = await refusal(config)
        assert error.code == REFUSED_CODE and "refuses our key SHA256:" in error.message
        assert 'permitopen="127.0.0.1:5432" ssh-ed25519 AAAA' in (error.remedy or "")
        sshd.allow('restrict,port-forwarding,permitopen="127.0.0.1:1"')
        error = await refusal(config)
        assert "does not reach 127.0.0.1" in error.message and "permitopen" in (error.remedy or "")
        assert way.up
    sshd.allow('restrict,port-forwarding,permitopen="127.0.0.1:*"')
    nowhere = SourceConfig(dsn="host=127.0.0.1 port=1 user=x", tunnel=way)
    assert "Connection refused" in (await refusal(nowhere)).message
    assert (
        "/nowhere/.s.PGSQL.5432" in (await refusal(SourceConfig(dsn="host=/nowhere user=x", tunnel=way))).message
    )
    await nowhere.close()
    sealed = make_key(tmp_path / "sealed", passphrase="secret").read_text()
    for text, words in ((sealed, "passphrase"), ("no key", "can't be read")):
        async with through(to(sshd, private_key=text), lamassu_db) as config:
            error = await refusal(config)
            assert words in error.message and error.code == REFUSED_CODE
    for dsn in ("host=a,b user=x", "service=lamassu"):
        with pytest.raises(ConfigError, match="one host and port"):
            SourceConfig(dsn=dsn, tunnel=way)


async def test_the_key_may_be_with_an_agent(
    sshd: Sshd, lamassu_db: LamassuDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_REFUSED_SECONDS", 0.0)
    place = tmp_path / "agent"
    async with through(to(sshd, private_key=None, agent=str(place)), lamassu_db) as config:
        assert "can't be asked" in (await refusal(config)).message
        with agent_at(place) as agent:
            await eventually(place.exists)
            await refuses(config, "takes no key: there is none in the agent")
            agent.add(make_key(tmp_path / "other"))
            assert "none of the 1 keys" in (await refusal(config)).message
            agent.add(sshd.folder / "key")
            assert await connects(config)


async def test_nobody_else_of_this_computer_may_use_it(
    sshd: Sshd, lamassu_db: LamassuDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with through(to(sshd), lamassu_db) as config:
        assert await connects(config)
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
        with pytest.raises(SourceError):
            await connect(config)
        monkeypatch.setattr(own_account, "_TABLE", Path("/nowhere"))  # not on Linux: then there is no telling
        assert await connects(config)


class Deaf(asyncssh.SSHServer):
    """Lets everybody in, and forwards nothing."""

    def begin_auth(self, username: str) -> bool:
        return False


class Leaving(Deaf):
    """Lets everybody in, and hangs up at once."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def auth_completed(self) -> None:
        self._conn.disconnect(asyncssh.DISC_BY_APPLICATION, "no more for today")


async def test_servers_that_misbehave(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    pinned = parse_host_keys(key.export_public_key().decode())

    async def error_of(port: int, **others: Any) -> SourceError:
        ours = key.export_private_key().decode()
        way = Tunnel(TunnelConfig(host=HOST, port=port, user="x", host_keys=pinned, private_key=ours, **others))
        config = SourceConfig(dsn="host=127.0.0.1 user=x", tunnel=way)
        try:
            error = await refusal(config)
            assert way.up or way.trouble
            return error
        finally:
            await config.close()

    behaviours: list[tuple[type[Deaf], str]] = [
        (Deaf, "does not reach 127.0.0.1:5432"),
        (Leaving, "no more for today|closed by the server"),  # before or after we know that we are in
    ]
    for factory, words in behaviours:
        server = await asyncssh.listen(HOST, 0, server_host_keys=[key], server_factory=factory)
        assert re.search(words, (await error_of(server.get_port())).message)
        server.close()
        await server.wait_closed()
    held: list[asyncio.StreamWriter] = []

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    for behaviour, words in ((silent, "0.3"), (rude, "can't be reached")):
        async with await asyncio.start_server(behaviour, HOST, 0) as listening:
            error = await error_of(listening.sockets[0].getsockname()[1], connect_timeout_seconds=0.3)
            assert words in error.message
            for writer in held:
                writer.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("# only a remark", "is empty"),
        ("SHA256:short", "not a whole fingerprint"),
        ("MD5:" + ":".join(["ab"] * 16), "MD5"),
        ("@cert-authority * ssh-ed25519 AAAA", "can't be pinned"),
        ("ssh-ed25519", "no host key"),
        ("lamassu.example.com", "no host key"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "cut off"),
        ("ssh-ed25519 %%%", "cut off"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJoDhW6Y1n4Eph5zx65DBfl4IscFj0zpfJyIQ5GSCvAp", "cut off"),
    ],
)
def test_what_is_no_host_key_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_host_keys(text)
