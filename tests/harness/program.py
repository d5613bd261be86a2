"""`relabel` and `celery` as processes: forked where that is the same as a fresh start, which takes a second longer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.harness.end_with_parent import end_with_parent
from tests.harness.forked_process import ForkedProcess, can_fork
from tests.harness.wait import wait_until

BIN = Path(sys.executable).parent
END_S = 180.0
"""Bound of a wait for an end; tests set their own, shorter ones."""


class ForkedProgram:
    """A forked process as `asyncio.subprocess.Process` would have it, as far as tests use that."""

    def __init__(self, process: ForkedProcess) -> None:
        self._process = process
        self.pid = process.pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for its end and return the exit code."""
        await wait_until(lambda: self.returncode is not None, within=END_S, what=f"process {self.pid} has ended")
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end and return what it wrote."""
        out, err, _ = await asyncio.gather(_all_of(self.stdout), _all_of(self.stderr), self.wait())
        return out, err

    def send_signal(self, number: signal.Signals | int) -> None:
        """Send a signal, where it still runs."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


Program = asyncio.subprocess.Process | ForkedProgram


def start_logged(
    program: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path
) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with all that it writes at the end of a file."""
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        if can_fork(program, env):
            files = (nothing.fileno(), file.fileno(), file.fileno())
            return ForkedProcess(program, arguments, cwd=cwd, env=env, files=files)
        return subprocess.Popen(
            [BIN / program, *arguments],
            cwd=cwd,
            env=env,
            stdin=nothing,
            stdout=file,
            stderr=file,
            process_group=0,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
        )


async def start_program(
    program: str,
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int = DEVNULL,
    stdout: int = PIPE,
    stderr: int = PIPE,
) -> Program:
    """Start a program; each of its files is `PIPE`, `DEVNULL` or a descriptor."""
    if not can_fork(program, env):
        return await asyncio.create_subprocess_exec(
            *(BIN / program, *arguments),
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=end_with_parent,
        )
    with contextlib.ExitStack() as stack:
        theirs, ours = zip(
            *(_ends(stack, file, writes=name > 0) for name, file in enumerate((stdin, stdout, stderr))), strict=True
        )
        started = ForkedProgram(ForkedProcess(program, arguments, cwd=cwd, env=env, files=theirs))
    started.stdin = await _writer(ours[0])
    started.stdout, started.stderr = await _reader(ours[1]), await _reader(ours[2])
    return started


def _ends(stack: contextlib.ExitStack, file: int, *, writes: bool) -> tuple[int, int | None]:
    """Return the process's end of a file, closed here with the stack, and ours where it is a pipe."""
    if file == PIPE:
        read, write = os.pipe()
        theirs, ours = (write, read) if writes else (read, write)
    elif file == DEVNULL:
        theirs, ours = os.open(os.devnull, os.O_RDWR), None
    else:
        return file, None
    stack.callback(os.close, theirs)
    return theirs, ours


async def _reader(descriptor: int | None) -> asyncio.StreamReader | None:
    if descriptor is None:
        return None
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _writer(descriptor: int | None) -> asyncio.StreamWriter | None:
    if descriptor is None:
        return None
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _all_of(reader: asyncio.StreamReader | None) -> bytes:
    return await reader.read() if reader is not None else b""
