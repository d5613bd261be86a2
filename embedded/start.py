"""Find the server running, or start it under a guardian; for one process at a time, which has announced its use."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded import guardian, locks
from embedded.binary import find_server_binary
from embedded.command import server_command
from embedded.errors import ServerNotStarted
from embedded.folder import ServerFolder
from embedded.probe import Answer, ping, shut_down

START_SECONDS = 10.0
"""How long a start may take; a server on one machine answers in a tenth of a second."""
LOADING_SECONDS = 300.0
"""How long a start may take while the server reads its append-only file."""


def find_or_start(folder: ServerFolder, socket: Path, *, maxmemory: str | None, binary: Path | None) -> bool:
    """Return once the server answers: True where it ran before, False where it was started."""
    if _is_guarded(folder) and _wait_for_answer(folder, socket, is_coming=lambda: _is_guarded(folder)):
        return True
    # A server without a guardian would run for ever. On Linux it is ending already; elsewhere it must be told.
    shut_down(socket)
    command = server_command(
        binary or find_server_binary(data=folder.path), folder=folder.path, socket=socket, maxmemory=maxmemory
    )
    with _guardian(folder, command) as is_alive:
        if not _wait_for_answer(folder, socket, is_coming=is_alive):
            raise _not_started(folder, folder.last_log_line())
    return False


def _is_guarded(folder: ServerFolder) -> bool:
    return locks.is_held_exclusively(folder.guardian_lock)


def _wait_for_answer(folder: ServerFolder, socket: Path, *, is_coming: Callable[[], bool]) -> bool:
    """Wait for a guarded server to answer; False when it is not coming any more."""
    begun = time.monotonic()
    limit_s = START_SECONDS
    while time.monotonic() < begun + limit_s:
        if not is_coming():
            return False
        # In this order: once it is guarded, no earlier server is left that could answer in its place.
        answer = ping(socket) if _is_guarded(folder) else Answer.NONE
        if answer is Answer.READY:
            return True
        if answer is Answer.LOADING:
            limit_s = LOADING_SECONDS
        time.sleep(locks.LOOK_AGAIN_SECONDS)
    raise _not_started(folder, f"no answer within {limit_s:.0f} s ({folder.last_log_line()})")


@contextmanager
def _guardian(folder: ServerFolder, command: list[str]) -> Iterator[Callable[[], bool]]:
    """Start a guardian, and tell whether it is alive: it holds the other end of a pipe for as long as it is."""
    watched, kept = os.pipe()
    try:
        try:
            _run_guardian(folder, command, kept)
        finally:
            os.close(kept)
        end_of_pipe = select.poll()
        end_of_pipe.register(watched, select.POLLIN | select.POLLHUP)
        yield lambda: not end_of_pipe.poll(0)
    finally:
        os.close(watched)


def _run_guardian(folder: ServerFolder, command: list[str], kept_fd: int) -> None:
    locks_in_order = [folder.users_lock, folder.guardian_lock, folder.server_lock]
    with folder.begin_log() as log:
        subprocess.run(  # noqa: S603  our own file, run by our own interpreter
            [sys.executable, "-I", "-S", guardian.__file__, *map(str, locks_in_order), *command],
            cwd=folder.path,
            # Nothing of the user's environment, which holds the API key, may outlive the command.
            env={},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(kept_fd,),
            # Its own session: Ctrl-C and the terminal's end are for the user, not for the server.
            start_new_session=True,
            timeout=START_SECONDS,
            check=False,
        )


def _not_started(folder: ServerFolder, reason: str) -> ServerNotStarted:
    return ServerNotStarted(
        reason, todo=f"read {folder.log}, or set RELABEL_REDIS__URL to a server of your own", log=folder.log
    )
