"""The command `relabel` as people start it: a process, in a home of its own; and a look at all that it leaves."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.harness.command import run_here
from tests.harness.program import Program, start_program
from tests.harness.wait import wait_until

ROOT = Path(__file__).parents[2]
LONGEST_S = 120.0
"""Bound of a command that a test does not interrupt."""
GONE_S = 60.0
"""Bound of the end of everything once a command has ended or was killed."""
_OF_THIS_MACHINE = ("RELABEL_", "OPENAI_", "XDG_STATE_HOME", "PYTHONPATH")
_JOB_LINE = re.compile(r"^Job (\S+)$", re.MULTILINE)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """What --json printed, which is all there is on standard output."""
        facts = json.loads(self.out)
        assert isinstance(facts, dict)
        return facts

    @property
    def said(self) -> str:
        """Both outputs, for what must stand in neither."""
        return self.out + self.err


class Running:
    """A command that was started."""

    def __init__(self, process: Program) -> None:
        self._process = process
        self._out, self._err = bytearray(), bytearray()
        self._readers = [
            asyncio.create_task(_gather(process.stdout, self._out)),
            asyncio.create_task(_gather(process.stderr, self._err)),
        ]

    @property
    def pid(self) -> int:
        """The process id of the command itself."""
        return self._process.pid

    @property
    def err(self) -> str:
        """What it has said so far."""
        return self._err.decode()

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.decode()

    async def says(self, words: str) -> None:
        """Wait until it says the words, on whichever output."""
        await self._until(lambda: words in self.err or words in self.out, f"says {words!r}")

    async def job_id(self) -> str:
        """Wait until it tells the job's id."""
        await self._until(lambda: _JOB_LINE.search(self.err) is not None, "tells the job's id")
        found = _JOB_LINE.search(self.err)
        assert found is not None
        return found[1]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, where it still runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self, within: float = LONGEST_S) -> Ended:
        """Wait for its end."""
        try:
            async with asyncio.timeout(within):
                code = await self._process.wait()
                await asyncio.gather(*self._readers)
        except TimeoutError:
            raise AssertionError(f"still running after {within:.0f} s; it said: {self.err}") from None
        return Ended(code, self._out.decode(), self.err)

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        def is_so() -> bool:
            assert condition() or self._process.returncode is None, f"ended without: {what}; it said: {self.err}"
            return condition()

        try:
            await wait_until(is_so, within=LONGEST_S, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {self.err}") from None


class CliProcess:
    """A home with a state folder and a folder for files, where commands run one after another or together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[Program] = []
        self.state = folder / "state"
        self.files = folder / "files"
        temporary = folder / "temporary"
        for made in (self.state, self.files, temporary):
            made.mkdir()
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OF_THIS_MACHINE) and not name.lower().endswith("_proxy")
        }
        self.environment = kept | {
            "XDG_STATE_HOME": str(self.state),
            "PYTHONPATH": str(ROOT),
            "RELABEL_WORKER__CHILDREN": "1",
            "RELABEL_RATE__PER_MINUTE": "60000",
            "COLUMNS": "200",
            "TZ": "UTC",
            # what a process that is killed leaves behind goes with the home
            "TMPDIR": str(temporary),
        }

    def file(self, name: str, content: str | bytes) -> str:
        """Put a file into the folder that the commands run in; give its name."""
        (self.files / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    async def start(self, *arguments: str, program: str = "relabel", stdin: bytes = b"", **settings: str) -> Running:
        """Start a command; `settings` are environment variables."""
        process = await start_program(
            program, *arguments, cwd=self.files, env=self.environment | settings, stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        self._started.append(process)
        return Running(process)

    async def __call__(self, *arguments: str, **given: Any) -> Ended:
        """Run a command to its end."""
        return await (await self.start(*arguments, **given)).ended()

    async def here(self, *arguments: str, **settings: str) -> Ended:
        """Run a command in this process, where it ends before it starts others."""
        return Ended(*await run_here(*arguments, environment=self.environment | settings, folder=self.files))

    @property
    def worker_log(self) -> str:
        """What the workers of `run` have logged."""
        return (self.state / "relabel" / "worker.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """Every process that has to do with this home: started here, or by its environment or its command line."""
        mark = os.fsencode(self.folder)
        started = {process.pid for process in self._started if process.returncode is None}
        found = [pid for pid in psutil.pids() if pid in started or _names(mark, pid)]
        return [psutil.Process(pid) for pid in found if psutil.pid_exists(pid)]

    def worker(self) -> psutil.Process:
        """The main process of the worker that `run` brings along."""
        found = [process for process in self.processes() if "tasks.run_worker" in process.cmdline()]
        mains = [process for process in found if process.parent() not in found]
        assert len(mains) == 1, found
        return mains[0]

    async def nothing_runs(self) -> None:
        """Wait until no process of this home is left."""
        await wait_until(lambda: not self.processes(), within=GONE_S, what="no process is left", every=0.1)

    def kill_all(self) -> list[str]:
        """SIGKILL what is left; give what it was."""
        left = self.processes()
        told = []
        for process in left:
            with suppress(psutil.NoSuchProcess):
                told.append(" ".join(process.cmdline()))
                process.kill()
        return told

    def left_behind(self) -> Iterator[tuple[str, bytes]]:
        """Every file in this home, by name."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(self.folder)), path.read_bytes()


async def _gather(stream: asyncio.StreamReader | None, into: bytearray) -> None:
    assert stream is not None
    while read := await stream.read(65_536):
        into += read


def _names(mark: bytes, pid: int) -> bool:
    if pid == os.getpid():
        return False
    proc = Path("/proc") / str(pid)
    try:
        return mark in (proc / "cmdline").read_bytes() or mark in (proc / "environ").read_bytes()
    except OSError:
        return False
