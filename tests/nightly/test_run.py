"""A nightly run, step by step: what is taken, what waits for whom, and what a crash at any line leaves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.settings import Settings
from ledger.job import JobState
from ledger.keys import NIGHTLY_LOCK, JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome
from nightly.run import NightRun, has_pending_work
from nightly.state import FileState, Night, NightState
from nightly.store import Nights
from notify.events import JobEvents
from notify.outbox import Notice, Outbox
from notify.payload import body_of
from tests.harness.rows import lines
from tests.nightly.conftest import StartRun

Drop = Callable[..., Path]
Cancel = Callable[[str], Awaitable[None]]


async def begun(ledger: Ledger, date: str, *, overlap: str = "skip") -> Night:
    """Begin the run of a date as the schedule does."""
    return (await Nights(ledger.redis).begin(date, asked_by="schedule", overlap=overlap)).night


async def night_of(ledger: Ledger, date: str) -> Night:
    """Return the run of a date."""
    night = await Nights(ledger.redis).get(date)
    assert night is not None
    return night


def names(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


async def test_files_are_submitted_in_name_order_and_wait_in_the_inbox_for_their_jobs(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path
) -> None:
    """With the mode, the rate and the limit of the settings, and in the log of the job."""
    drop("b.csv")
    drop("a.csv")
    await begun(ledger, "2026-11-25")

    await start_run(mode="replace", rate_per_minute=90.0, max_failures="5%").carry_on()

    jobs = list(reversed(await ledger.jobs.latest(10)))
    assert sorted(jobs, key=lambda job: job.submitted_at) == jobs
    assert [job.spec.name for job in jobs] == ["a.csv", "b.csv"]
    assert {(job.spec.mode, job.rate_per_minute, job.spec.max_failures) for job in jobs} == {("replace", 90.0, "5%")}
    assert [line.verb for line in await ledger.audit.read(jobs[0].spec.job_id)] == ["submit"]
    night = await night_of(ledger, "2026-11-25")
    assert (night.state, night.files, night.jobs, night.ended_at) == (NightState.RUNNING, 2, 2, None)
    assert names(inbox) == {".relabel-inbox", "a.csv", "b.csv"}
    assert not await has_pending_work(ledger, night.inbox), "until a job ends"


async def test_files_of_the_inbox_are_read_by_the_options_of_the_settings(
    ledger: Ledger, start_run: StartRun, drop: Drop
) -> None:
    """All of them by the same ones."""
    drop("a.csv", "Id;Quality;note\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7X00000a;good;secret\n")
    await begun(ledger, "2026-11-25")

    await start_run(input="--delimiter ';' --id-column Id --columns quality=Quality").carry_on()

    [job] = await ledger.jobs.latest(10)
    assert (job.spec.rows, job.spec.columns.header) == (1, ["completion_id", "quality"])


async def test_a_night_is_skipped_while_the_one_before_has_not_ended(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path
) -> None:
    """It says why, and its files wait for the next one."""
    drop("a.csv")
    await begun(ledger, "2026-11-24")
    await start_run().carry_on()
    drop("b.csv")

    skipped = await begun(ledger, "2026-11-25")
    await start_run().carry_on()

    assert (skipped.state, skipped.reason) == (NightState.SKIPPED, "the run of 2026-11-24 has not ended")
    assert skipped.ended_at is not None
    assert [job.spec.name for job in await ledger.jobs.latest(10)] == ["a.csv"]
    assert [night.date for night in await Nights(ledger.redis).open()] == ["2026-11-24"]
    assert (inbox / "b.csv").exists()


async def test_a_queued_night_goes_on_when_the_one_before_has_ended(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path
) -> None:
    """It waits without a file of its own, so that no file is in two runs."""
    drop("a.csv")
    await begun(ledger, "2026-11-24")
    await start_run().carry_on()
    drop("b.csv")

    waiting = await begun(ledger, "2026-11-25", overlap="queue")
    await start_run().carry_on()

    assert (waiting.state, (await night_of(ledger, "2026-11-25")).files) == (NightState.WAITING, 0)
    (job,) = await ledger.jobs.latest(10)
    await cancel(job.spec.job_id)
    assert await has_pending_work(ledger, (await night_of(ledger, "2026-11-24")).inbox)
    await start_run().carry_on()

    assert (await night_of(ledger, "2026-11-24")).state is NightState.FINISHED
    night = await night_of(ledger, "2026-11-25")
    assert (night.state, night.reason, [file.name for file in night.entries]) == (NightState.RUNNING, "", ["b.csv"])
    assert (inbox / "rejected" / "a.csv.report.csv").read_text().count("cancelled") == 1


async def test_a_paused_job_keeps_its_night_open(ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path) -> None:
    """Until somebody resumes or cancels it."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    (job,) = await ledger.jobs.latest(10)
    await ledger.jobs.pause(job.spec.job_id, by="test", code="invalid_api_key", reason="Incorrect API key")

    await start_run().carry_on()

    assert (await night_of(ledger, "2026-11-25")).state is NightState.RUNNING
    assert (inbox / "a.csv").exists()


