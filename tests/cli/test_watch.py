"""`relabel watch`: a bar on a terminal, lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ledger.row import Outcome
from tests.harness.program import Program, start_program

COMMAND = ["-m", "cli.main", "watch"]
CSV = "id,team\na,red\nb,blue\n"
DONE = {0: Outcome.UPDATED, 1: Outcome.UNCHANGED}


@pytest.fixture
def watching(environment, tmp_path) -> Callable[..., object]:
    """Run `watch` beside the test."""

    @asynccontextmanager
    async def start(*arguments: str, **settings: str) -> AsyncIterator[Program]:

        process = await start_program("relabel", "watch", *arguments, cwd=tmp_path, env=environment | settings)
        try:
            async with asyncio.timeout(120):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return start


async def ended(process):
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_json_lines_follow_the_job_to_its_end(watching, make_job, end_rows, fails):
    """One object whenever it changed, the last one final; the exit code is the job's."""
    job = await make_job(CSV)
    async with watching(job.job_id, "--json") as process:
        first = json.loads(await process.stdout.readline())
        await end_rows(job, {0: Outcome.UPDATED, 1: fails("timeout")})
        code, out, err = await ended(process)

    last = json.loads(out.splitlines()[-1])
    assert (first["state"], first["rows"]["pending"]) == ("running", 2)
    assert (last["state"], last["rows"]["pending"], last["rows"]["failed"]) == ("finished", 0, 1)
    assert (code, err) == (1, "")


async def test_without_a_terminal_there_are_plain_lines(watching, make_job, end_rows):
    """One at the start with the reason why it is slow, one at the end, then the summary; FORCE_COLOR or not."""
    job = await make_job(CSV)
    async with watching(job.job_id, FORCE_COLOR="1") as process:
        first = (await process.stderr.readline()).decode()
        await end_rows(job, DONE)
        code, out, err = await ended(process)

    assert first == f"Job {job.job_id} (patches.csv): 2 rows; updated 0; waiting, as no worker is alive\n"
    assert "100%, 2 of 2 rows; updated 1  unchanged 1; finished\n" in err
    assert f"Job {job.job_id} (patches.csv): finished in " in err
    assert (code, out, "\x1b" in err) == (0, "", False)


async def test_a_pause_ends_the_watching(watching, make_job, ledger):
    """With the reason, what to do, and exit code 3."""
    job = await make_job(CSV)
    async with watching(job.job_id) as process:
        await process.stderr.readline()
        await ledger.jobs.pause(job.job_id, by="test", code="insufficient_quota", reason="You exceeded your quota")
        code, _, err = await ended(process)

    assert code == 3
    assert "paused: You exceeded your quota. Add credit or raise the limit at the provider, then go on with" in err


async def test_a_job_that_vanishes_is_lost(watching, make_job, ledger):
    """A server that came back empty is told apart from a job that never was."""
    job = await make_job(CSV)
    async with watching(job.job_id, "--json") as process:
        await process.stdout.readline()
        await ledger.redis.flushdb()
        code, out, _ = await ended(process)

    assert code == 3
    assert json.loads(out.splitlines()[-1])["state"] == "state lost"


async def test_an_outage_of_redis_is_said_once_and_outlived(watching, make_job, end_rows, redis_url, state_dir):
    """Cut the line for a while: the watching goes on when it is back."""
    job = await make_job(CSV)
    line = Line(unquote(urlsplit(redis_url).path), str(state_dir / "line.sock"))
    await line.mend()
    try:
        async with watching(job.job_id, RELABEL_REDIS__URL=f"unix://{line.path}?db=0") as process:
            await process.stderr.readline()
            await line.cut()
            said = (await process.stderr.readline()).decode()
            await line.mend()
            back = (await process.stderr.readline()).decode()
            await end_rows(job, DONE)
            code, _, err = await ended(process)
    finally:
        await line.cut()

    assert said.startswith("Redis cannot be reached")
    assert back == "Redis answers again.\n"
    assert (code, "cannot be reached" in err) == (0, False)


class Line:
    """A socket in front of the server's, which can be cut and mended."""

    def __init__(self, server: str, path: str) -> None:
        self._server = server
        self.path = path
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def mend(self) -> None:
        self._listener = await asyncio.start_unix_server(self._connect, self.path)

    async def cut(self) -> None:
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        Path(self.path).unlink(missing_ok=True)  # noqa: ASYNC240 - a socket in a folder of ours
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        there, back = await asyncio.open_unix_connection(self._server)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, back))
                group.create_task(_pass_on(there, writer))
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            for end in (writer, back):
                end.close()


async def _pass_on(source, target) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


@asynccontextmanager
async def on_a_terminal(environment, *arguments):
    """The command with a terminal as standard error and input."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    settings = {name: value for name, value in environment.items() if name != "COLUMNS"} | {"TERM": "xterm-256color"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *COMMAND, *arguments, env=settings, stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    try:
        async with asyncio.timeout(120):
            yield process, ours
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        os.close(ours)


async def screen_until(fd, words):
    """Read what the terminal gets until it shows the words, or is closed."""
    seen = ""
    while words is None or words not in seen:
        try:
            data = await asyncio.to_thread(os.read, fd, 65536)
        except OSError:  # the other end is closed
            return seen
        seen += data.decode()
    return seen


async def test_a_terminal_gets_a_live_bar_and_is_left_as_it_was(environment, make_job, end_rows):
    """The bar is drawn over, the cursor comes back, colours only where they are wanted."""
    job = await make_job(CSV)
    async with on_a_terminal(environment | {"NO_COLOR": "1"}, job.job_id) as (process, terminal):
        seen = await screen_until(terminal, "no worker is alive")
        await end_rows(job, DONE)
        seen += await screen_until(terminal, None)
        code = await process.wait()

    assert code == 0
    assert "100%, 2 of 2 rows" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", seen)


async def test_ctrl_c_ends_the_watching_and_gives_the_cursor_back(environment, make_job, ledger):
    """Exit code 130, no traceback, and the job goes on."""
    job = await make_job(CSV)
    async with on_a_terminal(environment, job.job_id) as (process, terminal):
        seen = await screen_until(terminal, "no worker is alive")
        process.send_signal(signal.SIGINT)
        seen += await screen_until(terminal, None)
        code = await process.wait()

    assert code == 130
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert "Traceback" not in seen
    assert (await ledger.jobs.get(job.job_id)).state == "running"
