"""What each error is called at every door: its code, its HTTP status, its exit code, its class."""

from __future__ import annotations

from typing import NamedTuple

from config.errors import RelabelError, SettingsError
from embedded.errors import NotPrivate, ServerNotStarted
from ledger.errors import LedgerUnreachable, NeedsApproval, NoSuchJob
from producer.errors import UnreadableFile
from relabel import errors


class Problem(NamedTuple):
    """A kind of error. `code` is stable; `exit_code` is that of the command line (`cli/exit_codes.py`).

    `next_step` is for HTTP, where the error itself names none.
    """

    error: type[Exception]
    code: str
    status: int
    exit_code: int
    title: str
    next_step: str = ""


PROBLEMS = (
    Problem(errors.WrongState, "wrong_state", 409, 2, "The state does not allow this", "choose one of `actions`"),
    Problem(
        NeedsApproval, "needs_approval", 409, 3, "Somebody else has to approve this", "have it approved, or cancel it"
    ),
    Problem(errors.OwnJob, "own_job", 403, 2, "Nobody approves a job of their own", "ask somebody else to approve it"),
    Problem(errors.NotAnApprover, "not_an_approver", 403, 2, "This name approves nothing", "approve it by a token"),
    Problem(errors.OtherDigest, "other_digest", 409, 2, "The job does something else", "look at it, and approve that"),
    Problem(errors.RowsLost, "state_lost", 410, 3, "Redis lost rows of the job", "submit the rows again"),
    Problem(errors.JobExpired, "job_expired", 410, 2, "The job is kept no more", "look for its archived report"),
    Problem(NoSuchJob, "no_such_job", 404, 2, "There is no such job", "list the jobs with GET /v1/jobs"),
    Problem(
        errors.NeedsConfirmation,
        "needs_confirmation",
        422,
        2,
        "Somebody has to confirm this",
        "repeat it with `confirm`",
    ),
    Problem(UnreadableFile, "unreadable_file", 422, 2, "The input cannot be used", "correct it and send it again"),
    Problem(errors.RowsRejected, "rows_rejected", 422, 2, "Rows are rejected", "correct what `rejections` names"),
    Problem(errors.InvalidInput, "invalid_input", 422, 2, "The input cannot be used", "correct it and send it again"),
    Problem(errors.AlteredPlan, "altered_plan", 409, 2, "The plan was altered", "plan again"),
    Problem(errors.Declined, "declined", 409, 130, "The answer was no"),
    Problem(errors.Unreachable, "unreachable", 503, 4, "The API cannot be used", "try again later"),
    Problem(LedgerUnreachable, "redis_unreachable", 503, 4, "Redis cannot be used", "try again later"),
    Problem(ServerNotStarted, "server_not_started", 503, 4, "The private server does not start"),
    Problem(errors.RowsFailed, "rows_failed", 409, 1, "Not all rows are as they were to be", "look at the report"),
    Problem(errors.WorkerDied, "worker_died", 500, 1, "The worker ended by itself"),
    Problem(errors.ProbeInterrupted, "interrupted", 500, 130, "The probe was stopped"),
    Problem(errors.ProbeFailed, "probe_failed", 500, 1, "The probe failed"),
    Problem(errors.CompletionNotRestored, "not_restored", 500, 1, "The completion could not be restored"),
    Problem(NotPrivate, "not_private", 500, 2, "The state folder is not private"),
    Problem(SettingsError, "wrong_settings", 500, 2, "The settings are wrong", "ask whoever runs the server"),
    Problem(RelabelError, "error", 500, 2, "It could not be done"),
)
"""Every error whose message is for people; the first class that fits counts."""


def problem_of(error: BaseException) -> Problem | None:
    """Return what kind of error this is; None for one whose message is not for people."""
    return next((problem for problem in PROBLEMS if isinstance(error, problem.error)), None)
