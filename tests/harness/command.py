"""The command `relabel` in this process: what it prints and how it ends, without the second that a process takes.

It runs as `cli.main.main` does, in a thread, with an environment, a folder and outputs of its own. Signals, terminals,
pipes and full disks need a process; so do verbs that start workers or serve.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from cli.main import main
from tests.harness.program import start_program

ROOT = Path(__file__).parents[2]
LONGEST_S = 120
NEEDS_A_PROCESS = frozenset({"run", "--run", "sandbox", "metrics", "probe", "select", "serve"})
"""Verbs and options that listen for signals, start workers or serve."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


async def run_command(*arguments: str, environment: dict[str, str], folder: Path) -> Ended:
    """Run the command to its end: in this process where it can, else in one of its own."""
    run = run_process if NEEDS_A_PROCESS & set(arguments) else run_here
    return await run(*arguments, environment=environment, folder=folder)


async def run_here(*arguments: str, environment: dict[str, str], folder: Path) -> Ended:
    """Run the command to its end in a thread of this process; one at a time."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Ended] = loop.create_future()

    def run() -> None:
        try:
            result = _run_here(arguments, environment, folder)
        except BaseException as error:  # noqa: BLE001 - the test gets it
            loop.call_soon_threadsafe(ended.set_exception, error)
        else:
            loop.call_soon_threadsafe(ended.set_result, result)

    threading.Thread(target=run, name="relabel", daemon=True).start()
    async with asyncio.timeout(LONGEST_S):
        return await ended


async def run_process(*arguments: str, environment: dict[str, str], folder: Path) -> Ended:
    """Run the command to its end in a process of its own."""
    process = await start_program("relabel", *arguments, cwd=folder, env=environment)
    async with asyncio.timeout(LONGEST_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def _run_here(arguments: tuple[str, ...], environment: dict[str, str], folder: Path) -> Ended:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _at_home(environment, folder), _talking_to(arguments, out.fileno(), err.fileno()), _log_of_its_own():
            code = _exit_code()
        return Ended(code, _content(out), _content(err))


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    raise AssertionError("main returned")


@contextlib.contextmanager
def _at_home(environment: dict[str, str], folder: Path) -> Iterator[None]:
    kept = dict(os.environ)
    with contextlib.chdir(folder):
        _set_environment(environment)
        try:
            yield
        finally:
            _set_environment(kept)


def _set_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    time.tzset()


@contextlib.contextmanager
def _talking_to(arguments: tuple[str, ...], out: int, err: int) -> Iterator[None]:
    kept = sys.argv, sys.stdin, sys.stdout, sys.stderr
    with (
        Path(os.devnull).open(encoding="utf-8") as nothing,
        open(out, "w", encoding="utf-8", closefd=False) as stdout,
        open(err, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as stderr,
    ):
        sys.argv, sys.stdin, sys.stdout, sys.stderr = ["relabel", *arguments], nothing, stdout, stderr
        try:
            yield
        finally:
            sys.argv, sys.stdin, sys.stdout, sys.stderr = kept


@contextlib.contextmanager
def _log_of_its_own() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
