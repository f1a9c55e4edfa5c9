"""Comparisons by the pages and by the API."""

from __future__ import annotations

from datetime import UTC, datetime

from dca_daemon.domain.rights import Role
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Difference, Kind, Note, NoteKind, Reconciliation
from tests.web.conftest import Console


async def test_what_comparisons_found(console: Console) -> None:
    kind = next(iter(Kind))
    differs = Difference(kind, "<i>one</i> thing", payout_id="P1", client_id=3)
    note = Note(next(iter(NoteKind)), 2, ("an example",))
    async with console.person(Role.VIEWER) as browser:
        assert "Nothing was compared yet" in (await browser.get("/reconciliation")).text
        for counts, details, skipped in (({}, (), {}), ({kind: 1}, (differs,), {"Lamassu": "it is away"})):
            found = Reconciliation(datetime.now(UTC), None, {"payouts": 5}, counts, details, (note,), skipped)
            await runs.save(console.db, found, actor="os:x", routine=False)
        listed = await browser.get("/reconciliation")
        assert "agrees" in listed.text and "differs" in listed.text
        last, first = await runs.list_all(console.db)
        shown = await browser.get(f"/reconciliation/{last.run_id}")
        assert "&lt;i&gt;one" in shown.text and 'href="/payouts/P1"' in shown.text and "it is away" in shown.text
        assert "an example" in shown.text and "What to do" in shown.text
        assert "Nothing." in (await browser.get(f"/reconciliation/{first.run_id}")).text
        assert (await browser.get("/reconciliation/999")).status_code == 404
    async with console.program() as program:
        page = (await program.get("/api/v1/reconciliations", params={"limit": 1})).json()
        assert [one["id"] for one in page["reconciliations"]] == [last.run_id]
        rest = (await program.get("/api/v1/reconciliations", params={"after": page["next"]})).json()
        assert [one["agrees"] for one in rest["reconciliations"]] == [True] and rest["next"] is None
        whole = (await program.get(f"/api/v1/reconciliations/{last.run_id}")).json()
        assert whole["differences"][0]["remedy"] == differs.remedy and whole["notes"][0]["count"] == 2
        assert (await program.get("/api/v1/reconciliations/999")).status_code == 404
