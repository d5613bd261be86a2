"""The report of an ended job outlives the job: written once, whole, for its owner alone, for a bounded time."""

from __future__ import annotations

import gzip
import json
import os
import stat

import pytest

from config.groups import ArchiveSettings
from config.settings import Settings
from ledger.job_spec import Kind
from ledger.keys import ARCHIVE_DUE, ARCHIVES, JobKeys
from relabel.health import Verdict, check_health
from relabel.history import history
from relabel.session import Session
from report.archive import archived_jobs
from worker.archiver import Archiver

DAY_S = 86_400.0


@pytest.fixture
def folder(tmp_path):
    """An empty folder for archived reports."""
    path = tmp_path / "archive"
    path.mkdir()
    return path


@pytest.fixture
async def archiver(harness, folder):
    """A worker that archives, and has said so."""
    archiver = Archiver(harness.ledger, folder, keep_s=30 * DAY_S, worker="celery@a")
    await archiver.step()
    return archiver


async def ended_job(harness, *patches, **options):
    """A job that a worker ended; return its id."""
    job_id = await harness.submit(*patches, **options)
    await harness.turn(job_id)
    await harness.ledger.jobs.retire(job_id)
    return job_id


def lines_of(folder, job_id):
    """The lines of an archived report."""
    return [json.loads(line) for line in gzip.decompress((folder / f"{job_id}.jsonl.gz").read_bytes()).splitlines()]


async def expire(harness, job_id):
    """Let the job's time in the ledger be over."""
    keys = JobKeys(job_id)
    await harness.redis.delete(*keys.lasting, *keys.passing)


