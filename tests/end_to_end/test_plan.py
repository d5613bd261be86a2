"""Plans where nothing is configured, from the file to the undo of what was applied."""

from __future__ import annotations

import pytest

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids, simple_csv


@pytest.mark.promise
async def test_a_plan_changes_nothing_and_is_applied_and_undone_where_nothing_is_configured(
    relabel: CliProcess, serve: StartServer
) -> None:
    """Each verb brings its own Redis and workers, as `run` does; what somebody changed since the plan is left alone."""
    ids = new_ids(30)
    held = {completion_id: {"kept": "yes"} for completion_id in ids}
    server = await serve({completion_id: dict(metadata) for completion_id, metadata in held.items()})

    planned = await relabel("plan", relabel.file("rows.csv", simple_csv(ids)))

    assert planned.code == 0
    status = await relabel("status", planned.out.strip(), "--json")
    assert (status.facts["state"], status.facts["rows"]["would_change"]) == ("finished", 30)
    assert status.facts["requests"]["sent"] == 30
    assert server.completions == held
    await relabel.nothing_runs()

    changing = simple_csv(ids).splitlines()[0].split(",")[1]
    server.completions[ids[7]][changing] = "somebody else's"
    held[ids[7]] = dict(server.completions[ids[7]])

    applied = await relabel("apply", "last", "--yes", "--canary", "1%")

    assert applied.code == 1
    status = await relabel("status", applied.out.strip(), "--json")
    rows = status.facts["rows"]
    assert (rows["updated"], rows["drifted"], status.facts["canary"]) == (29, 1, {"rows": 20, "state": "passed"})
    assert [each for each in ids if server.completions[each] == held[each]] == [ids[7]]
    undone = await relabel("undo", "last", "--run", "--yes")
    assert undone.code == 0
    assert server.completions == held
    await relabel.nothing_runs()
