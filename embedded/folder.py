"""The server's own folder below the state folder: its data, its log, its locks."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from embedded.errors import ServerNotStarted
from embedded.private import make_private, open_private

_STAMP = re.compile(r"^\d+:[A-Z] .*? [.\-*#] ")


@dataclass(frozen=True)
class ServerFolder:
    """Where everything of one embedded server lies; open to its owner only."""

    path: Path

    @classmethod
    def prepare(cls, state_dir: Path) -> ServerFolder:
        """Make the folder if need be, in a state folder that nobody else may enter.

        Raises `NotPrivate` and `ServerNotStarted`.
        """
        path = state_dir.absolute() / "redis"
        with system_errors_explained(path):
            make_private(state_dir.absolute())
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
        return cls(path)

    @property
    def starting_lock(self) -> Path:
        """Held by the user who looks for the server and starts it, so that one looks at a time."""
        return self.path / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Shared by all users; the guardian waits for it, and keeps it while it stops the server."""
        return self.path / "users.lock"

    @property
    def guardian_lock(self) -> Path:
        """Held by the guardian from the moment no earlier server is left until its own server is gone."""
        return self.path / "guardian.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server itself, so that two never write the same append-only file."""
        return self.path / "server.lock"

    @property
    def log(self) -> Path:
        """What the server and its guardian say."""
        return self.path / "server.log"

    def begin_log(self) -> BinaryIO:
        """Open an empty log, and keep the one before: it may show a crash."""
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_suffix(".log.1"))
        return open_private(self.log)

    def last_log_line(self) -> str:
        """The last thing the log says, without process number and date."""
        with contextlib.suppress(FileNotFoundError):
            for line in reversed(self.log.read_text("utf-8", "replace").splitlines()):
                if line.strip():
                    return _STAMP.sub("", line.strip())
        return "its log is empty"


@contextlib.contextmanager
def system_errors_explained(path: Path) -> Iterator[None]:
    """Raise what the system refused about *path* as `ServerNotStarted`."""
    todo = "choose a state folder that you may write to, or set RELABEL_REDIS__URL to a server of your own"
    try:
        yield
    except OSError as error:
        raise ServerNotStarted(f"{error.filename or path}: {error.strerror}", todo=todo) from error
    except subprocess.TimeoutExpired as error:
        raise ServerNotStarted(f"{path}: no server answered within {error.timeout:.0f} s", todo=todo) from error