async def test_a_job_that_paused_as_its_first_rows_failed_alike_holds_up_no_night(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path
) -> None:
    """Its file is rejected with the reason and how to go on, and the night ends; the job can be resumed."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    (job,) = await ledger.jobs.latest(10)
    job_id = job.spec.job_id
    await ledger.jobs.pause(
        job_id, by="test", code="same_failure", reason="the first 100 rows all failed with not_found"
    )

    assert await has_pending_work(ledger, (await night_of(ledger, "2026-11-25")).inbox)
    await start_run().carry_on()

    night = await night_of(ledger, "2026-11-25")
    assert (night.state, night.rejected) == (NightState.FINISHED, 1)
    assert names(inbox / "rejected") == {"a.csv", "a.csv.reason.txt"}
    reason = (inbox / "rejected" / "a.csv.reason.txt").read_text()
    assert "not_found" in reason
    assert f"`relabel resume {job_id}`" in reason

    drop("a.csv")
    assert (await begun(ledger, "2026-11-26")).state is not NightState.SKIPPED
    await start_run().carry_on()
    assert (await night_of(ledger, "2026-11-26")).rejected == 1, "the same content again is no more done than before"
    assert await ledger.jobs.resume(job_id, by="test") == "paused"


async def test_a_run_that_died_after_a_submission_finds_its_own_job(
    ledger: Ledger, start_run: StartRun, drop: Drop
) -> None:
    """It does not take its file for one that was applied before."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    night = await night_of(ledger, "2026-11-25")
    (submitted,) = night.entries
    await Nights(ledger.redis).put_file(
        "2026-11-25", msgspec.structs.replace(submitted, state=FileState.TAKEN, job_id=None)
    )  # what a worker leaves that is killed between the two writes

    await start_run().carry_on()

    assert (await night_of(ledger, "2026-11-25")).entries == [submitted]
    assert len(await ledger.jobs.latest(10)) == 1


@pytest.mark.parametrize("died", ["before the move", "in mid-move", "after the move"])
async def test_a_run_that_died_while_it_filed_away_ends_with_one_file_and_one_report(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path, died: str
) -> None:
    """At the place that was chosen first."""
    source = drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    (job,) = await ledger.jobs.latest(10)
    await cancel(job.spec.job_id)
    (submitted,) = (await night_of(ledger, "2026-11-25")).entries
    await Nights(ledger.redis).put_file("2026-11-25", msgspec.structs.replace(submitted, place="rejected/a.csv"))
    (inbox / "rejected").mkdir()
    (inbox / "rejected" / "a.csv.report.csv").write_text("half of it")
    if died != "before the move":
        os.link(source, inbox / "rejected" / "a.csv")
    if died == "after the move":
        source.unlink()

    await start_run().carry_on()

    (file,) = (await night_of(ledger, "2026-11-25")).entries
    assert (file.state, file.place) == (FileState.REJECTED, "rejected/a.csv")
    assert "changed" not in file.reason
    assert not source.exists()
    assert names(inbox / "rejected") == {"a.csv", "a.csv.report.csv"}
    assert "cancelled" in (inbox / "rejected" / "a.csv.report.csv").read_text()


