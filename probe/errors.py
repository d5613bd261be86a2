"""How a probe ends without a result; naming one loads no library."""

from __future__ import annotations


class NotBegun(Exception):
    """The probe was not started and changed nothing; `unreachable`: the API could not be reached or refused us."""

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable


class BackupError(NotBegun):
    """The backup file cannot be read or written, so the completion must not be changed."""


class BrokenOff(Exception):
    """The probe was stopped or failed, and the completion was restored; the message gives the reason."""

    def __init__(self, message: str, *, interrupted: bool = False) -> None:
        super().__init__(message)
        self.interrupted = interrupted


class StillChanged(Exception):
    """The completion could not be restored; the message gives the reason."""
