"""The door of Python: the verbs as methods, with a real worker, a real Redis and the stand-in for the API."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

import relabel
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from relabel.progress_line import ProgressLine
from relabel.results import PreviewResult
from sandbox import Sandbox
from tests.harness.idle_worker import IdleWorker, forget_writes, served_api

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpg{number:02d}" for number in range(4)]
ROOT = Path(relabel.__file__).parents[1]
GONE = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgXX"


@pytest.fixture
async def api(idle_worker: IdleWorker) -> AsyncIterator[Sandbox]:
    """The API of the shared worker: four completions of a blue team."""
    stored = {completion_id: {"team": "blue", "n": "1"} for completion_id in IDS}
    async with (
        open_ledger(idle_worker.redis_url) as redis,
        served_api(idle_worker, Ledger(redis), stored, [*IDS, GONE]) as sandbox,
    ):
        yield sandbox


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """An environment and a folder without settings."""
    for name in os.environ:
        if name.startswith(("RELABEL_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def client(api: Sandbox, idle_worker: IdleWorker, clean: None) -> AsyncIterator[relabel.aio.Client]:
    """A client of deployed workers."""
    async with relabel.aio.connect(
        redis_url=idle_worker.redis_url, openai_base_url=api.base_url, openai_api_key="sk-test"
    ) as client:
        yield client


@pytest.fixture
def sync_client(api: Sandbox, idle_worker: IdleWorker, clean: None) -> Iterator[relabel.Client]:
    """The same for a program without an event loop, made here where one runs already, as in Jupyter."""
    with relabel.connect(
        redis_url=idle_worker.redis_url, openai_base_url=api.base_url, openai_api_key="sk-test"
    ) as client:
        yield client


async def test_what_is_selected_is_read_and_planned_by_workers(client, api):
    """As one job: the program reads nothing itself."""
    job = await client.plan_selection(where='metadata.team == "blue"', set={"team": "green"}, name="to green")
    status = await job.wait(timeout=60)

    assert (status.kind, status.name, status.state, status.rows.would_change) == ("plan", "to green", "finished", 4)
    assert (status.selection.read, status.selection.matched, status.selection.is_read) == (4, 4, True)
    assert status.selection.asked == {"where": 'metadata.team == "blue"', "set": {"team": "green"}}
    assert [(each.who.partition("@")[0], each.verb) for each in (await job.log())[1:2]] == [("idle", "read")]
    applied = await (await job.apply()).wait(timeout=60)
    assert applied.rows.updated == 4
    assert {each["team"] for each in api.store.dump().values()} == {"green"}


async def test_what_makes_no_selection_is_refused_at_once(client):
    """With the column of an expression; workers cannot call a function."""
    with pytest.raises(relabel.InvalidInput) as found:
        await client.plan_selection(where="created > ago(", set={"team": "green"})
    assert found.value.column == 15
    for wrong in ({"where": lambda _: True, "set": {"a": "b"}}, {"keys": ["team"]}, {"limit": 3}):
        with pytest.raises(relabel.InvalidInput):
            await client.plan_selection(**wrong)


async def test_rows_are_submitted_waited_for_and_undone(client, api):
    """The loop of a user's work; results have the fields of `--json`."""

    async def streamed():
        for completion_id in (*IDS, GONE):
            yield completion_id, {"team": "red", "n": relabel.REMOVE}

    seen = []
    job = await client.submit(streamed(), again=True, name="from Python")
    status = await job.wait(progress=seen.append)
    failed = [row async for row in job.rows("failed")]
    held = dict(api.store.dump())
    undone = await (await job.undo()).wait()
    retried = await job.retry(all=True)

    assert (status.state, status.rows.updated, status.rows.failed) == ("finished", 4, 1)
    assert (status.name, status.kind, seen[-1].state) == ("from Python", "file", "finished")
    assert [(row["completion_id"], row["code"], row["metadata.team"], row["metadata.n"]) for row in failed] == [
        (GONE, "not_found", "red", None)
    ]
    assert held == {completion_id: {"team": "red"} for completion_id in IDS}
    assert (undone.kind, undone.parent, undone.rows.updated) == ("undo", job.job_id, 4)
    assert (await retried.wait()).rows.failed == 1
    assert {child.kind for child in (await job.status()).children} == {"undo", "retry"}
    assert {entry.verb for entry in await job.log()} >= {"submit", "finished"}
    with pytest.raises(relabel.RowsFailed, match="1 failed"):
        status.raise_for_failures()
    undone.raise_for_failures()


