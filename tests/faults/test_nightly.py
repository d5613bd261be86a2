"""A worker is killed in the middle of a nightly run: another takes it up, no file is lost, none is applied twice."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ledger.job import JobState
from ledger.ledger import Ledger
from nightly.state import FileState, Night
from nightly.store import Nights
from tasks.nightly import NIGHTLY
from tests.faults.conftest import StartCluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

DATE_LINE = "0 0 * * *"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def drop(inbox: Path, name: str, lines: list[str]) -> None:
    """Put a CSV file into the inbox that was last changed an hour ago."""
    (inbox / name).write_text("\n".join(["completion_id,team", *lines, ""]))
    os.utime(inbox / name, (time.time() - 3600,) * 2)


def names(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


async def last(ledger: Ledger) -> Night | None:
    """The last run."""
    return await Nights(ledger.redis).last()


@pytest.mark.promise
async def test_a_run_goes_on_after_its_worker_was_killed(start_cluster: StartCluster, inbox: Path) -> None:
    """It dies while it reads the second of three files, and with rows of the first in flight."""
    cluster = await start_cluster(latency_s=0.02)
    rows = PatchRows(40)
    cluster.sandbox.store.load(rows.before)
    ids = rows.ids
    drop(inbox, "1.csv", [f"{completion_id},night" for completion_id in ids[:30]])
    drop(inbox, "2-takes-long-to-read.csv", [",no id"] * 60_000)
    drop(inbox, "3.csv", [f"{completion_id},night" for completion_id in ids[30:]])
    settings = {"inbox": inbox, "cron": DATE_LINE}
    doomed = await cluster.worker(nightly=settings)
    cluster.app.send_task(NIGHTLY)

    async def in_the_middle() -> bool:
        night = await last(cluster.ledger)
        return night is not None and len(night.of(FileState.SUBMITTED)) == 1 and cluster.asked > 0

    await wait_until(in_the_middle, within=60, what="the first file is submitted and begun")
    doomed.kill()
    night = await last(cluster.ledger)
    assert night is not None
    assert [file.state for file in night.entries] == [FileState.SUBMITTED, FileState.TAKEN, FileState.TAKEN]

    await cluster.worker(nightly=settings)
    cluster.app.send_task(NIGHTLY)  # beat fires twice, too

    async def ended() -> Night | None:
        night = await last(cluster.ledger)
        return night if night is not None and night.ended_at else None

    night = await wait_until(ended, within=90, what="the run has ended")
    assert night is not None
    assert [(file.name, file.state) for file in night.entries] == [
        ("1.csv", FileState.DONE),
        ("2-takes-long-to-read.csv", FileState.REJECTED),
        ("3.csv", FileState.DONE),
    ]
    assert (night.jobs, names(inbox)) == (2, {".relabel-inbox", "done", "rejected"})
    jobs = [job for job in await cluster.ledger.jobs.latest(10) if job.state is not JobState.LOST]
    assert sorted((job.spec.name, job.state, job.counts.updated) for job in jobs) == [
        ("1.csv", JobState.FINISHED, 30),
        ("3.csv", JobState.FINISHED, 10),
    ]
    for completion_id in ids:
        assert cluster.sandbox.store.metadata(completion_id)["team"] == "night"
    assert len((inbox / "done" / "1.csv.report.csv").read_text().splitlines()) == 31
