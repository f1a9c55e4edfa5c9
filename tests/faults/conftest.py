"""What the fault tests share: installations, and servers that may be broken."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from tests.e2e.conftest import installation as installation
from tests.faults.breakable import breakable as breakable
from tests.faults.lnbits_proxy import LnbitsProxy
from tests.faults.site import Site, make_site
from tests.fixtures.postgres import LamassuDb, TestDb


@pytest.fixture
async def proxy(lnbits: LnbitsAdmin) -> AsyncIterator[LnbitsProxy]:
    """Stands before the LNbits that all tests share."""
    async with LnbitsProxy(lnbits.url).running() as running:
        yield running


@pytest.fixture
async def site(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, proxy: LnbitsProxy
) -> AsyncIterator[Site]:
    """Two clients; one payout at a time, so that the second client's comes to each point after the first's."""
    count = 4 if os.environ.get("DCA_TEST_SOAK") else 2
    async with make_site(tmp_path, books_db, lamassu_db, lnbits, client_count=count, lnbits_url=proxy.url) as made:
        made.environment["DCA_PAYOUTS__CONCURRENCY"] = "1"
        yield made
