"""`relabel apply`: a plan is made true, exactly as it was shown, and what changed since is left alone."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ledger.codec import pack_shard, unpack_shard
from ledger.job import JobState
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome
from relabel.apply import ApplyOptions, PreparedApply, prepare_apply
from relabel.session import Session
from relabel.submit import submit
from tests.cli.deployed import Deploy, DeployedCommand
from tests.harness.cluster import settings_for
from tests.harness.idle_worker import redis_url  # noqa: F401 - a fixture

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHp{number:03d}" for number in range(60)]
BEFORE = {each: {"team": "blue", "kept": "x"} for each in IDS}
AFTER = {each: {"team": "green", "kept": "x", "dataset": "eval"} for each in IDS}


def rows_of(ids: list[str], metadata: dict[str, Any]) -> str:
    """A file that gives completions this metadata."""
    return "".join(json.dumps({"id": each, "metadata": metadata}) + "\n" for each in ids)


ROWS = rows_of(IDS, {"team": "green", "dataset": "eval"})


@pytest.fixture
async def planner(deploy: Deploy) -> AsyncIterator[DeployedCommand]:
    """The command, and an API that stores sixty completions."""
    async with deploy(BEFORE, IDS, RELABEL_JOB__SHARD_ROWS="15") as command:
        yield command


async def plan_of(planner: DeployedCommand, rows: str = ROWS, *options: str) -> str:
    """Plan a file, and give the plan's id."""
    return str((await planner.facts("plan", planner.file(rows), *options))["job_id"])


async def test_an_apply_makes_the_changes_of_its_plan(planner: DeployedCommand) -> None:
    """It shows them first; every row is read and written once, and other keys stay."""
    plan = await plan_of(planner)
    before = planner.sandbox.log.total

    ended = await planner("apply", plan, "--yes")

    assert ended.code == 0, ended.err
    assert planner.sandbox.store.dump() == AFTER
    assert planner.sandbox.log.total - before == 2 * len(IDS)
    for said in ("60 of 60 rows would change", "team: blue -> green  (60 rows)", "dataset: absent -> eval  (60 rows)"):
        assert said in ended.err
    assert "60 completions will be changed: up to 120 requests" in ended.err
    job = await planner.facts("status", ended.out.strip())
    assert (job["kind"], job["parent"], job["rows"]["updated"]) == ("apply", plan, 60)
    assert f"Applied    by job {job['job_id']}" in (await planner("status", plan)).out


async def test_exactly_the_rows_that_somebody_changed_since_have_drifted(planner: DeployedCommand) -> None:
    """Those whose planned keys hold something else; other keys may change. What they hold now is shown, and kept."""
    plan = await plan_of(planner)
    draw = random.Random(7)
    drifted = draw.sample(IDS, 6)
    for number, each in enumerate(drifted):
        planner.sandbox.store.metadata(each).update(
            [("team", "red"), ("dataset", "mine"), ("team", "green")][number % 3 :][:1]
        )
    for each in IDS:
        planner.sandbox.store.metadata(each)["other"] = "changed"
    held = {each: dict(planner.sandbox.store.metadata(each)) for each in drifted}

    job = await planner.facts("apply", plan, "--yes", code=1)

    counts = {word: rows for word, rows in job["rows"].items() if rows}
    assert counts == {"total": 60, "updated": 54, "drifted": 6}
    stored = planner.sandbox.store.dump()
    assert {each: stored[each] for each in drifted} == held
    assert all(stored[each] == AFTER[each] | {"other": "changed"} for each in IDS if each not in drifted)
    report = await planner("report", job["job_id"], "--only", "drifted", "--format", "jsonl")
    assert [json.loads(line)["id"] for line in report.out.splitlines()] == sorted(drifted)
    diff = await planner("report", job["job_id"], "--diff", "--only", "drifted", "--format", "jsonl")
    shown = {line["id"]: line["before"] for line in map(json.loads, diff.out.splitlines())}
    assert all(shown[each].items() <= held[each].items() | {("dataset", None)} for each in drifted)

    again = await planner.facts("plan", "--from", job["job_id"], "--only", "drifted")
    assert again["rows"]["would_change"] == 6
    assert (await planner.facts("apply", again["job_id"], "--yes"))["rows"]["updated"] == 6
    assert planner.sandbox.store.dump() == {each: AFTER[each] | {"other": "changed"} for each in IDS}


