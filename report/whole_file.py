"""Writes a file atomically."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from report.folder import Folder, open_folder

Write = Callable[[bytes], None]


class Access(NamedTuple):
    """Who may use a file: its mode, and the id of the group that the mode is about, -1 for whichever it gets."""

    mode: int = 0o600
    group: int = -1


PRIVATE = Access()


@contextmanager
def whole_file(path: Path) -> Iterator[Write]:
    """Write a file for its owner alone; see `whole_file_in`."""
    with open_folder(path.parent) as folder, whole_file_in(folder, path.name) as write:
        yield write


@contextmanager
def whole_file_in(folder: Folder, name: str, access: Access = PRIVATE) -> Iterator[Write]:
    """Write beside the file and rename at the end, so that nobody ever sees half of it.

    Yields the function that writes.

    Raises:
        OSError: it cannot be written; nothing is left of it then.

    """
    temporary = f".relabel-{secrets.token_hex(8)}.part"
    fd = folder.create(temporary)
    try:
        try:
            yield lambda content: write_all(fd, content)
            _give_access(fd, access)
            os.fsync(fd)
        finally:
            os.close(fd)
        folder.replace(temporary, name)
    except BaseException:
        with suppress(OSError):
            folder.remove(temporary)
        raise


def _give_access(fd: int, access: Access) -> None:
    """Set the mode and the group of a file; without the right to set the group, no group may read it."""
    mode = access.mode
    if access.group not in {-1, os.fstat(fd).st_gid}:
        try:
            os.fchown(fd, -1, access.group)
        except OSError:
            mode &= ~0o070
    os.fchmod(fd, mode)


def write_all(fd: int, content: bytes) -> None:
    """Write all of it, with no buffer: one that cannot be written out would complain once more when it is closed."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
