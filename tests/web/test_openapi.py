"""The API against what it says of itself: Schemathesis sends what the OpenAPI allows, and what it does not."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from dca_daemon.domain.rights import Scope
from tests.web.conftest import Console
from tests.web.serving import served

SOAK = "DCA_TEST_SOAK" in os.environ
EXAMPLES = 50 if SOAK else 3
PHASES = "examples,coverage,fuzzing" if SOAK else "examples,fuzzing"


async def test_the_api_is_as_it_says(console: Console, tmp_path: Path) -> None:
    await console.add_client("Ana")
    config = tmp_path / "schemathesis.toml"
    config.write_text('[headers]\nAuthorization = "${DCA_TEST_AUTHORIZATION}"\n')
    async with served(console) as address, console.program() as program:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config),
            "run", f"{address}/api/v1/openapi.json",
            "--exclude-path", "/api/v1/events/stream",  # it never ends
            "--phases", PHASES, "--max-examples", str(EXAMPLES), "--seed", "1",
            "--checks", "all",
            "--exclude-checks", "positive_data_acceptance",  # an amount may be well formed, and yet too much
            "--generation-database", "none", "--request-timeout", "20", "--no-color",
            env={**os.environ, "DCA_TEST_AUTHORIZATION": program.headers["Authorization"]},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
        )  # fmt: skip
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()


async def test_names_are_unique_and_times_have_their_zone(console: Console) -> None:
    ana = (await console.add_client("Ana")).client_id
    async with console.program() as program, console.program(Scope.CLIENT, client_id=ana) as own:
        told = (await program.get("/api/v1/openapi.json")).json()
        assert [name for name in told["components"]["schemas"] if "__" in name] == []  # two have one name
        paths, asked = told["paths"], 0
        for path, methods in paths.items():
            for given in methods.get("get", {}).get("parameters", ()):
                if given["name"] not in ("since", "until"):
                    continue
                asked += 1
                kinds = given["schema"]["anyOf"]
                assert {"type": "string", "format": "date-time"} in kinds and given["description"], path
                for text, words in (
                    ("2026-01-31T00:00:00", "has no zone"),
                    ("1767225600", "is not a time"),
                    ("0001-01-01T00:00:00+14:00", "is not a time"),
                ):
                    asking = own if path.startswith("/api/v1/me") else program
                    answer = await asking.get(path.format(client_id=1), params={given["name"]: text})
                    assert answer.status_code == 422, (path, answer.text)
                    [wrong] = answer.json()["errors"]
                    assert wrong["field"] == given["name"] and words in wrong["message"]
        assert asked >= 16