async def test_a_file_that_was_replaced_while_its_job_ran_stays_for_the_next_night(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path
) -> None:
    """What was never applied is never filed away as if it were."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    (job,) = await ledger.jobs.latest(10)
    drop("a.csv", "completion_id,team\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7Xother,green\n", age_s=1800)
    await cancel(job.spec.job_id)

    await start_run().carry_on()
    (file,) = (await night_of(ledger, "2026-11-25")).entries
    await begun(ledger, "2026-11-26")
    await start_run().carry_on()

    assert "what is in the inbox now is taken the next time" in file.reason
    assert names(inbox / "rejected") == {"a.csv.report.csv"}
    assert [file.state for file in (await night_of(ledger, "2026-11-26")).entries] == [FileState.SUBMITTED]


async def test_a_file_that_grew_since_it_was_listed_is_left_alone(
    ledger: Ledger, settings: Settings, start_run: StartRun, drop: Drop
) -> None:
    """Even where its time of change does not tell, as some copying programs keep that of the original."""
    path = drop("a.csv")
    night = await begun(ledger, "2026-11-25")
    ended = NightRun(settings, ledger, lambda *_: None, stopping=lambda: True)
    await ended.carry_on()  # lists, then ends
    assert [file.state for file in (await night_of(ledger, night.date)).entries] == [FileState.TAKEN]
    times = path.stat()
    path.write_text(path.read_text() + "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7X0more,blue\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    await start_run().carry_on()

    (file,) = (await night_of(ledger, night.date)).entries
    assert (file.state, (await night_of(ledger, night.date)).state) == (FileState.LEFT, NightState.FINISHED)
    assert "half written" in file.reason
    assert await ledger.jobs.latest(10) == []


async def test_a_worker_with_another_inbox_leaves_the_run_alone(
    ledger: Ledger,
    settings: Settings,
    start_run: StartRun,
    drop: Drop,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two hosts may have different folders of one name; the files of one are not missing on the other."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    run = NightRun(settings, ledger, lambda *_: None, stopping=lambda: True)
    await run.carry_on()
    other = tmp_path / "other"
    other.mkdir()

    await start_run(inbox=other).carry_on()
    await start_run(inbox=tmp_path / "not there").carry_on()

    assert [file.state for file in (await night_of(ledger, "2026-11-25")).entries] == [FileState.TAKEN]
    assert "was begun on another inbox" in caplog.text
    assert "cannot use" in caplog.text
    assert not (other / "done").exists()


async def test_a_file_that_cannot_be_filed_away_says_so_and_is_no_hindrance_to_others(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again until somebody has mended what is in the way."""
    drop("a.csv")
    drop("b.csv", "completion_id,team\n,blue\n")
    (inbox / "rejected").write_text("a file where the folder should be")
    await begun(ledger, "2026-11-25")

    await start_run().carry_on()

    night = await night_of(ledger, "2026-11-25")
    assert [file.state for file in night.entries[:2]] == [FileState.SUBMITTED, FileState.TAKEN]
    assert night.entries[1].reason.startswith("it cannot be filed away (")
    assert "put a folder in its place" in night.entries[1].reason
    assert "The nightly run cannot use" in caplog.text
    assert not await Nights(ledger.redis).try_schedule_tick(1), "not at once"
    (inbox / "rejected").unlink()
    await cancel(night.entries[0].job_id or "")
    await start_run().carry_on()
    night = await night_of(ledger, "2026-11-25")
    assert (night.state, night.rejected) == (NightState.FINISHED, 2)
    assert "cannot" not in night.entries[1].reason


async def test_a_file_that_cannot_be_read_is_named_as_it_is_called(
    ledger: Ledger, start_run: StartRun, inbox: Path
) -> None:
    """The reason beside it begins with its name, which is case-sensitive on most file systems."""
    (inbox / "no-header.csv").write_text("foo,bar\n1,2\n")
    os.utime(inbox / "no-header.csv", (1, 1))
    await begun(ledger, "2026-11-25")

    await start_run().carry_on()

    reason = (inbox / "rejected" / "no-header.csv.reason.txt").read_text()
    assert reason.startswith("no-header.csv, line 1: ")


