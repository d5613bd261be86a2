"""`relabel metrics`: an endpoint that answers whatever Redis does."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ledger.row import Outcome
from tests.harness.program import Program, start_program
from tests.harness.redis_server import PrivateRedis
from tests.harness.wait import wait_until

LONGEST_S = 60


class Served:
    """A running endpoint."""

    def __init__(self, process: Program, url: str) -> None:
        self.process = process
        self.url = url

    async def says(self, line: str) -> None:
        """Wait until a scrape has this line; each one is answered, and well."""

        async def has_it() -> bool:
            return line in (await asyncio.to_thread(self._scrape)).splitlines()

        await wait_until(has_it, within=LONGEST_S, what=f"a scrape says {line}")

    def _scrape(self) -> str:
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            assert answer.status == 200
            return answer.read().decode()


@pytest.fixture
async def serve(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Served]]]:
    """Start `relabel metrics` on a free port."""
    started = []

    async def start(**settings: str) -> Served:
        process = await start_program("relabel", "metrics", "--port", "0", cwd=tmp_path, env=environment | settings)
        started.append(process)
        assert process.stderr is not None
        async with asyncio.timeout(LONGEST_S):
            line = (await process.stderr.readline()).decode()
        found = re.search(r"http://\S+", line)
        assert found, line
        return Served(process, found[0])

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_endpoint_outlives_its_redis(serve, state_dir):
    """Away, frozen or back: each scrape is answered, and says which; SIGTERM ends it."""
    with PrivateRedis(state_dir) as redis:
        served = await serve(RELABEL_REDIS__URL=redis.url)
        await served.says("relabel_ledger_up 1.0")

        redis.kill()
        await served.says("relabel_ledger_up 0.0")
        redis.start()
        await served.says("relabel_ledger_up 1.0")
        redis.freeze()
        await served.says("relabel_broker_up 0.0")
        await served.says('relabel_scrape_errors_total{source="broker"} 0.0')
        redis.thaw()
        await served.says("relabel_rows_pending 0.0")

    served.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(LONGEST_S):
        assert await served.process.wait() == 0


async def test_what_a_scrape_would_get_can_be_printed(relabel, make_job, end_rows):
    """With the rows of a job under way, and no worker."""
    job = await make_job("id,team\na,red\nb,blue\nc,red\n")
    await end_rows(job, {0: Outcome.UPDATED, 2: Outcome.FAILED})

    ended = await relabel("metrics", "--once")

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert {
        'relabel_rows_total{outcome="updated"} 1.0',
        'relabel_rows_total{outcome="failed"} 1.0',
        "relabel_rows_pending 1.0",
        "relabel_workers 0.0",
        f'relabel_job_progress_ratio{{job="{job.job_id}",state="running"}} {2 / 3}',
    } <= set(lines)
    assert "patches.csv" not in ended.out


async def test_a_pause_is_shown_by_its_code_unless_a_server_made_it_up(relabel, make_job, ledger):
    """A label must hold nothing that a stranger may choose."""
    for number, code in enumerate(("invalid_api_key", "http_403", "chatcmpl-Abc", "x" * 60)):
        job = await make_job(f"id,team\na{number},red\n")
        await ledger.jobs.pause(job.job_id, by="test", code=code, reason="whatever")

    lines = (await relabel("metrics", "--once")).out.splitlines()

    assert [line for line in lines if line.startswith("relabel_jobs_paused{")] == [
        'relabel_jobs_paused{reason_code="http_403"} 1.0',
        'relabel_jobs_paused{reason_code="invalid_api_key"} 1.0',
        'relabel_jobs_paused{reason_code="other"} 2.0',
    ]


async def test_jobs_beyond_the_most_have_no_series_of_their_own(relabel, harness_of_jobs):
    """So that a thousand jobs are no flood; how many are left out is said."""
    await harness_of_jobs(53)

    lines = (await relabel("metrics", "--once")).out.splitlines()

    assert sum(line.startswith("relabel_job_progress_ratio{") for line in lines) == 50
    assert {"relabel_jobs_without_series 3.0", 'relabel_jobs{state="running"} 53.0'} <= set(lines)


@pytest.fixture
def harness_of_jobs(make_job):
    """Make so many small jobs."""

    async def make(number: int) -> None:
        for each in range(number):
            await make_job(f"id,team\na{each},red\n")

    return make


async def test_printing_without_redis_is_exit_code_4(relabel, tmp_path):
    """The text is there all the same."""
    ended = await relabel("metrics", "--once", RELABEL_REDIS__URL=f"unix://{tmp_path / 'nothing.sock'}")

    assert ended.code == 4
    assert "relabel_ledger_up 0.0" in ended.out.splitlines()
    assert "Traceback" not in ended.err


async def test_an_address_that_is_taken_is_told(relabel):
    """Exit code 2, with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = await relabel("metrics", RELABEL_METRICS__PORT=str(port))

    assert ended.code == 2
    assert f"cannot listen on 127.0.0.1:{port} ({os.strerror(98)})" in ended.err
