"""Errors of the ledger; they load no library, so that an entry point can name them before it needs one."""

from __future__ import annotations

from config.errors import RelabelError


class LedgerUnreachable(RelabelError):
    """The ledger's server cannot be reached or cannot be written to."""

    code = "redis_unreachable"


class StateLost(Exception):
    """The job's keys are gone or torn: the server came back empty, dropped them, or somebody else wrote to them."""


class NoSuchJob(RelabelError):
    """There is no job of that id."""

    code = "no_such_job"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}.")
        self.job_id = job_id


class NeedsApproval(RelabelError):
    """The job is held until somebody other than its submitter approves it."""

    code = "needs_approval"

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"job {job_id} needs approval by somebody other than its submitter: `relabel approve {job_id}`; "
            f"`relabel cancel {job_id}` refuses it."
        )
        self.job_id = job_id


class JobIdTaken(Exception):
    """There is a job of that id already; retry with a new id."""


class LeaseLost(Exception):
    """The worker's lease ran out and another may have the shard: its results no longer count."""


class NewerLedger(Exception):
    """The ledger holds what a newer release stored."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"Redis holds what a newer release of relabel stored (schema {found}, this one: {known}); install that "
            "release here, or name another server with RELABEL_REDIS__URL."
        )
