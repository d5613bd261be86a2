"""File locks that the kernel frees when the last process holding them is gone, however it went.

A lock belongs to the open file and is shared by children that inherit the descriptor: so a lock is given back by
closing it, never by LOCK_UN, which would take it from those children too. Lock files are never removed: a lock on a
removed file keeps nobody out. Source: flock(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import Final

SHARED: Final = fcntl.LOCK_SH
EXCLUSIVE: Final = fcntl.LOCK_EX
LOOK_AGAIN_SECONDS = 0.01


def take(path: Path, kind: int, *, seconds: float) -> int | None:
    """Take the lock and return its descriptor, or None when it is not to be had within *seconds*."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + seconds
    try:
        # Polled, because a blocking flock has no time limit.
        while not _taken_at_once(fd, kind):
            if time.monotonic() >= deadline:
                os.close(fd)
                return None
            time.sleep(LOOK_AGAIN_SECONDS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def give_back(fd: int) -> None:
    """Release the lock; a child that inherited the descriptor keeps it."""
    os.close(fd)


def is_held_exclusively(path: Path) -> bool:
    """Return whether somebody holds the lock alone."""
    return not _is_free_for(path, SHARED)


def is_shared(path: Path) -> bool:
    """Return whether somebody holds the lock in a way that lets others in."""
    return not _is_free_for(path, EXCLUSIVE) and _is_free_for(path, SHARED)


def _is_free_for(path: Path, kind: int) -> bool:
    fd = take(path, kind, seconds=0)
    if fd is None:
        return False
    give_back(fd)
    return True


def _taken_at_once(fd: int, kind: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
        return True
    return False
