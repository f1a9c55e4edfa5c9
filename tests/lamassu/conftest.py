"""A machine, the reader's source, and a database that tests may poke."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.source import LamassuSource
from tests.fixtures.postgres import LamassuDb


@pytest.fixture
def config(lamassu_db: LamassuDb) -> SourceConfig:
    """The reader's own view of the database."""
    return SourceConfig(dsn=lamassu_db.reader_dsn, connect_timeout_seconds=5, statement_timeout_seconds=10)


@pytest.fixture
async def source(config: SourceConfig) -> AsyncIterator[LamassuSource]:
    """The reader's source; opened when first used."""
    reader = LamassuSource(config)
    yield reader
    await reader.close()


@pytest.fixture
def atm(lamassu_db: LamassuDb) -> Iterator[SimulatedAtm]:
    """One paired machine."""
    with SimulatedAtm(lamassu_db.admin_dsn) as machine:
        yield machine


@pytest.fixture
def admin(lamassu_db: LamassuDb) -> Iterator[psycopg.Connection]:
    """A superuser's connection in autocommit."""
    with psycopg.connect(lamassu_db.admin_dsn, autocommit=True) as conn:
        yield conn