async def test_one_worker_at_a_time_carries_runs_on(ledger: Ledger, start_run: StartRun, drop: Drop) -> None:
    """A second one does nothing while the first is at it; the lock of one that died runs out."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    async with Nights(ledger.redis).lock().held() as held:
        assert held
        await start_run().carry_on()
        assert await ledger.jobs.latest(10) == []
        assert not await has_pending_work(ledger, "")
        assert 0 < await ledger.redis.pttl(NIGHTLY_LOCK) <= 8000

    await asyncio.gather(*(start_run().carry_on() for _ in range(3)))

    assert len(await ledger.jobs.latest(10)) == 1


async def test_a_job_that_redis_lost_does_not_keep_the_night_open(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path
) -> None:
    """The file says what to do."""
    drop("a.csv")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    (job,) = await ledger.jobs.latest(10)
    await ledger.jobs.discard(job.spec.job_id)

    await start_run().carry_on()

    assert (await night_of(ledger, "2026-11-25")).state is NightState.FINISHED
    assert "submit the file again with --again" in (inbox / "rejected" / "a.csv.reason.txt").read_text()


async def test_a_file_whose_content_an_earlier_job_has_waits_for_it_and_is_filed_by_its_result(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path
) -> None:
    """Nothing is done as long as that job is paused: the run says which job it is and what to do."""
    drop("a.csv")
    await begun(ledger, "2026-11-24")
    await start_run().carry_on()
    (former,) = [job.spec.job_id for job in await ledger.jobs.latest(10)]
    await ledger.jobs.pause(former, by="test", code="paused", reason="by somebody")
    drop("b.csv", (inbox / "a.csv").read_text())
    await ledger.redis.srem("relabel:nights:open", "2026-11-24")  # as if the former had been submitted by hand

    await begun(ledger, "2026-11-25")
    await start_run().carry_on()

    night = await night_of(ledger, "2026-11-25")
    file = {file.name: file for file in night.entries}["b.csv"]
    assert (file.state, file.job_id, file.own) == (FileState.SUBMITTED, former, False)
    assert all(said in file.reason for said in (former, "paused", f"relabel resume {former}"))
    assert (inbox / "b.csv").exists()
    assert len(await ledger.jobs.latest(10)) == 1
    assert not await has_pending_work(ledger, night.inbox)

    await cancel(former)
    assert await has_pending_work(ledger, night.inbox)
    await start_run().carry_on()

    assert {"b.csv", "b.csv.report.csv"} <= names(inbox / "rejected")
    assert not (inbox / "done").exists()


@pytest.mark.parametrize("fate", ["cancelled", "all failed", "lost"])
async def test_content_whose_earlier_job_applied_nothing_is_submitted_anew(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path, fate: str
) -> None:
    """It was filed as done although nothing was; the run and the new job's log name the old one."""
    drop("a.csv")
    await begun(ledger, "2026-11-24")
    await start_run().carry_on()
    (former,) = [job.spec.job_id for job in await ledger.jobs.latest(10)]
    if fate == "cancelled":
        await cancel(former)
    elif fate == "all failed":
        await ledger.shards.close((await ledger.jobs.get(former)).spec, 0, Outcome.FAILED, None)
    elif fate == "lost":
        await ledger.redis.delete(JobKeys(former).outcomes)
    await start_run().carry_on()
    assert (await night_of(ledger, "2026-11-24")).state is NightState.FINISHED
    drop("a.csv")

    await begun(ledger, "2026-11-25")
    await start_run().carry_on()

    (file,) = (await night_of(ledger, "2026-11-25")).entries
    assert (file.own, file.job_id != former) == (True, True)
    (line,) = await ledger.audit.read(file.job_id or "")
    assert former in line.why
    assert (file.state, former in file.reason) == (FileState.SUBMITTED, True)


@pytest.mark.parametrize("content", ["completion_id,team\n", "completion_id,team\n,blue\n"])
async def test_a_file_without_a_valid_row_is_filed_under_rejected_and_makes_no_job(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path, content: str
) -> None:
    """With the reason beside it; the next night does not take it for a file that was submitted before."""
    drop("a.csv", content)
    await begun(ledger, "2026-11-25")

    await start_run().carry_on()

    (file,) = (await night_of(ledger, "2026-11-25")).entries
    assert (file.state, file.job_id) == (FileState.REJECTED, None)
    assert names(inbox / "rejected") == {"a.csv", "a.csv.reason.txt"}
    assert await ledger.jobs.latest(10) == []


ROW_NUMBERS = lines("0,good", "1,bad", "2,good", header="completion_id,Unnamed: 0,quality")


async def held_night(ledger: Ledger, start_run: StartRun, drop: Drop, date: str = "2026-11-25") -> str:
    """Have a night with a file that raises a question, and return the id of its job."""
    drop("odd.csv", ROW_NUMBERS)
    await begun(ledger, date)
    await start_run().carry_on()
    [file] = (await night_of(ledger, date)).of(FileState.HELD)
    assert file.job_id is not None
    return file.job_id


