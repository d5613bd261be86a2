"""A night in fast motion: real beats, real workers, a real inbox, and a receiver of notifications."""

from __future__ import annotations

import gzip
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.beat import PersistentScheduler

from tasks.worker_app import make_worker_app
from tests.end_to_end.cli_process import CliProcess, Running
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids, simple_csv
from tests.end_to_end.webhook_receiver import WebhookReceiver
from tests.harness.cluster import settings_for
from tests.harness.wait import wait_until

Start = Callable[..., Awaitable[Running]]


@pytest.fixture
def inbox(relabel: CliProcess, redis_url: str) -> Path:
    """An inbox whose run was due five minutes ago."""
    due = datetime.now(UTC) - timedelta(minutes=5)
    folder = relabel.folder / "inbox"
    folder.mkdir()
    relabel.environment |= {
        "RELABEL_REDIS__URL": redis_url,
        "RELABEL_NIGHTLY__CRON": f"{due.minute} {due.hour} * * *",
        "RELABEL_NIGHTLY__INBOX": str(folder),
    }
    return folder


@pytest.fixture
async def start(relabel: CliProcess, inbox: Path) -> AsyncIterator[Start]:
    """Start workers and beats; those that a test did not end itself end in order with it."""
    started: list[Running] = []

    async def start(*arguments: str, says: str, **settings: str) -> Running:
        running = await relabel.start("-A", "tasks.app", *arguments, program="celery", **settings)
        started.append(running)
        await running.says(says)
        return running

    yield start
    for running in started:
        running.send(signal.SIGTERM)
    for running in started:
        await running.ended(within=30)


def drop(inbox: Path, name: str, content: str | bytes, *, age_s: float = 3600.0) -> None:
    """Put a file into the inbox that was last changed so long ago."""
    path = inbox / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (time.time() - age_s,) * 2)


def names(folder: Path) -> set[str]:
    """The names in a folder, with 2026 for whichever date."""
    return {re.sub(r"^20\d\d-\d\d-\d\d\.", "2026.", path.name) for path in folder.iterdir()}


async def run_ended(relabel: CliProcess) -> dict[str, Any]:
    """Wait until the last run has ended, and give it as the command does."""

    async def ended() -> dict[str, Any] | None:
        last: dict[str, Any] | None = (await relabel("nightly", "status", "--json")).facts["last"]
        return last if last is not None and last["ended_at"] else None

    night = await wait_until(ended, within=60, what="the run has ended", every=0.5)
    assert night is not None
    return night


def late_beat_file(relabel: CliProcess, name: str) -> str:
    """Make the file of a beat that fired a day ago, and was down when the run was due."""
    settings = settings_for("redis://127.0.0.1:1/0", "http://127.0.0.1:1/v1", nightly={"cron": "0 0 * * *"})
    beat = PersistentScheduler(app=make_worker_app(settings), schedule_filename=str(relabel.files / name))
    beat.schedule["nightly"].last_run_at = datetime.now(UTC) - timedelta(days=1)
    beat.close()
    return name


@pytest.mark.promise
async def test_a_night_in_fast_motion(relabel: CliProcess, serve: StartServer, start: Start, inbox: Path) -> None:
    """Two beats fire late and one run is made of it; each file is filed away with what became of it, or left alone."""
    ids = new_ids(30)
    server = await serve({completion_id: {} for completion_id in ids})
    content = simple_csv(ids[:20])
    drop(inbox, "a.csv", content)
    drop(inbox, "b.csv.gz", gzip.compress(simple_csv([*ids[20:], "chatcmpl-unknown0"]).encode()))
    drop(inbox, "c-same.csv", content)
    drop(inbox, "d-empty.csv", "")
    drop(inbox, "e-no-good.csv", "completion_id,team\n,blue\n")
    drop(inbox, "f-young.csv", simple_csv(ids), age_s=5)
    drop(inbox, "g.csv.tmp", content)
    drop(inbox, ".hidden.csv", content)
    drop(inbox, "notes.txt", "to whom it may concern")
    (inbox / "done").mkdir()
    drop(inbox / "done", "a.csv", "of another night")

    async with WebhookReceiver(failures=[500, 302]) as receiver:
        worker = await start("worker", "--without-mingle", says=" ready.", **receiver.settings)
        for name in ("one", "two"):
            await start("beat", "-s", late_beat_file(relabel, name), says="Sending due task nightly")
        await worker.says("was started before; it is not started again")
        night = await run_ended(relabel)
        await wait_until(lambda: len(receiver.taken) == 1, within=60, what="its end is told")
        refused = await relabel("nightly", "run", "--wait")
        os.utime(inbox / "f-young.csv", (time.time() - 3600,) * 2)
        again = await relabel("nightly", "run", "--again", "--wait", "--json")
        await wait_until(lambda: len(receiver.taken) == 2, within=60, what="the second end is told, too")

    assert names(inbox) == {
        "done", "rejected", ".relabel-inbox", ".hidden.csv", "g.csv.tmp", "notes.txt"
    }  # fmt: skip
    assert names(inbox / "done") == {
        "a.csv", "2026.a.csv", "2026.a.csv.report.csv", "b.csv.gz", "b.csv.gz.report.csv", "c-same.csv",
        "c-same.csv.note.txt", "f-young.csv", "f-young.csv.report.csv",
    }  # fmt: skip
    assert names(inbox / "rejected") == {
        "d-empty.csv", "d-empty.csv.reason.txt", "e-no-good.csv", "e-no-good.csv.reason.txt"
    }  # fmt: skip
    assert (inbox / "done" / "a.csv").read_text() == "of another night"
    assert server.completions == {completion_id: {"team": "blue"} for completion_id in ids}
    assert server.asked("POST") == 30, "the same content was not sent twice"
    assert (night["files"], night["jobs"], night["rejected"]) == (5, 2, 2)
    assert {file["name"] for file in night["entries"] if file["state"] == "left"} == {"f-young.csv", "notes.txt"}

    report = (inbox / "done" / "b.csv.gz.report.csv").read_text().splitlines()
    assert report[0].startswith("completion_id,team,relabel.outcome")
    assert (len(report), report[-1].split(",")[2:4]) == (12, ["failed", "not_found"])
    first = night["entries"][0]["job_id"]
    assert f"as job {first}" in (inbox / "done" / "c-same.csv.note.txt").read_text()
    assert (inbox / "rejected" / "d-empty.csv.reason.txt").read_text().startswith("the file is empty;")

    once, twice = receiver.taken
    assert (refused.code, "was made already; --again" in refused.err) == (2, True)
    young = {file["name"]: file for file in again.facts["entries"]}["f-young.csv"]
    assert (again.code, again.facts["state"], young["state"]) == (1, "finished", "done"), "others were rejected"
    assert young["rows"]["unchanged"] == 30

    assert {notice["type"] for notice in (once, twice)} == {"nightly.finished"}
    assert (once["files"], once["jobs"], once["rejected"]) == (5, 2, 2)
    assert {file["name"] for file in once["rejected_files"]} == {"d-empty.csv", "e-no-good.csv"}
    assert (once["rows"]["updated"], once["rows"]["failed"]) == (30, 1)
    assert (twice["jobs"], twice["rows"]["unchanged"]) == (3, 30)
    assert len(receiver.tries) == 4
    assert len(set(receiver.tries)) == 2, "a second try has the id and the body of the first"
    for _, body in receiver.tries:
        assert b"chatcmpl-" not in body
        assert b"blue" not in body
    assert receiver.url.rpartition("/")[2] not in worker.err
    assert not any(completion_id in worker.err for completion_id in ids)
