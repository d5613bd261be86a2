"""Jobs of a command that was killed are paused by the next one; those of a command beside it are left alone."""

from __future__ import annotations

from pathlib import Path

from config.settings import Settings
from ledger.job import JobState
from relabel.control import pause_orphans
from relabel.session import Session, open_session
from tests.ledger.conftest import LedgerHarness


async def state_after(session: Session, job_id: str) -> JobState:
    """Return the job's state after a look for orphans."""
    await pause_orphans(session)
    return (await session.ledger.jobs.get(job_id)).state


async def test_only_a_job_from_before_the_server_was_started_is_an_orphan(state_dir: Path) -> None:
    """Whoever started the server may look for orphans only after another command has come and submitted its job."""
    settings = Settings.model_validate({"state_dir": state_dir})

    async with open_session(settings) as first, open_session(settings) as second:
        job_id = (await LedgerHarness(second.ledger.redis).submit()).job_id
        assert await state_after(first, job_id) is JobState.RUNNING
    async with open_session(settings) as later:
        assert await state_after(later, job_id) is JobState.PAUSED
