"""`relabel plan` where nothing is configured: everything in one process tree, and the API holds what it held."""

from __future__ import annotations

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids, simple_csv


async def test_a_plan_needs_neither_redis_nor_workers_and_changes_nothing(
    relabel: CliProcess, serve: StartServer
) -> None:
    """It brings its own, as `run` does, and prints its id; each row costs one request."""
    ids = new_ids(20)
    held = {completion_id: {"kept": "yes"} for completion_id in ids}
    server = await serve({completion_id: dict(metadata) for completion_id, metadata in held.items()})

    planned = await relabel("plan", relabel.file("rows.csv", simple_csv(ids)))

    assert planned.code == 0
    status = await relabel("status", planned.out.strip(), "--json")
    assert (status.facts["state"], status.facts["rows"]["would_change"]) == ("finished", 20)
    assert status.facts["requests"]["sent"] == 20
    assert server.completions == held
    await relabel.nothing_runs()