async def test_in_replace_mode_a_key_that_was_added_since_is_drift(planner: DeployedCommand) -> None:
    """It would be removed, and nobody saw that."""
    plan = await plan_of(planner, ROWS, "--mode", "replace")
    planner.sandbox.store.metadata(IDS[3])["new"] = "x"

    job = await planner.facts("apply", plan, "--yes", code=1)

    assert (job["rows"]["updated"], job["rows"]["drifted"]) == (59, 1)
    assert planner.sandbox.store.metadata(IDS[3]) == BEFORE[IDS[3]] | {"new": "x"}
    assert planner.sandbox.store.metadata(IDS[4]) == {"team": "green", "dataset": "eval"}


async def test_an_undo_of_an_apply_restores_what_was_there(planner: DeployedCommand) -> None:
    """Exactly, and nothing of what the apply left alone."""
    plan = await plan_of(planner)
    planner.sandbox.store.metadata(IDS[5])["team"] = "red"
    held = {each: dict(metadata) for each, metadata in planner.sandbox.store.dump().items()}
    job = await planner.facts("apply", plan, "--yes", code=1)

    undo = await planner.facts("undo", job["job_id"])
    assert (await planner("watch", undo["job_id"])).code == 0

    assert (await planner.facts("status", undo["job_id"]))["rows"]["updated"] == 59
    assert planner.sandbox.store.dump() == held


async def test_a_second_apply_is_the_same_job(planner: DeployedCommand, ledger: Ledger, redis_url: str) -> None:  # noqa: F811 - the fixture
    """Also of two people at the same moment; nothing is sent twice."""
    plan = await plan_of(planner)
    settings = settings_for(redis_url, planner.sandbox.base_url)
    sessions = [Session(ledger, settings, f"person-{number}") for number in range(2)]
    plan_job = await ledger.jobs.get(plan)
    both = [await prepare_apply(session, plan_job, ApplyOptions()) for session in sessions]
    prepared = [each for each in both if isinstance(each, PreparedApply)]
    made = await asyncio.gather(
        *(submit(session, each.checked, each.request) for session, each in zip(sessions, prepared, strict=True))
    )
    for each in prepared:
        each.checked.close()
    (job_id,) = {submitted.job_id for submitted in made}
    assert sorted(submitted.existed for submitted in made) == [False, True]

    third = await planner("apply", plan, "--yes")

    assert (third.out.strip(), third.code) == (job_id, 0)
    assert f"job {job_id}" in third.err
    fourth = await planner("apply", plan, "--yes")
    assert f"was applied by job {job_id}." in fourth.err, "nothing is left to plan again"
    assert len([entry for entry in planner.sandbox.log.entries if entry.method == "POST"]) == len(IDS)


async def test_an_apply_that_is_paused_is_found_again_and_one_that_was_cancelled_is_continued(
    planner: DeployedCommand, ledger: Ledger
) -> None:
    """The new job has the rows that the cancelled one left, and no others: together they made each change once."""
    plan = await plan_of(planner)
    first = (await planner("apply", plan, "--yes", "--rate", "600/m", "--no-wait")).out.strip()
    await settled(ledger, first, 3)
    await planner("pause", first)

    paused = await planner("apply", plan, "--yes")
    assert (paused.out.strip(), paused.code) == (first, 3)
    assert f"is being applied by job {first}, which is paused" in paused.err
    await planner("cancel", first)
    done = (await planner.facts("status", first, code=3))["rows"]
    second = await planner.facts("apply", plan, "--yes")

    assert second["job_id"] != first
    assert second["rows"]["total"] == done["cancelled"] == 60 - done["updated"]
    assert planner.sandbox.store.dump() == AFTER
    writes = [entry.id for entry in planner.sandbox.log.entries if entry.method == "POST"]
    assert sorted(writes) == sorted(IDS)
    assert (await planner("apply", plan, "--yes")).out.strip() == second["job_id"]


