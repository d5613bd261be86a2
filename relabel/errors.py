"""The errors of the use cases. Each says in one sentence what, where and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import RelabelError

if TYPE_CHECKING:
    from producer.questions import Question


class InvalidInput(RelabelError):
    """What was asked for, or a file, cannot be used as it is.

    `column` is the place in an expression, counted from 1; None for anything else.
    """

    code = "invalid_input"

    def __init__(self, message: str, *, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class WrongState(RelabelError):
    """The job or the run is not in a state that allows this."""

    code = "wrong_state"


class RowsRejected(RelabelError):
    """No row of the input is valid, or some are not and none may be; nothing is stored.

    `rejected` are the places of the first ones, of so many in all, as JSON takes them.
    """

    code = "rows_rejected"

    def __init__(self, message: str, rejected: list[dict[str, Any]], total: int) -> None:
        super().__init__(message)
        self.rejected = rejected
        self.total = total

    @property
    def facts(self) -> dict[str, Any]:
        """Return what a program gets of it."""
        return {"rejected_total": self.total, "rejections": self.rejected}


class RowsLost(RelabelError):
    """Redis lost rows of the job, so that nothing can be read or made of it."""

    code = "state_lost"


class Unreachable(RelabelError):
    """Redis or the API cannot be reached or cannot be used."""

    code = "unreachable"


class OwnJob(RelabelError):
    """Who is to approve a job has submitted it."""

    code = "own_job"


class NotAnApprover(RelabelError):
    """Nobody vouches for the name of who is to approve a job."""

    code = "not_an_approver"


class OtherDigest(RelabelError):
    """What somebody approves is not what the job would do."""

    code = "other_digest"


class JobExpired(RelabelError):
    """The job was kept as long as jobs are, and is there no more."""

    code = "job_expired"


class Declined(RelabelError):
    """Somebody was asked, and the answer was no."""

    code = "declined"


class NeedsConfirmation(RelabelError):
    """An input raises questions, and nobody answered them; `how` to do so is said as the door does that was used.

    `preview` is what the input would do, as JSON takes it.
    """

    code = "needs_confirmation"

    def __init__(
        self,
        questions: list[Question],
        *,
        how: str = "look at the file with --check, then say --yes if it is right",
        preview: dict[str, Any] | None = None,
    ) -> None:
        said = "; ".join(f"{sentence.rstrip('.')} ({code})" for code, sentence in questions)
        super().__init__(f"{said}. Nothing was sent: {how}.")
        self.questions = questions
        self.preview = preview


class RowsFailed(RelabelError):
    """A job did not do all that its rows asked for: some failed, were rejected or had drifted, or it did not finish."""

    code = "rows_failed"


class AlteredPlan(RelabelError):
    """What is stored of a plan is not what it found: somebody changed it in Redis."""

    code = "altered_plan"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"plan {job_id} was altered in Redis after it was made: its rows do not agree with its digest or counts. "
            "Nothing was applied; see who can write there, and plan again."
        )


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
