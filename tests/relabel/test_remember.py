"""The state folder remembers the embedded server's jobs, also where the server's data is gone."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from config.settings import Settings
from embedded.memory_file import NAME
from ledger.errors import NoSuchJob
from ledger.job import JobState
from relabel.check_result import Verdict
from relabel.health import check_health
from relabel.session import open_session, server_for
from tests.harness.wait import wait_until
from tests.ledger.conftest import LedgerHarness


@pytest.fixture
def settings(state_dir: Path) -> Settings:
    """Settings that name no Redis server, and a state folder."""
    return Settings.model_validate({"state_dir": state_dir})


async def leave_a_job(settings: Settings) -> str:
    """Submit a job in one command, and end the command with the job under way."""
    async with open_session(settings) as session:
        return (await LedgerHarness(session.ledger.redis).submit()).job_id


def left_in(folder: Path) -> set[str]:
    """What a folder holds."""
    return {path.name for path in folder.iterdir()}


async def test_the_next_command_shows_what_was_lost_with_the_servers_data(settings: Settings, state_dir: Path) -> None:
    """Somebody removed it between the two, or its disk did."""
    job_id = await leave_a_job(settings)
    shutil.rmtree(state_dir / "redis")

    async with open_session(settings) as session:
        job = await session.ledger.jobs.get(job_id)

    assert job.state is JobState.LOST
    assert "@" in (job.reason or "")
    assert left_in(state_dir) == {NAME, "redis"}


async def test_health_shows_it_too(settings: Settings, state_dir: Path) -> None:
    await leave_a_job(settings)
    shutil.rmtree(state_dir / "redis")

    with server_for(settings) as (reachable, _):
        found = await check_health(reachable, ["jobs"], deployed=False)

    assert found["jobs"].verdict is Verdict.FAIL


async def test_a_command_that_is_killed_has_remembered_its_job(settings: Settings, state_dir: Path) -> None:
    """It stores what it sees while it runs; the file is its owner's alone."""
    async with open_session(settings) as session:
        job_id = (await LedgerHarness(session.ledger.redis).submit()).job_id
        file = state_dir / NAME

        await wait_until(lambda: job_id in json.loads(file.read_bytes())["jobs"], within=30, what="the job is stored")

        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b'{"generation": 1}', b"\xff\x00"])
async def test_a_file_that_says_nothing_claims_nothing(settings: Settings, state_dir: Path, content: bytes) -> None:
    """It was torn, or is another release's; it is written anew."""
    job_id = await leave_a_job(settings)
    shutil.rmtree(state_dir / "redis")
    (state_dir / NAME).write_bytes(content)

    async with open_session(settings) as session:
        with pytest.raises(NoSuchJob):
            await session.ledger.jobs.get(job_id)
    assert json.loads((state_dir / NAME).read_bytes())["jobs"] == {}
