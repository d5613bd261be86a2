"""The errors of the use cases. Each says in one sentence what, where and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from producer.questions import Question


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


class JobExpired(RelabelError):
    """The job was kept as long as jobs are, and is there no more."""

    code = "job_expired"


class Declined(RelabelError):
    """Somebody was asked, and the answer was no."""

    code = "declined"


class Unconfirmed(RelabelError):
    """A file raises questions, and nobody is there to answer them."""

    code = "needs_confirmation"

    def __init__(self, questions: list[Question]) -> None:
        said = "; ".join(f"{sentence} ({code})" for code, sentence in questions)
        super().__init__(f"{said}. Nothing was sent: look at the file with --check, then say --yes if it is right.")
        self.questions = questions


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
