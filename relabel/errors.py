"""The errors of the use cases. Each says in one sentence what, where and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class RelabelError(Exception):
    """A use case could not be carried out. `code` is stable: programs may rely on it."""

    code: ClassVar[str] = "error"


class InvalidInput(RelabelError):
    """What was asked for, or a file, cannot be used as it is."""

    code = "invalid_input"


class WrongState(RelabelError):
    """The job or the run is not in a state that allows this."""

    code = "wrong_state"


class RowsLost(RelabelError):
    """Redis lost rows of the job, so that nothing can be read or made of it."""

    code = "state_lost"


class Unreachable(RelabelError):
    """Redis or the API cannot be reached or cannot be used."""

    code = "unreachable"


class Declined(RelabelError):
    """Somebody was asked, and the answer was no."""

    code = "declined"


class WorkerDied(RelabelError):
    """The worker of this process tree ended by itself, again and again."""

    code = "worker_died"


class ProbeFailed(RelabelError):
    """The probe failed, and the completion was restored."""

    code = "probe_failed"


class ProbeInterrupted(RelabelError):
    """The probe was stopped, and the completion was restored."""

    code = "interrupted"


class CompletionNotRestored(RelabelError):
    """The completion could not be restored; `metadata` is what it held, which is also in the file `backup`."""

    code = "not_restored"

    def __init__(self, reason: str, metadata: dict[str, str], backup: Path) -> None:
        super().__init__(f"the completion could not be restored: {reason.rstrip('.')}; see {backup}.")
        self.reason = reason
        self.metadata = metadata
        self.backup = backup