async def test_a_file_with_a_question_is_held_and_the_night_goes_on_without_it(
    ledger: Ledger, start_run: StartRun, drop: Drop, cancel: Cancel, inbox: Path
) -> None:
    """The reason holds the question in words, and neither a key nor a value; the night then needs attention."""
    drop("z.csv")
    job_id = await held_night(ledger, start_run, drop)
    other = next(job for job in await ledger.jobs.latest(10) if job.spec.name == "z.csv")

    held = await ledger.jobs.get(job_id)
    before = (await night_of(ledger, "2026-11-25")).state
    await cancel(other.spec.job_id)
    await start_run().carry_on()

    assert (held.state, held.reason_code) == (JobState.HELD, "needs_confirmation")
    assert "column 2 looks like row numbers" in (held.reason or "")
    assert "Unnamed" not in (held.reason or "")
    night = await night_of(ledger, "2026-11-25")
    assert (before, night.state, night.ended_at is not None) == (NightState.RUNNING, NightState.NEEDS_ATTENTION, True)
    assert names(inbox) == {".relabel-inbox", "odd.csv", "rejected"}
    assert not await has_pending_work(ledger, night.inbox)


async def test_a_held_file_is_no_overlap_for_the_next_night_and_is_left_alone_by_it(
    ledger: Ledger, start_run: StartRun, drop: Drop
) -> None:
    """Nor is it taken a second time, not even by the same night."""
    job_id = await held_night(ledger, start_run, drop)

    again = await night_of(ledger, "2026-11-25")
    await Nights(ledger.redis).reopen(again)
    await start_run().carry_on()
    following = await begun(ledger, "2026-11-26")
    await start_run().carry_on()

    assert following.state is NightState.RUNNING
    night = await night_of(ledger, "2026-11-26")
    assert (night.state, [file.state for file in night.entries]) == (NightState.FINISHED, [FileState.LEFT])
    assert job_id in night.entries[0].reason
    assert [file.state for file in (await night_of(ledger, "2026-11-25")).entries] == [FileState.HELD]
    assert len(await ledger.jobs.latest(10)) == 1


@pytest.mark.parametrize(("verb", "place"), [("resume", "done"), ("cancel", "rejected")])
async def test_a_held_file_is_filed_once_its_job_was_decided_and_has_ended(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path, cancel: Cancel, end_job: Any, verb: str, place: str
) -> None:
    """Resuming is the yes, cancelling the no; the night has then had no need of attention any more."""
    job_id = await held_night(ledger, start_run, drop)
    inbox_id = (await night_of(ledger, "2026-11-25")).inbox

    if verb == "resume":
        await ledger.jobs.resume(job_id, by="test")
        assert not await has_pending_work(ledger, inbox_id), "its rows are not done"
        await end_job(job_id)
    else:
        await cancel(job_id)
    assert await has_pending_work(ledger, inbox_id)
    await start_run().carry_on()

    assert {"odd.csv", "odd.csv.report.csv"} <= names(inbox / place)
    assert (await night_of(ledger, "2026-11-25")).state is NightState.FINISHED
    assert await Nights(ledger.redis).held() == []
    assert not await has_pending_work(ledger, inbox_id)


async def test_a_large_file_is_held_until_somebody_approves_it(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path, end_job: Any
) -> None:
    """Where its content raises a question, too, both have to be answered; the night needs attention meanwhile."""
    drop("odd.csv", ROW_NUMBERS)
    drop("plain.csv", lines("good", "bad", header="completion_id,quality"))
    drop("small.csv")
    await begun(ledger, "2026-11-25")
    await start_run(approve_above=1).carry_on()

    entries = {file.name: file for file in (await night_of(ledger, "2026-11-25")).entries}
    odd, plain = (entries[name].job_id or "" for name in ("odd.csv", "plain.csv"))
    assert {name: file.state for name, file in entries.items()} == {
        "odd.csv": FileState.HELD,
        "plain.csv": FileState.HELD,
        "small.csv": FileState.SUBMITTED,
    }
    assert f"`relabel approve {plain}` applies it" in entries["plain.csv"].reason
    assert f"`relabel resume {odd}` applies it, once somebody else approved it" in entries["odd.csv"].reason
    assert (await ledger.jobs.get(plain)).reason_code == "needs_approval"

    await ledger.jobs.resume(odd, by="ada")
    for job_id in (odd, plain):
        job = await ledger.jobs.get(job_id)
        assert job.waits_for_approval
        await ledger.approvals.approve(job_id, job.approval.digest if job.approval else "", by="lead")
        await end_job(job_id)
    await end_job(entries["small.csv"].job_id)
    await start_run(approve_above=1).carry_on()

    assert {"odd.csv", "plain.csv", "small.csv"} <= names(inbox / "done")
    assert (await night_of(ledger, "2026-11-25")).state is NightState.FINISHED