async def settled(ledger: Ledger, job_id: str, rows: int) -> None:
    """Wait until so many rows have ended."""
    async with asyncio.timeout(60):
        while (await ledger.jobs.get(job_id)).counts.settled < rows:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def alter_shard(ledger: Ledger, plan: str) -> None:
    """Write other metadata into a row."""
    keys, spec = JobKeys(plan), (await ledger.jobs.get(plan)).spec
    patches = unpack_shard(await ledger.redis.hget(keys.shards, "0"), spec.rows_in(0))  # type: ignore[arg-type]
    patches[0].metadata["team"] = "evil"
    from msgspec.msgpack import encode

    await ledger.redis.hset(keys.shards, "0", pack_shard(encode(patches)))  # type: ignore[arg-type]


async def alter_outcome(ledger: Ledger, plan: str) -> None:
    """Let a row be unchanged."""
    await ledger.redis.setrange(JobKeys(plan).outcomes, 5, bytes([Outcome.UNCHANGED]))


async def alter_journal(ledger: Ledger, plan: str) -> None:
    """Let the rows of a shard have been other completions' before."""
    keys = JobKeys(plan)
    other: Any = await ledger.redis.hget(keys.journals, "1")
    await ledger.redis.hset(keys.journals, "0", other)


async def alter_digest_of_a_shard(ledger: Ledger, plan: str) -> None:
    """Let a shard have another digest."""
    await ledger.redis.hset(JobKeys(plan).digests, "0", "0" * 64)


async def alter_digest(ledger: Ledger, plan: str) -> None:
    """Let the plan have another digest."""
    await ledger.redis.hset(JobKeys(plan).job, "digest", "0" * 64)


async def alter_counts(ledger: Ledger, plan: str) -> None:
    """Let a change be of fewer rows than it is, where people read it."""
    key = JobKeys(plan).changes
    change = next(field for field in await ledger.redis.hkeys(key) if field[:1] == b"=")
    await ledger.redis.hincrby(key, change, -1)


async def hide_counts(ledger: Ledger, plan: str) -> None:
    """Let nothing be shown of what would change."""
    await ledger.redis.delete(JobKeys(plan).changes)


async def alter_mode(ledger: Ledger, plan: str) -> None:
    """Let the plan be meant for whole maps."""
    raw: Any = await ledger.redis.hget(JobKeys(plan).job, "spec")
    await ledger.redis.hset(JobKeys(plan).job, "spec", raw.replace(b'"merge"', b'"replace"'))


@pytest.mark.parametrize(
    "alter",
    [
        alter_shard,
        alter_outcome,
        alter_journal,
        alter_digest_of_a_shard,
        alter_digest,
        alter_counts,
        hide_counts,
        alter_mode,
    ],
)
async def test_an_altered_plan_is_refused(
    planner: DeployedCommand, ledger: Ledger, alter: Callable[[Ledger, str], Awaitable[None]]
) -> None:
    """With a sentence and exit code 2; nothing is sent, and no job is made."""
    for number, each in enumerate(IDS):
        planner.sandbox.store.metadata(each)["team"] = f"team {number}"
    plan = await plan_of(planner)
    sent = planner.sandbox.log.total

    await alter(ledger, plan)
    ended = await planner("apply", plan, "--yes")

    assert (ended.code, ended.out) == (2, "")
    assert "was altered in Redis after it was made" in ended.err
    assert planner.sandbox.log.total == sent
    assert await ledger.audit.made_of(plan) == []


async def no_outcome(ledger: Ledger, plan: str) -> None:
    """Let a row have ended in a way that there is not."""
    await ledger.redis.setrange(JobKeys(plan).outcomes, 5, b"\xc8")


