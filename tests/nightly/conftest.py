"""A real ledger and a real inbox, and runs on them without workers, so that a test decides what happens to jobs."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from config.groups import ApprovalSettings
from config.settings import Settings
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.row import Outcome
from nightly.run import NightRun
from tests.harness.cluster import settings_for
from tests.harness.rows import usual_id

StartRun = Callable[..., NightRun]


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """The ledger of the runs."""
    async with open_ledger(redis_url) as redis:
        yield Ledger(redis)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty inbox."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(redis_url: str, inbox: Path) -> Settings:
    """Settings of a worker that has the inbox."""
    return settings_for(redis_url, "http://127.0.0.1:1/v1", nightly={"inbox": inbox})


@pytest.fixture
def start_run(settings: Settings, ledger: Ledger) -> StartRun:
    """Make what carries runs on, as a worker does; its messages go nowhere."""

    def start(approve_above: int | None = None, **nightly: Any) -> NightRun:
        changed = settings.nightly.model_copy(update=nightly)
        approval = ApprovalSettings(above_rows=approve_above)
        chosen = settings.model_copy(update={"nightly": changed, "approval": approval})
        return NightRun(chosen, ledger, lambda *_: None, stopping=lambda: False)

    return start


@pytest.fixture
def drop(inbox: Path) -> Callable[..., Path]:
    """Put a file of one row into the inbox."""

    def drop(name: str, content: str | None = None, *, age_s: float = 3600.0) -> Path:
        path = inbox / name
        path.write_text(content or f"completion_id,team\n{usual_id(crc32(name.encode()))},blue\n")
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    return drop


@pytest.fixture
def cancel(ledger: Ledger) -> Callable[[str], Any]:
    """End a job that no worker is at."""

    async def cancel(job_id: str) -> None:
        await ledger.jobs.cancel(job_id, by="test")
        await ledger.shards.close_all((await ledger.jobs.get(job_id)).spec, Outcome.CANCELLED)
        await ledger.jobs.retire(job_id)

    return cancel


@pytest.fixture
def end_job(ledger: Ledger) -> Callable[[str], Any]:
    """Carry a running job out that no worker is at."""

    async def end(job_id: str) -> None:
        await ledger.shards.close_all((await ledger.jobs.get(job_id)).spec, Outcome.UPDATED)
        await ledger.jobs.retire(job_id)

    return end