async def test_the_same_question_is_not_asked_of_a_copy_of_the_file(
    ledger: Ledger, start_run: StartRun, drop: Drop
) -> None:
    """The copy waits for the same job."""
    job_id = await held_night(ledger, start_run, drop)
    drop("copy.csv", ROW_NUMBERS)
    await begun(ledger, "2026-11-26")

    await start_run().carry_on()

    night = await night_of(ledger, "2026-11-26")
    assert {file.name: (file.state, file.own) for file in night.entries} == {
        "copy.csv": (FileState.HELD, False),
        "odd.csv": (FileState.LEFT, True),
    }
    assert (night.of(FileState.HELD)[0].job_id, night.state) == (job_id, NightState.NEEDS_ATTENTION)


async def test_the_size_of_a_file_is_no_question(ledger: Ledger, start_run: StartRun, drop: Drop) -> None:
    """More than 10,000 completions are submitted as they are."""
    drop("many.csv", lines(*["good"] * 10_001, header="completion_id,quality"))
    await begun(ledger, "2026-11-25")

    await start_run().carry_on()

    assert [job.state for job in await ledger.jobs.latest(10)] == [JobState.RUNNING]


async def test_a_night_that_needs_attention_is_notified_once_whatever_number_of_files_is_held(
    ledger: Ledger, start_run: StartRun, drop: Drop
) -> None:
    """With what to do about each file, and neither a key, a value nor an id of a completion."""
    await served(ledger)
    drop("a.csv", ROW_NUMBERS)
    drop("b.csv", "completion_id,team\nsekret-1,sekret\n")
    await begun(ledger, "2026-11-25")

    for _ in range(3):
        await start_run().carry_on()

    notice, body = await notified(ledger)
    night = await night_of(ledger, "2026-11-25")
    assert (body["type"], body["date"], body["held_files"]) == ("nightly.needs_attention", "2026-11-25", 2)
    assert [file["job_id"] for file in body["held"]] == [file.job_id for file in night.entries]
    assert all(f"`relabel resume {file.job_id}`" in body["text"] for file in night.entries)
    assert "sekret" not in str(body)
    assert "Unnamed" not in str(body)
    assert (notice.subject, notice.is_urgent) == ("Nightly run of 2026-11-25", True)


async def test_a_night_that_has_ended_is_notified_once_with_its_rows_and_the_rejected_files(
    ledger: Ledger, start_run: StartRun, drop: Drop, end_job: Any
) -> None:
    """One digest in place of a notification for each job."""
    await served(ledger)
    for name in ("a.csv", "b.csv"):
        drop(name)
    drop("c.csv", "chatcmpl-Sekret,sekret\n")
    await begun(ledger, "2026-11-25")
    await start_run().carry_on()
    assert await Outbox(ledger.redis).waiting() == 0

    for job in await ledger.jobs.latest(10):
        await end_job(job.spec.job_id)
    for _ in range(2):
        await start_run().carry_on()

    notice, body = await notified(ledger)
    assert (body["type"], body["files"], body["jobs"], body["rejected"]) == ("nightly.finished", 3, 2, 1)
    assert (body["rows"]["updated"], body["rows"]["total"]) == (2, 2)
    assert [(file["name"], file["job_id"]) for file in body["rejected_files"]] == [("c.csv", None)]
    assert body["rejected_files"][0]["reason"] in body["text"]
    assert "sekret" not in str(body).lower()
    assert body["started_at"] <= body["finished_at"]
    assert not notice.is_urgent
    assert await JobEvents(ledger.redis, ledger.jobs).pending() == []


async def test_a_night_is_not_notified_where_nobody_sends_notifications(ledger: Ledger, start_run: StartRun) -> None:
    await begun(ledger, "2026-11-25")

    await start_run().carry_on()

    assert await Outbox(ledger.redis).waiting() == 0


async def served(ledger: Ledger) -> None:
    """Let a worker send notifications."""
    await JobEvents(ledger.redis, ledger.jobs).pending()


async def notified(ledger: Ledger) -> tuple[Notice, dict[str, Any]]:
    """The one notification that waits, and what is sent of it."""
    [notice] = await Outbox(ledger.redis).due(await ledger.jobs.now(), most=10)
    return notice, json.loads(body_of(notice))