async def no_counts(ledger: Ledger, plan: str) -> None:
    """Let the changes be no changes."""
    await ledger.redis.hset(JobKeys(plan).changes, b"=\xff", b"many")


async def no_shard(ledger: Ledger, plan: str) -> None:
    """Let a shard be gone."""
    await ledger.redis.hdel(JobKeys(plan).shards, "1")


@pytest.mark.parametrize("damage", [no_outcome, no_counts, no_shard])
async def test_a_damaged_plan_is_refused_and_made_again(
    planner: DeployedCommand, ledger: Ledger, damage: Callable[[Ledger, str], Awaitable[None]]
) -> None:
    """Whoever reviewed it is not sent to a way around the review."""
    plan = await plan_of(planner)

    await damage(ledger, plan)
    ended = await planner("apply", plan, "--yes")

    assert (ended.code, ended.out) == (2, "")
    assert f"Redis lost rows of job {plan}" in ended.err
    assert "plan these rows again" in ended.err
    assert "--again" not in ended.err


async def test_what_is_no_plan_that_can_be_applied_is_refused_with_what_to_do(
    planner: DeployedCommand, ledger: Ledger
) -> None:
    """A file's job, a plan that is paused, one that was cancelled, and one that would change nothing."""
    nothing = await plan_of(planner, rows_of(IDS[:3], {"team": "blue"}))
    file_job = (await planner.facts("submit", planner.file(rows_of(IDS[:1], {"k": "v"})), "--again"))["job_id"]
    open_plan = (await planner("plan", planner.file(ROWS), "--rate", "60/m", "--no-wait")).out.strip()
    await planner("pause", open_plan)

    for job_id, said in (
        (nothing, "would change nothing"),
        (file_job, "`relabel plan FILE` makes one"),
        (open_plan, f"`relabel resume {open_plan}` continues it"),
        ("nonsense", "there is no job nonsense"),
    ):
        ended = await planner("apply", job_id, "--yes")
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
    await planner("cancel", open_plan)
    ended = await planner("apply", open_plan, "--yes")
    assert ended.code == 2
    assert f"--from {open_plan} --only cancelled" in ended.err
    assert (await ledger.jobs.get(open_plan)).state is JobState.CANCELLED


async def test_without_a_terminal_nothing_is_applied_unless_that_is_said(planner: DeployedCommand) -> None:
    """And no more than was said."""
    plan = await plan_of(planner)

    unsaid = await planner("apply", plan)
    too_many = await planner("apply", plan, "--yes", "--max-changes", "59")

    assert (unsaid.code, too_many.code) == (2, 2)
    assert "then say --yes" in unsaid.err
    assert "more than --max-changes 59, so nothing was applied" in too_many.err
    assert planner.sandbox.store.dump() == BEFORE
    assert (await planner("apply", plan, "--yes", "--max-changes", "60")).code == 0


async def test_whoever_sits_at_a_terminal_is_asked_and_can_look_at_the_rows(
    planner: DeployedCommand, ledger: Ledger, terminal: Any
) -> None:
    """With the number of changes, what the canary does, and the age of a plan that is old; no applies nothing."""
    plan = await plan_of(planner)
    made_at = await ledger.jobs.now() - 3 * 86_400 - 60
    await ledger.redis.hset(JobKeys(plan).job, "finished_at", str(made_at))  # type: ignore[misc]
    asked = ("apply", plan, "--canary", "20")
    settings = planner.settings | {"PAGER": "cat", "COLUMNS": "80"}

    no = await asyncio.to_thread(terminal, *asked, answer="d\nn\n", question="d=diff]", **settings)
    assert (no.code, planner.sandbox.store.dump()) == (130, BEFORE)
    question = "Apply 60 changes of a plan that is 3 days old (20 first, read back, then the rest)? [y/N/d=diff]"
    assert " ".join(no.said.split()).count(question) == 2
    assert "nothing was applied" in no.said
    rows = [line for line in no.said.splitlines() if line.startswith("line ")]
    assert len(rows) == len(IDS)
    assert rows[0] == f"line 1, {IDS[0]}: dataset: absent -> eval; team:"

    yes = await asyncio.to_thread(terminal, *asked, answer="y\n", question="d=diff]", **settings)
    assert (yes.code, planner.sandbox.store.dump()) == (0, AFTER)


