"""Writes a file that is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Write = Callable[[bytes], None]


@contextmanager
def whole_file(path: Path, *, mode: int = 0o600) -> Iterator[Write]:
    """Write beside the file and rename at the end, so that nobody ever sees half of it.

    Gives the function that writes.

    Raises:
        OSError: it cannot be written; nothing is left of it then.

    """
    fd, temporary = tempfile.mkstemp(prefix=".relabel-", suffix=".part", dir=path.parent)
    try:
        try:
            yield lambda content: write_all(fd, content)
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def write_all(fd: int, content: bytes) -> None:
    """Write all of it, with no buffer: one that cannot be written out would complain once more when it is closed."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
