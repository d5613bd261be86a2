"""A nightly run on an inbox to which somebody writes who means harm."""

# ruff: noqa: ASYNC240 - nothing else waits for these small local files

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from config.settings import Settings
from ledger.ledger import Ledger
from nightly.run import NightRun
from nightly.state import FileState, Night, NightFile, NightState
from nightly.store import Nights
from tests.nightly.conftest import StartRun

DATE = "2026-11-25"
LONGEST_S = 60.0
CSV = "completion_id,team\nchatcmpl-CUL7LH3wC39LYNbTfcOm9Q7Xsekret,blue\n"

Drop = Callable[..., Path]
Cancel = Callable[[str], Awaitable[None]]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file outside the inbox that the worker may read."""
    path = tmp_path / "secret.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
async def listed(ledger: Ledger, settings: Settings, drop: Drop) -> Path:
    """A file of a run that has listed its files, and has read none yet."""
    path = drop("a.csv", CSV.replace("sekret", "honest"))
    await Nights(ledger.redis).begin(DATE, asked_by="schedule", overlap="skip")
    await NightRun(settings, ledger, lambda *_: None, stopping=lambda: True).carry_on()
    return path


async def night_of(ledger: Ledger) -> Night:
    night = await Nights(ledger.redis).get(DATE)
    assert night is not None
    return night


async def file_of_run(ledger: Ledger) -> NightFile:
    (file,) = (entry for entry in (await night_of(ledger)).entries if entry.name == "a.csv")
    return file


def in_time_of(path: Path, times: os.stat_result) -> None:
    """Set the size and the time that another file had."""
    assert path.stat().st_size == times.st_size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("kind", ["link", "hard link"])
async def test_a_file_swapped_for_a_link_of_equal_size_and_time_is_not_read(
    ledger: Ledger, start_run: StartRun, listed: Path, secret: Path, inbox: Path, kind: str
) -> None:
    """Else any file of the worker would turn up in a report."""
    times = listed.stat()
    in_time_of(secret, times)
    listed.rename(inbox / ".kept")
    if kind == "link":
        listed.symlink_to(secret)
    else:
        os.link(secret, listed)

    await start_run().carry_on()

    assert (await file_of_run(ledger)).state is FileState.LEFT
    assert await ledger.jobs.latest(10) == []
    assert {path.name for path in inbox.iterdir()} == {".relabel-inbox", ".kept", "a.csv"}


@pytest.mark.parametrize("target", ["pipe", "/dev/zero"])
async def test_what_would_never_end_is_not_waited_for(
    ledger: Ledger, start_run: StartRun, listed: Path, target: str
) -> None:
    """A pipe that nobody writes to, and a device that always has more."""
    listed.unlink()
    if target == "pipe":
        os.mkfifo(listed)
    else:
        listed.symlink_to(target)

    await asyncio.wait_for(start_run().carry_on(), LONGEST_S)

    assert (await file_of_run(ledger)).state is FileState.LEFT
    assert (await night_of(ledger)).state is NightState.FINISHED


async def test_a_mark_that_is_a_pipe_is_an_error_in_the_log(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The run waits for somebody to remove it."""
    drop("a.csv")
    await Nights(ledger.redis).begin(DATE, asked_by="schedule", overlap="skip")
    os.mkfifo(inbox / ".relabel-inbox")

    await asyncio.wait_for(start_run().carry_on(), LONGEST_S)

    assert "no regular file; remove it" in caplog.text
    assert (await night_of(ledger)).entries == []


@pytest.mark.parametrize("content", ["completion_id,team\na,\n", "foo,bar\n1,2\n"], ids=["report", "reason"])
async def test_nothing_is_written_where_a_link_leads(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path, tmp_path: Path, content: str
) -> None:
    """Neither report nor reason, nor the file; the entry says what is in the way."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("done", "rejected"):
        (inbox / name).symlink_to(outside)
    drop("a.csv", content)
    await Nights(ledger.redis).begin(DATE, asked_by="schedule", overlap="skip")

    await start_run().carry_on()

    assert list(outside.iterdir()) == []
    assert "put a folder in its place" in (await file_of_run(ledger)).reason


@pytest.mark.parametrize("mode", [0o600, 0o640])
async def test_a_report_is_no_more_readable_than_its_file_was_when_it_was_read(
    ledger: Ledger, start_run: StartRun, listed: Path, inbox: Path, cancel: Cancel, mode: int
) -> None:
    """Whatever its mode is by then."""
    listed.chmod(mode)
    await start_run().carry_on()
    listed.chmod(0o666)
    (job,) = await ledger.jobs.latest(10)
    await cancel(job.spec.job_id)

    await start_run().carry_on()

    (report,) = (inbox / "rejected").glob("*.report.csv")
    assert stat.S_IMODE(report.stat().st_mode) == mode


async def test_a_reason_is_no_more_readable_than_its_file(
    ledger: Ledger, start_run: StartRun, drop: Drop, inbox: Path
) -> None:
    """It may quote the file."""
    drop("a.csv", "foo,bar\n1,2\n").chmod(0o600)
    await Nights(ledger.redis).begin(DATE, asked_by="schedule", overlap="skip")

    await start_run().carry_on()

    assert stat.S_IMODE((inbox / "rejected" / "a.csv.reason.txt").stat().st_mode) == 0o600


async def test_names_from_redis_lead_nowhere(
    ledger: Ledger, start_run: StartRun, listed: Path, secret: Path, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may write to Redis may not read the worker's files by it."""
    found = secret.stat()
    file = await file_of_run(ledger)
    planted = {"size": found.st_size, "changed_ns": found.st_mtime_ns, "inode": 0}
    for name in (f"../{secret.name}", str(secret)):
        await Nights(ledger.redis).put_file(DATE, replace(file, name=name, **planted))

    await start_run().carry_on()

    assert [job.spec.name for job in await ledger.jobs.latest(10)] == ["a.csv"]
    assert secret.exists()
