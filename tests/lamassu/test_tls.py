"""TLS to a real PostgreSQL with a certificate of a CA of our own: who checks it is not fooled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dca_daemon.demo import postgres
from dca_daemon.demo.postgres import EmbeddedPostgres
from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu import check_way
from dca_daemon.lamassu.connection import SourceConfig, connect
from dca_daemon.lamassu.host_keys import parse_host_keys
from dca_daemon.lamassu.tunnel import Tunnel, TunnelConfig
from tests.fixtures.sshd import Sshd

NAME = "lamassu.test"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_ca(folder: Path, name: str) -> Path:
    """A certificate authority; its certificate."""
    subject = ("-subj", f"/CN={name}", "-days", "2", "-nodes", *_KEY)
    openssl("req", "-x509", *subject, "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
    return folder / f"{name}.crt"


@dataclass(frozen=True)
class TlsServer:
    """A PostgreSQL that takes connections over TLS only, and the authority that vouches for it."""

    server: EmbeddedPostgres
    ca: Path
    other_ca: Path

    def dsn(self, mode: str, ca: Path | None = None, name: str = NAME) -> str:
        """By that name at its address."""
        rest = f"sslmode={mode}" + (f" sslrootcert={ca}" if ca else "")
        return (
            f"host={name} hostaddr=127.0.0.1 port={self.server.port} dbname=postgres user=postgres "
            f"password={self.server.password} {rest}"
        )


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found or shutil.which("openssl") is None:
        pytest.skip("there is no PostgreSQL of the system's, with TLS (Debian: postgresql)")
    folder = tmp_path_factory.mktemp("tls")
    ca, other_ca = make_ca(folder, "ca"), make_ca(folder, "other")
    request = (
        "req",
        "-subj",
        f"/CN={NAME}",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-addext",
        f"subjectAltName=DNS:{NAME}",
    )
    openssl(*request, "-keyout", str(folder / "server.key"), "-out", str(folder / "server.csr"))
    signing = ("x509", "-req", "-in", str(folder / "server.csr"), "-CA", str(ca), "-CAkey", str(folder / "ca.key"))
    openssl(*signing, "-copy_extensions", "copy", "-days", "2", "-out", str(folder / "server.crt"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "_programs", lambda _home, _account: found[-1].parent)
        server = EmbeddedPostgres(folder / "server", {"fsync": "off", "ssl": "on"})
        server._programs = found[-1].parent
        server._initialise()
        for part in ("server.crt", "server.key"):
            target = server._data / part
            target.touch(mode=0o600)
            target.write_bytes((folder / part).read_bytes())
            server._give_away(target)
        (server._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        server.start()
        yield TlsServer(server, ca, other_ca)
        server.destroy()


async def is_encrypted(config: SourceConfig) -> bool:
    async with await connect(config) as conn:
        row = await (await conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).fetchone()
    return row == (True,)


async def test_who_checks_is_not_fooled(tls: TlsServer) -> None:
    async def refusal(dsn: str) -> str:
        with pytest.raises(SourceError) as caught:
            await connect(SourceConfig(dsn=dsn))
        assert tls.server.password not in str(caught.value)
        return caught.value.message

    good = SourceConfig(dsn=tls.dsn("verify-full", tls.ca))
    assert await is_encrypted(good)
    assert "certificate verify failed" in await refusal(tls.dsn("verify-full", tls.other_ca))
    assert 'does not match host name "other.test"' in await refusal(tls.dsn("verify-full", tls.ca, "other.test"))
    assert "pg_hba" in await refusal(tls.dsn("disable"))
    # What doctor warns of: these take whoever answers.
    assert await is_encrypted(SourceConfig(dsn=tls.dsn("require")))
    assert await is_encrypted(SourceConfig(dsn=tls.dsn("verify-ca", tls.ca, "other.test")))
    assert check_way.look(good).ok is True


async def test_a_name_is_checked_within_the_tunnel_too(tls: TlsServer, sshd: Sshd) -> None:
    way = Tunnel(
        TunnelConfig(
            host="127.0.0.1",
            port=sshd.port,
            user=sshd.user,
            host_keys=parse_host_keys(sshd.host_key),
            private_key=sshd.key,
        )
    )
    good = SourceConfig(dsn=tls.dsn("verify-full", tls.ca), tunnel=way)
    try:
        assert await is_encrypted(good)
        for ca, name, words in ((tls.other_ca, NAME, "verify failed"), (tls.ca, "other.test", "does not match")):
            with pytest.raises(SourceError, match=words):
                await connect(SourceConfig(dsn=tls.dsn("verify-full", ca, name), tunnel=way))
    finally:
        await way.close()
