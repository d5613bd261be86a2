"""What can go wrong with the embedded server, said to the person at the terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ServerNotStarted(Exception):
    """The embedded server is not running; the message is one sentence with the reason and what to do.

    `log` is the server's log, where there is one.
    """

    def __init__(self, reason: str, *, todo: str, log: Path | None = None) -> None:
        self.log = log
        super().__init__(f"the embedded server did not start: {reason.rstrip('.')}; {todo}")


@contextmanager
def system_errors_explained(path: Path) -> Iterator[None]:
    """Say what the system refused about *path* as `ServerNotStarted`."""
    todo = "choose a state folder that you may write to, or set RELABEL_REDIS__URL to a server of your own"
    try:
        yield
    except OSError as error:
        raise ServerNotStarted(f"{error.filename or path}: {error.strerror}", todo=todo) from error
    except subprocess.TimeoutExpired as error:
        raise ServerNotStarted(f"{path}: nothing came up within {error.timeout:.0f} s", todo=todo) from error
