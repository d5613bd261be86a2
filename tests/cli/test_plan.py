"""`relabel plan` as far as it needs no worker: its options, and what is shown of a plan that the ledger has."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ledger.job import JobState
from ledger.job_spec import Kind, Mode
from ledger.ledger import Ledger
from ledger.plan_counts import ValueChange
from ledger.row import Outcome
from producer.submit import JobRequest, submit
from tests.cli.conftest import settle

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq{letter}" for letter in "ABCDE"]
ROWS = "".join(json.dumps({"id": each, "metadata": {"team": "green"}}) + "\n" for each in IDS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan"], "Give either FILE or --from JOB"),
        (["plan", "rows.jsonl", "--from", "last"], "Give either FILE or --from JOB"),
        (["plan", "rows.jsonl", "--only", "failed"], "--only is for --from JOB"),
        (["plan", "--from", "last", "--only", "rejected"], "'rejected' cannot be chosen"),
        (["plan", "--from", "last", "--mode", "replace"], "--mode is for a FILE"),
        (["plan", "--from", "last", "--check"], "--check is for a FILE"),
        (["plan", "rows.jsonl", "--run", "--no-wait"], "--no-wait is for deployed workers"),
        (["plan", "rows.jsonl", "--again"], "No such option"),
    ],
)
async def test_options_that_make_no_sense_together_are_refused(relabel, tmp_path, arguments, says):
    (tmp_path / "rows.jsonl").write_text(ROWS)

    ended = await relabel(*arguments)

    assert (ended.code, says in ended.err) == (2, True), ended.err


@pytest.fixture
async def make_plan(ledger: Ledger, read: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Store a plan of five rows, and end some of them."""

    async def make(ends: dict[int, Outcome]) -> Any:
        url = "https://api.openai.com/v1"
        order = JobRequest("p", Mode.MERGE, True, url, shard_rows=2, keep_s=3600.0, again=True, kind=Kind.PLAN)
        with read(ROWS, "rows.jsonl") as checked:
            submitted = await submit(checked, order, ledger=ledger, announce=lambda *_: None)
        spec = (await ledger.jobs.get(submitted.job_id)).spec
        await settle(ledger, spec, ends, images=True)
        return spec

    return make


async def test_of_each_key_the_changes_of_the_most_rows_are_listed_and_the_others_counted(relabel, make_plan, ledger):
    spec = await make_plan({})
    counted = {ValueChange("n", None, f"{number:02}"): 100 - number for number in range(30)}
    await ledger.plans.add(spec.job_id, 0, "aa", counted | {ValueChange("team", "blue", None): 7})

    plan = json.loads((await relabel("status", spec.job_id, "--json")).out)

    assert plan["digest"] is None
    assert [(change["after"], change["rows"]) for change in plan["changes"] if change["key"] == "n"] == [
        (f"{number:02}", 100 - number) for number in range(20)
    ]
    assert plan["changes_other"] == {"n": sum(100 - number for number in range(20, 30))}


async def test_whoever_looks_at_a_plan_finds_its_digest_though_no_worker_was_left_to_keep_it(
    relabel, make_plan, ledger
):
    """All workers were killed right after the last row ended."""
    spec = await make_plan(dict.fromkeys(range(5), Outcome.WOULD_CHANGE))
    assert (await ledger.jobs.get(spec.job_id)).state is JobState.FINISHED

    plan = json.loads((await relabel("status", spec.job_id, "--json")).out)

    assert re.fullmatch("[0-9a-f]{64}", plan["digest"])
    assert plan["changes"] == [{"key": "team", "before": None, "after": "green", "rows": 5}]
    assert (await ledger.jobs.get(spec.job_id)).digest == plan["digest"]


async def test_a_plan_that_does_not_wait_prints_its_id_and_is_never_taken_for_another(relabel, tmp_path):
    (tmp_path / "rows.jsonl").write_text(ROWS)

    first, second = [await relabel("plan", "rows.jsonl", "--no-wait", "--yes") for _ in range(2)]

    assert (first.code, second.code) == (0, 0)
    assert first.out != second.out
    assert "Kind       plan\n" in (await relabel("status", second.out.strip())).out
    assert "will be read" in first.err
