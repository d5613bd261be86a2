"""The file beside the server's folder that holds what its users remember of it, also where its data is gone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

NAME = "ledger.json"
MOST_BYTES = 32 * 1024 * 1024
"""A larger file is not ours: 1,000 jobs take about a megabyte."""


def read_memory_file(state_dir: Path) -> bytes | None:
    """Return what was written last, None where there is nothing to be read."""
    with contextlib.suppress(OSError):
        path = state_dir / NAME
        if path.is_file() and path.stat().st_size <= MOST_BYTES:
            return path.read_bytes()
    return None


def write_memory_file(state_dir: Path, content: bytes) -> None:
    """Replace the file as a whole; its owner alone may read it.

    Raises:
        OSError: it cannot be written.

    """
    fd, name = tempfile.mkstemp(prefix=f".{NAME}.", dir=state_dir)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        Path(name).replace(state_dir / NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