async def test_a_job_is_held_resumed_paused_and_cancelled(client):
    """What cannot be done in a state is an error of its own."""
    job = await client.submit([(IDS[0], {"team": "red"})], again=True, hold=True, rate="10/s")

    assert (await job.status()).state == "held"
    assert (await job.status()).rate_per_minute == 600, "as on the command line"
    with pytest.raises(relabel.WrongState, match="only a running job"):
        await job.pause()
    assert (await job.wait(timeout=0.1)).state == "held"
    assert (await job.cancel("not today")).state == "cancelled"
    with pytest.raises(relabel.RowsFailed, match="is cancelled"):
        (await job.status()).raise_for_failures()
    assert [entry.why for entry in await job.log() if entry.verb == "cancel"] == ["not today"]


async def test_a_plan_is_applied_once_and_a_verification_finds_what_changed_since(client, api):
    """Both are jobs that only read."""
    plan = await client.plan([(completion_id, {"team": "red"}) for completion_id in IDS])
    planned = await plan.wait()
    before = dict(api.store.dump())
    with pytest.raises(relabel.InvalidInput, match="more than"):
        await plan.apply(max_changes=3)
    job = await plan.apply(canary="1%")
    applied = await job.wait()
    again = await plan.apply()
    api.store.load({IDS[0]: {"team": "green"}})
    await forget_writes(client.connection.session.ledger, api, IDS)
    verified = await (await job.verify()).wait()

    assert before == {completion_id: {"team": "blue", "n": "1"} for completion_id in IDS}
    assert (planned.rows.would_change, len(planned.digest or "")) == (4, 64)
    assert (applied.kind, applied.parent, applied.rows.updated) == ("apply", plan.job_id, 4)
    assert (again.job_id, again.existed) == (job.job_id, True)
    [change] = planned.changes
    assert (change.key, change.before, change.after, change.rows) == ("team", "blue", "red", 4)
    assert (verified.rows.unchanged, verified.rows.drifted) == (3, 1)
    receipt = await job.receipt()
    assert (receipt["job"]["job_id"], receipt["rows"]["updated"], receipt["verification"]["differing"]) == (
        job.job_id,
        4,
        1,
    )


async def test_an_input_is_looked_at_and_questions_are_answered_by_their_codes(client):
    """Nothing is stored before."""
    odd = [(f"row-{number}", {"team": "red"}) for number in range(3)]
    known = len(await client.jobs(limit=100))

    preview = await client.submit(odd, check=True)
    with pytest.raises(relabel.NeedsConfirmation) as asked:
        await client.submit(odd)
    after = len(await client.jobs(limit=100))
    job = await client.submit(odd, confirm=["odd_ids"], again=True, hold=True)
    await job.cancel()

    assert isinstance(preview, PreviewResult)
    assert (preview.completions, [question.code for question in preview.questions]) == (3, ["odd_ids"])
    assert ([question.code for question in asked.value.questions], asked.value.code) == (
        ["odd_ids"],
        "needs_confirmation",
    )
    assert after == known


