"""Errors of the embedded server and its folder; each message is one sentence with the reason and the next step."""

from __future__ import annotations

from pathlib import Path


class NotPrivate(Exception):
    """The state folder, or a file in it, may be read or replaced by others."""

    def __init__(self, path: Path, reason: str, *, todo: str = "choose another with RELABEL_STATE_DIR") -> None:
        super().__init__(f"{path} {reason}; {todo}.")


class ServerNotStarted(Exception):
    """The embedded server is not running. `log` is the server's log, where there is one."""

    def __init__(self, reason: str, *, todo: str, log: Path | None = None) -> None:
        self.log = log
        super().__init__(f"the embedded server did not start: {reason.rstrip('.')}; {todo}")
