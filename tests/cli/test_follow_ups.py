"""`undo` and `retry` on the command line, with real workers and an API that is really asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ledger.codec import BeforeImage, Detail
from ledger.errors import LeaseLost
from ledger.job import JobState, Traffic
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.progress import Waits
from ledger.row import Outcome
from ledger.settlements import Settlement
from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.idle_worker import redis_url  # noqa: F401 - a fixture

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq{letter}" for letter in "ABC"]
BEFORE = {IDS[0]: {"team": "blue", "old": "=1+1"}, IDS[1]: {"team": "red"}, IDS[2]: {}}
ROWS = "".join(json.dumps({"id": each, "metadata": {"team": "green", "old": None}}) + "\n" for each in IDS)


@pytest.fixture
async def harness(deploy: Deploy) -> AsyncIterator[DeployedCommand]:
    """The command, and an API that stores three completions."""
    async with deploy(BEFORE, IDS, rows=ROWS) as command:
        yield command


async def test_an_undo_in_this_process_tree_restores_all_rows_and_is_linked_to_its_job(
    harness: DeployedCommand,
) -> None:
    """`undo JOB --run` waits for its end; status, jobs and both logs tell which job it takes back."""
    job_id = await harness.run()
    assert harness.sandbox.store.dump() != BEFORE

    facts = await harness.facts("undo", job_id, "--run")

    assert harness.sandbox.store.dump() == BEFORE
    assert (facts["kind"], facts["parent"], facts["state"], facts["mode"]) == ("undo", job_id, "finished", "merge")
    assert facts["name"] == "undo of rows.jsonl"
    assert f"undo of job {job_id}" in (await harness("status", facts["job_id"])).out
    assert f"undo of {job_id}" in (await harness("jobs")).out
    assert f"undo as job {facts['job_id']}" in " ".join((await harness("log", job_id)).out.split())
    assert f"undo of job {job_id}" in " ".join((await harness("log", facts["job_id"])).out.split())


async def test_the_same_undo_is_found_again_and_made_anew_with_again(harness: DeployedCommand) -> None:
    """A second undo is the first one; once that was undone itself, --again takes the job back once more."""
    job_id = await harness.run()
    made = harness.sandbox.store.dump()
    first = (await harness.done("undo", job_id))[0]["job_id"]

    ended = await harness("undo", job_id, "--json")
    assert json.loads(ended.out)["job_id"] == first
    assert f"as job {first}; --again" in ended.err

    await harness.done("undo", first)
    assert harness.sandbox.store.dump() == made
    again, _ = await harness.done("undo", job_id, "--again")
    assert again["job_id"] != first
    assert harness.sandbox.store.dump() == BEFORE


async def test_a_drifted_row_is_explained_and_force_restores_it(harness: DeployedCommand) -> None:
    """Exit code 1 and a hint; with --force it is a job of its own, and the log says so."""
    job_id = await harness.run()
    harness.sandbox.store.load({IDS[0]: {"team": "theirs"}})

    undone, _ = await harness.done("undo", job_id, code=1)

    said = (await harness("report", undone["job_id"], "--summary")).out
    assert "somebody else changed team since" in said
    assert "--force" in said
    facts, _ = await harness.done("undo", job_id, "--force")
    assert harness.sandbox.store.dump() == BEFORE
    assert f"as job {facts['job_id']}, forced" in (await harness("log", job_id)).out


async def test_what_cannot_be_undone_is_refused_in_one_sentence(
    harness: DeployedCommand, ledger: Ledger, make_job: Callable[..., Awaitable[Any]]
) -> None:
    """Running, without before-images, for another API, nothing changed, no such job: exit code 2, nothing is made."""
    running = (await make_job("completion_id,team\na-1,x\n")).job_id
    bare = await harness.run("--no-undo")
    unchanged = await harness.run()
    refusals = {
        ("undo", running): f"job {running} is running; pause or cancel it first.",
        ("undo", bare): "(--no-undo)",
        ("undo", unchanged): "changed nothing, so there is nothing to undo.",
        ("undo", unchanged, "--keys", " , "): "--keys names no key",
        ("undo", "nope"): "there is no job nope",
        ("retry", unchanged): "has no rows to retry: none failed.",
    }
    jobs = len(await ledger.jobs.latest(100))
    for arguments, words in refusals.items():
        ended = await harness(*arguments)
        assert (ended.code, ended.out) == (2, ""), arguments
        assert words in ended.err
        assert "Traceback" not in ended.err
    await ledger.jobs.pause(running, by="test", code="paused", reason="")
    assert "is for https://api.openai.com/v1, but" in (await harness("undo", running, "--run")).err
    assert len(await ledger.jobs.latest(100)) == jobs


async def test_a_job_with_rows_in_flight_is_not_undone_yet(
    harness: DeployedCommand, ledger: Ledger, make_job: Callable[..., Awaitable[Any]], at_work: Callable[..., Any]
) -> None:
    """Its workers need a moment to stop; a write may still be under way."""
    spec = await make_job("completion_id,team\na-1,x\n")

    async with at_work(spec, Waits()):
        await ledger.jobs.pause(spec.job_id, by="test", code="paused", reason="")
        ended = await harness("undo", spec.job_id)

    assert ended.code == 2
    assert "still has rows in flight; try again in a few seconds" in ended.err


@pytest.mark.parametrize("verb", ["undo", "retry"])
async def test_a_stopped_worker_is_refused_once_its_job_is_undone_or_retried(
    harness: DeployedCommand, ledger: Ledger, make_job: Callable[..., Awaitable[Any]], verb: str
) -> None:
    """Its lease ran out and nobody rescued the shard; what it wrote after that would be in no undo."""
    spec = await make_job("completion_id,team\na-1,x\na-2,x\n")
    await ledger.shards.lease(spec.job_id, 0, "stopped")
    stopped = await ledger.shards.load(spec.job_id, 0, "stopped")
    assert stopped is not None
    await ledger.settlements.journal(stopped, [BeforeImage(0, {"team": "w"})], [])
    failed = Settlement(0, Outcome.FAILED, Detail("timeout", 0, "no answer", "", 5, 1.0))
    await ledger.settlements.settle(stopped, [failed], Traffic())
    await ledger.jobs.pause(spec.job_id, by="test", code="paused", reason="")
    await ledger.redis.zadd(JobKeys(spec.job_id).leased, {"0": 1})

    assert (await harness(verb, spec.job_id)).code == 0

    assert await ledger.shards.renew(stopped, Waits()) is None
    with pytest.raises(LeaseLost):
        await ledger.settlements.journal(stopped, [BeforeImage(1, {})], [])


async def test_a_retry_takes_the_rows_that_may_work(harness: DeployedCommand, ledger: Ledger) -> None:
    """A missing completion stays out and is told; the row that met an error of the moment is done."""
    missing = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqZ"
    harness.sandbox.add_faults([{"fault": "bad_body_html", "match": {"method": "POST", "id": IDS[1]}, "times": 1}])
    harness.sandbox.add_faults(
        [{"fault": "error_500", "match": {"method": "GET", "id": IDS[1]}, "after": 1, "times": 1}]
    )
    harness.sandbox.add_faults([{"fault": "ignored", "match": {"method": "POST", "id": IDS[2]}, "times": 1}])
    rows = ROWS + json.dumps({"id": missing, "metadata": {"team": "green"}}) + "\n"
    job_id = await harness.run(rows=rows, code=1)
    failed = (await ledger.jobs.get(job_id)).counts.failed

    ended = await harness("retry", job_id, "--json")

    facts = json.loads(ended.out)
    assert (ended.code, facts["kind"], facts["parent"]) == (0, "retry", job_id)
    assert (await harness("watch", facts["job_id"])).code == 0
    assert facts["rows"]["total"] == failed - 1
    assert "1 row (not_found 1) can never work as they are; --all takes them, too." in ended.err
    assert {each: harness.sandbox.store.metadata(each) for each in IDS} == {each: {"team": "green"} for each in IDS}


async def test_a_retry_takes_the_codes_that_are_named_or_all(
    harness: DeployedCommand, ledger: Ledger, make_job: Callable[..., Awaitable[Any]], fails: Callable[..., Any]
) -> None:
    """Handed to the deployed workers: the job has the rows that were asked for."""
    ends = {0: fails("timeout"), 1: fails("not_found", status=404), 2: fails("key_not_removed", status=200)}
    ends |= {3: fails("value_altered", status=200), 4: Outcome.UPDATED}
    spec = await make_job("completion_id,team\na-1,x\na-2,x\na-3,x\na-4,x\na-5,x\n", ends)

    async def retried(*options: str) -> int:
        facts = await harness.facts("retry", spec.job_id, *options)
        assert facts["kind"] == "retry"
        return int(facts["rows"]["total"])

    assert await retried() == 1
    assert await retried("--codes", "not_found,key_not_removed") == 2
    assert await retried("--all") == 4
    ended = await harness("retry", spec.job_id, "--codes", "other")
    assert ended.code == 2
    assert "no rows to retry with these codes; failed are: 4 rows (timeout 1" in ended.err


async def test_the_diff_shows_every_changed_key_before_and_after(harness: DeployedCommand) -> None:
    """CSV a line a key, guarded against spreadsheets; JSONL an object a row."""
    job_id = await harness.run()

    csv = await harness("report", job_id, "--diff", "--format", "csv")
    jsonl = await harness("report", job_id, "--diff")

    assert csv.out.splitlines() == [
        "id,key,before,after,change,outcome",
        f"{IDS[0]},old,'=1+1,,removed,updated",
        f"{IDS[0]},team,blue,green,changed,updated",
        f"{IDS[1]},team,red,green,changed,updated",
        f"{IDS[2]},team,,green,added,updated",
    ]
    first = json.loads(jsonl.out.splitlines()[0])
    assert first == {
        "id": IDS[0],
        "outcome": "updated",
        "before": {"old": "=1+1", "team": "blue"},
        "after": {"old": None, "team": "green"},
    }


async def test_resume_with_run_goes_on_in_this_process_tree(harness: DeployedCommand, ledger: Ledger) -> None:
    """A job that is held is carried out by the command itself."""
    (harness.folder / "rows.jsonl").write_text(ROWS)
    job_id = (await harness("submit", "rows.jsonl", "--hold", "--again")).out.strip()

    facts = await harness.facts("resume", job_id, "--run")

    assert (facts["job_id"], facts["state"], facts["rows"]["updated"]) == (job_id, "finished", 3)
    assert (await ledger.jobs.get(job_id)).state is JobState.FINISHED


async def test_where_reads_lag_no_job_loses_the_keys_of_another_and_an_undo_restores(harness: DeployedCommand) -> None:
    """Two jobs on the same completions and the undo of the second, each begun before reads show the one before it."""
    harness.sandbox.configure(read_lag_s=4)

    for key in ("one", "two"):
        rows = "".join(json.dumps({"id": each, "metadata": {key: key}}) + "\n" for each in IDS)
        job_id = await harness.run(rows=rows)
    both = {each: held | {"one": "one", "two": "two"} for each, held in BEFORE.items()}
    assert harness.sandbox.store.dump() == both
    await harness.done("undo", job_id)

    assert harness.sandbox.store.dump() == {each: held | {"one": "one"} for each, held in BEFORE.items()}