async def test_what_cannot_be_used_is_refused_with_what_to_do(client, tmp_path):
    """Before anything is sent; each error has a code."""
    nothing = [("", {"team": "red"})]
    for wrong, options, error in (
        (nothing, {}, relabel.RowsRejected),
        ([(IDS[0], {"n": 5}), (IDS[1], {"n": "5"})], {"strict": True}, relabel.RowsRejected),
        ([IDS[0]], {}, relabel.UnreadableFile),  # a list of texts is a list of files
        ([5], {}, relabel.InvalidInput),
        ([(IDS[0], {"n": float("nan")})], {}, relabel.InvalidInput),
        ([(IDS[0], {"n": object()})], {}, relabel.InvalidInput),
        ([(IDS[0], {"n": "5"})], {"rate": -1}, relabel.InvalidInput),
        ([(IDS[0], {"n": "5"})], {"rate": "fast"}, relabel.InvalidInput),
        ([(IDS[0], {"n": "5"})], {"mode": "patch"}, relabel.InvalidInput),
        ([], {}, relabel.UnreadableFile),
        (tmp_path / "none.csv", {}, relabel.UnreadableFile),
    ):
        with pytest.raises(error) as caught:
            await client.submit(wrong, **options)
        assert isinstance(caught.value, relabel.RelabelError)
        assert caught.value.code != "error"
        assert " --" not in f"{caught.value} {getattr(caught.value, 'rejected', '')}", "as arguments are called"
    with pytest.raises(TypeError, match="colour"):
        await client.submit([(IDS[0], {"n": "5"})], colour="red")
    with pytest.raises(relabel.NoSuchJob, match="there is no job 'none'"):
        await client.job("none")


async def test_a_redis_that_is_away_is_one_error(clean, tmp_path):
    """At the start."""
    with pytest.raises(relabel.LedgerUnreachable) as caught:
        async with relabel.aio.connect(redis_url=f"unix://{tmp_path}/none.sock"):
            pass

    assert caught.value.code == "redis_unreachable"


async def test_a_selection_is_submitted_as_it_is(client, api):
    """A function says which completions; what each is to get are pairs, again and again."""
    selected = await client.select(where=lambda completion: completion.id in IDS[:2], set={"team": "red"})
    plan = await (await client.plan(selected)).wait()
    job = await client.submit(selected, again=True)

    assert (selected.result.read, selected.result.matched) == (4, 2)
    assert (plan.rows.would_change, plan.requests.sent) == (2, 0)  # the selection had seen all of it
    assert sorted(selected) == [(IDS[0], {"team": "red"}), (IDS[1], {"team": "red"})]
    assert (await job.wait()).rows.updated == 2
    [entry] = [each for each in (await client.history(IDS[0])).entries if each.job_id == job.job_id]
    assert [(change.before, change.after) for change in entry.changes] == [("blue", "red")]


async def test_rows_are_read_in_the_thread_of_the_caller(sync_client, tmp_path):
    """A cursor of SQLite may be used in no other; a report is written as `relabel report` writes it."""

    def work():
        with contextlib.closing(sqlite3.connect(":memory:")) as database:
            database.execute("create table labels (id, team)")
            database.executemany("insert into labels values (?, 'red')", [(each,) for each in IDS])
            cursor = database.execute("select id, team from labels")
            job = sync_client.submit(((completion_id, {"team": team}) for completion_id, team in cursor), again=True)
        status = job.wait()
        job.report(tmp_path / "report.jsonl", outcome="updated")
        job.report(tmp_path / "pace.jsonl", pace=True)
        return status

    assert (await asyncio.to_thread(work)).rows.updated == 4
    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == 4
    pace = [json.loads(line) for line in (tmp_path / "pace.jsonl").read_text().splitlines()]
    assert sum(stretch["rows"] for stretch in pace) == 4


