"""Errors of the embedded server and its folder; each message is one sentence with the reason and the next step."""

from __future__ import annotations

from pathlib import Path

from config.errors import RelabelError


class NotPrivate(RelabelError):
    """The state folder, or a file in it, may be read or replaced by others."""

    code = "not_private"

    def __init__(self, path: Path, reason: str, *, todo: str = "choose another with RELABEL_STATE_DIR") -> None:
        super().__init__(f"{path} {reason}; {todo}.")


class ServerNotStarted(RelabelError):
    """The embedded server is not running. `log` is the server's log, where there is one."""

    code = "server_not_started"

    def __init__(self, reason: str, *, todo: str, log: Path | None = None) -> None:
        self.log = log
        super().__init__(f"the embedded server did not start: {reason.rstrip('.')}; {todo}")