async def test_the_report_of_an_ended_job_is_archived_once_with_what_each_row_changed(
    harness, archiver, folder, completion_id
):
    """Readable by its owner alone; nothing else is in the folder, and nothing is left to do."""
    job_id = await ended_job(harness, (completion_id, {"team": "green"}), ("chatcmpl-missing", {"team": "x"}))

    await archiver.step()
    written = (folder / f"{job_id}.jsonl.gz").stat()
    await harness.ledger.jobs.retire(job_id)
    await archiver.step()

    assert stat.S_IMODE(written.st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [f"{job_id}.jsonl.gz"]
    assert (folder / f"{job_id}.jsonl.gz").stat().st_ino == written.st_ino
    job, updated, failed = lines_of(folder, job_id)
    assert (job["relabel"]["job"]["job_id"], job["relabel"]["rows"]["updated"]) == (job_id, 1)
    assert (updated["completion_id"], updated["metadata"]) == (completion_id, {"team": "green"})
    assert updated["relabel"]["outcome"] == "updated"
    assert updated["relabel"]["change"]["changes"] == [
        {"key": "team", "before": "blue", "after": "green", "before_known": True}
    ]
    assert (failed["relabel"]["outcome"], failed["relabel"]["change"]["changes"]) == ("failed", [])
    assert not await harness.redis.exists(ARCHIVE_DUE)
    assert await harness.redis.ttl(ARCHIVES) > 0


async def test_a_history_goes_on_in_the_archive_when_the_job_is_gone(harness, archiver, folder, completion_id):
    """Where the folder is seen; elsewhere it says which folder was not searched."""
    job_id = await ended_job(harness, (completion_id, {"team": "green"}))
    await archiver.step()
    await expire(harness, job_id)
    here = Settings(_env_file=None, archive=ArchiveSettings(dir=folder, keep_days=30))

    seen = await history(Session(harness.ledger, here, "ada@a"), completion_id)
    unseen = await history(Session(harness.ledger, Settings(_env_file=None), "ada@a"), completion_id)

    (entry,) = seen.entries
    assert (entry.job.job_id, entry.row.outcome, seen.searched) == (job_id, "updated", 1)
    assert [(change.key, change.before, change.after) for change in entry.row.changes] == [("team", "blue", "green")]
    assert (seen.unread_archives, seen.unseen_folders) == ([], [])
    assert (unseen.entries, unseen.unseen_folders) == ([], [f"{folder} of celery@a"])


async def test_an_archived_plan_says_what_would_have_changed_and_is_no_change_in_a_history(
    harness, archiver, folder, completion_id
):
    plan = await ended_job(harness, (completion_id, {"team": "green"}), kind=Kind.PLAN)
    await archiver.step()
    await expire(harness, plan)
    here = Settings(_env_file=None, archive=ArchiveSettings(dir=folder, keep_days=30))

    seen = await history(Session(harness.ledger, here, "ada@a"), completion_id)

    _, row = lines_of(folder, plan)
    assert row["relabel"]["outcome"] == "would_change"
    assert (row["relabel"]["before"], row["relabel"]["after"]) == ({"team": "blue"}, {"team": "green"})
    assert (seen.entries, seen.searched) == ([], 1)


async def test_a_damaged_archive_is_named_and_the_others_are_read(harness, archiver, folder, completion_id):
    """Cut off in the middle, not compressed, empty; a file of another name is nobody's archive."""
    job_id = await ended_job(harness, (completion_id, {"team": "green"}))
    await archiver.step()
    await expire(harness, job_id)
    whole = (folder / f"{job_id}.jsonl.gz").read_bytes()
    for name, content in {"cut": whole[:-20], "plain": b"{}\n", "empty": b"", "text": gzip.compress(b"x\n")}.items():
        (folder / f"{name}.jsonl.gz").write_bytes(content)
    (folder / "notes.txt").write_text("x")
    here = Settings(_env_file=None, archive=ArchiveSettings(dir=folder, keep_days=30))

    found = await history(Session(harness.ledger, here, "ada@a"), completion_id)

    assert [entry.job.job_id for entry in found.entries] == [job_id]
    assert [text.split("/")[-1].split()[0] for text in found.unread_archives] == ["cut", "empty", "plain", "text"]


async def test_a_folder_that_cannot_be_used_fails_health_and_stops_no_job(harness, tmp_path, redis_url, completion_id):
    """The job waits; when the folder is there, its report is written, and the fault is over."""
    folder = tmp_path / "missing"
    archiver = Archiver(harness.ledger, folder, keep_s=DAY_S, worker="celery@a")
    await archiver.step()
    job_id = await ended_job(harness, (completion_id, {"team": "green"}))
    settings = Settings(_env_file=None, redis={"url": redis_url})

    await archiver.step()
    broken = (await check_health(settings, ["archive"], deployed=True))["archive"]
    assert broken.verdict is Verdict.FAIL
    assert f"celery@a: {folder} (No such file or directory)" in broken.message

    folder.mkdir()
    again = Archiver(harness.ledger, folder, keep_s=DAY_S, worker="celery@a")
    await again.step()
    mended = (await check_health(settings, ["archive"], deployed=True))["archive"]
    assert (mended.verdict, archived_jobs(folder)) == (Verdict.OK, [job_id])


async def test_old_archives_and_unfinished_files_are_removed_and_nothing_else(harness, folder):
    """After the days that archives are kept, and a day for what a killed worker left."""
    ages = {
        "20261127-172335-90e7a1b2.jsonl.gz": 31, "20261127-172335-90e7a1b3.jsonl.gz": 29,
        ".relabel-0123456789abcdef.part": 2, ".relabel-0123456789abcdee.part": 0.5,
        "notes.txt": 400, "other.gz": 400,
    }  # fmt: skip
    for name, days in ages.items():
        (folder / name).touch()
        at = (folder / name).stat().st_mtime - days * DAY_S
        os.utime(folder / name, (at, at))

    await Archiver(harness.ledger, folder, keep_s=30 * DAY_S, worker="celery@a").step()

    assert {path.name for path in folder.iterdir()} == {name for name, days in ages.items() if days not in {31, 2}}


async def test_without_a_worker_that_archives_nothing_waits_for_one(harness, completion_id):
    """The queue would grow for nobody."""
    await ended_job(harness, (completion_id, {"team": "green"}))

    assert not await harness.redis.exists(ARCHIVE_DUE)


async def test_a_worker_that_ends_archives_the_job_that_has_just_finished(harness, archiver, folder, completion_id):
    """As with `run`: the command ends its worker as soon as the job has."""
    job_id = await harness.submit((completion_id, {"team": "green"}))
    await harness.turn(job_id)

    await archiver.end()

    assert archived_jobs(folder) == [job_id]


async def test_a_job_whose_rows_are_lost_is_not_waited_for(harness, archiver, folder, completion_id):
    """The next one has its turn."""
    lost = await ended_job(harness, (completion_id, {"team": "green"}))
    await harness.redis.delete(JobKeys(lost).shards)
    job_id = await ended_job(harness, (completion_id, {"team": "red"}))

    await archiver.step()

    assert archived_jobs(folder) == [job_id]
    assert [path.name for path in folder.iterdir()] == [f"{job_id}.jsonl.gz"]