async def test_ctrl_c_ends_the_wait_and_not_the_job(client, api, idle_worker, clean, tmp_path):
    """In a program of its own; the interrupt says so."""
    program = f"""
import relabel, sys
with relabel.connect(redis_url={idle_worker.redis_url!r}, openai_base_url={api.base_url!r}) as client:
    job = client.submit([(each, {{"team": "red"}}) for each in {IDS!r}], again=True, rate=1)
    try:
        job.wait(progress=lambda status: print(job.job_id, flush=True))
    except KeyboardInterrupt as interrupt:
        print(interrupt.__notes__, job.status().state, flush=True)
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    job_id = (await process.stdout.readline()).decode().strip()
    process.send_signal(signal.SIGINT)
    said = (await process.communicate())[0].decode().splitlines()[-1]

    job = await client.job(job_id)
    await job.cancel()

    assert process.returncode == 0
    assert f"job {job_id} goes on" in said
    assert said.endswith("running")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


async def test_progress_is_one_line_that_is_drawn_over_itself(client):
    """In a terminal; elsewhere only the last one is written."""
    job = await client.submit([(IDS[0], {"team": "red"})], again=True, hold=True)
    held = await job.status()
    running = msgspec.structs.replace(held, state="running")
    log, terminal = io.StringIO(), Terminal()

    for stream in (log, terminal):
        line = ProgressLine(stream)
        line.show(running)
        line.show(held)
    await job.cancel()

    assert log.getvalue() == f"Job {job.job_id}: 0 of 1 row, held\n"
    first, second = terminal.getvalue().removeprefix("\r").split("\r")
    assert (first, second.rstrip()) == (f"Job {job.job_id}: 0 of 1 row", f"Job {job.job_id}: 0 of 1 row, held")


def test_a_client_that_nobody_closed_holds_no_program_up(clean):
    """The loop's thread ends with the program."""
    before = threading.active_count()
    with pytest.raises(relabel.LedgerUnreachable):
        relabel.connect(redis_url="redis://127.0.0.1:1/0")

    assert threading.active_count() == before


async def test_a_large_job_waits_for_somebody_else(api, idle_worker, clean, monkeypatch):
    """Who submitted it can neither resume nor approve it; who approves names what they looked at."""

    def connected(user: str):
        monkeypatch.setenv("RELABEL_USER", user)
        return relabel.aio.connect(
            redis_url=idle_worker.redis_url, openai_base_url=api.base_url, openai_api_key="sk-test"
        )

    monkeypatch.setenv("RELABEL_APPROVAL__ABOVE_ROWS", "3")
    async with connected("ada") as client:
        job = await client.submit([(each, {"team": "red"}) for each in IDS], again=True)
        status = await job.wait()
        assert (status.state, status.reason_code, status.approved_by) == ("held", "needs_approval", None)
        with pytest.raises(relabel.NeedsApproval):
            await job.resume()
        with pytest.raises(relabel.NotAnApprover):
            await job.approve()
    monkeypatch.setenv("RELABEL_APPROVAL__ALLOW_LOCAL", "true")
    async with connected("ada@laptop") as client:
        with pytest.raises(relabel.OwnJob):
            await (await client.job(job.job_id)).approve()
    async with connected("lead") as client:
        job = await client.job(job.job_id)
        with pytest.raises(relabel.OtherDigest):
            await job.approve(digest="other")
        assert (await job.approve(digest=status.approval_digest)).approved_by == "lead (unverified)"
        assert (await job.wait()).rows.updated == len(IDS)


async def test_operators_ask_whether_all_is_well(client, sync_client):
    """With the fields of HTTP; a check that is none is named."""
    found = await client.health(only=["ledger", "jobs"])

    assert [check.check for check in found.checks] == ["ledger", "jobs"]
    assert found.status in {"ok", "warn", "fail"}
    assert sync_client.health(only="broker").checks[0].verdict == "ok"
    with pytest.raises(relabel.InvalidInput, match="everything"):
        await client.health(only=["everything"])


async def test_operators_ask_for_the_nightly_runs(client):
    """Where none is scheduled, that is said."""
    status = await client.nightly_status()

    assert (status.missed, status.next, status.cron) == (None, None, None)
    with pytest.raises(relabel.SettingsError):
        await client.nightly_next()


async def test_operators_probe_the_service(client, api):
    """The completion holds afterwards what it held before."""
    before = api.store.dump()

    behaviour = await client.probe(IDS[0])

    assert behaviour is not None
    assert behaviour.semantics == "replaces"
    assert api.store.dump() == before