async def test_last_is_the_latest_plan(planner: DeployedCommand) -> None:
    """Whatever jobs came after it; and of the verbs for jobs that change something, the apply is then the last."""
    plan = await plan_of(planner, rows_of(IDS[:2], {"team": "green"}))
    await planner.facts("submit", planner.file(rows_of(IDS[5:6], {"k": "v"})), "--again")

    job = await planner.facts("apply", "last", "--yes")

    assert (job["parent"], job["rows"]["updated"]) == (plan, 2)
    undo = await planner.facts("undo", "last", "--yes")
    assert undo["parent"] == job["job_id"]


async def test_a_retry_of_an_apply_is_as_exact_as_the_apply(planner: DeployedCommand) -> None:
    """Its failed rows are tried again only where all is as it was reviewed."""
    plan = await plan_of(planner, rows_of(IDS[:3], {"team": "green", "dataset": "eval"}))
    # they fail until a write of another row has succeeded, so that it is not the API that fails
    writes = [{"method": "POST", "id": each} for each in IDS[:2]]
    planner.sandbox.add_faults(rules=[{"fault": "error_500", "match": each} for each in writes])
    job = await planner.facts("apply", plan, "--yes", code=1)
    assert job["rows"]["failed"] == 2
    planner.sandbox.faults.clear()
    planner.sandbox.store.metadata(IDS[1])["dataset"] = "eval"

    retry = (await planner.facts("retry", job["job_id"]))["job_id"]
    assert (await planner("watch", retry)).code == 1

    assert planner.sandbox.store.metadata(IDS[0]) == AFTER[IDS[0]]
    assert planner.sandbox.store.metadata(IDS[1]) == BEFORE[IDS[1]] | {"dataset": "eval"}
    assert (await planner.facts("status", retry, code=1))["rows"]["drifted"] == 1


async def test_a_bad_change_with_a_canary_touches_no_more_than_its_share(planner: DeployedCommand) -> None:
    """The service stores something else than it is sent: 20 of 60 rows, spread over the file, and exit code 3."""
    plan = await plan_of(planner, rows_of(IDS, {"note": " padded "}))
    planner.sandbox.configure(values="trimmed")

    ended = await planner("apply", plan, "--yes", "--canary", "1%")

    assert ended.code == 3
    touched = [number for number, each in enumerate(IDS) if planner.sandbox.store.metadata(each) != BEFORE[each]]
    assert touched == [number * 60 // 20 for number in range(20)]
    job_id = ended.out.strip()
    job = await planner.facts("status", job_id, code=3)
    assert (job["state"], job["reason_code"]) == ("paused", "canary_failed")
    assert job["canary"] == {"rows": 20, "state": "failed"}
    assert "of 20 canary rows 20 failed (value_altered 20)" in ended.err
    again = await planner("apply", plan, "--yes")
    assert (again.out.strip(), again.code) == (job_id, 3)

    planner.sandbox.configure(values="kept")
    await planner("cancel", job_id)
    undo = await planner.facts("undo", job_id)
    await planner("watch", undo["job_id"])
    assert planner.sandbox.store.dump() == BEFORE


async def test_a_canary_that_passes_lets_the_rest_follow(planner: DeployedCommand) -> None:
    """Each of its rows is read back; the others are not."""
    plan = await plan_of(planner)
    sent = planner.sandbox.log.total

    job = await planner.facts("apply", plan, "--yes", "--canary", "20")

    assert planner.sandbox.store.dump() == AFTER
    assert job["canary"] == {"rows": 20, "state": "passed"}
    assert planner.sandbox.log.total - sent == 2 * 60 + 20
    wrong = await planner("apply", plan, "--canary", "1.5")
    assert (wrong.code, "write a share of the rows like 1%" in wrong.err) == (2, True)
