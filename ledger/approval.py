"""Approval: which jobs wait for a second person, what that person approves, and the yes itself.

The need is decided once, when a job is opened, and stands in its hash; `lua/prelude.lua` says what of the hash it is.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from config.text import printable, sanitize
from ledger.audit import WHO_CHARS
from ledger.job_spec import JobSpec, Kind
from ledger.keys import JobKeys
from ledger.person import identity_of, person_of
from ledger.scripts import load_script

NEEDS_APPROVAL_CODE = "needs_approval"
"""The reason code of a job that is held until somebody else than its submitter approves it."""
FREE_KINDS = frozenset(kind for kind in Kind if kind.only_reads or kind is Kind.UNDO)
"""Kinds of jobs that need no approval: those that change nothing, and an undo, which restores and has to be quick."""


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """That a job needs approval, of what, and who gave it; `approved_by` and `approved_at` are None before.

    `digest` is that of the plan that is applied, else of the input with what is done with it. `submitter` is the
    identity (`ledger.person`) of the one person who may not approve. Times are seconds since the epoch.
    """

    reason: str
    digest: str
    submitter: str
    approved_by: str | None = None
    approved_at: float | None = None

    @property
    def is_missing(self) -> bool:
        """Whether nobody has approved yet."""
        return self.approved_by is None


class ApproveAnswer(enum.StrEnum):
    """What came of an approval."""

    APPROVED = "approved"
    ALREADY = "already"
    GONE = "gone"
    NOT_NEEDED = "not_needed"
    OTHER_DIGEST = "other_digest"
    OWN_JOB = "own_job"
    WRONG_STATE = "wrong_state"


class Approvals:
    """The approvals in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._approve = load_script(redis, "approve")

    async def approve(self, job_id: str, digest: str, *, by: str) -> ApproveAnswer:
        """Approve a job that needs it, for what the digest names; where nothing else holds the job, it runs."""
        keys = JobKeys(job_id)
        answer = await self._approve([keys.job, keys.audit], [digest, identity_of(by), sanitize(by, WHO_CHARS)])
        return ApproveAnswer(answer.decode())


class ApprovalRule(NamedTuple):
    """Which jobs need approval: those of more rows than `above`, none where that is None.

    `digest` is what is approved, where that is not the input: of an apply, its plan.
    """

    above: int | None = None
    digest: str = ""


NO_APPROVAL = ApprovalRule()
_NEED = (b"needs_approval", b"approval_digest", b"submitter")


async def require_approval(redis: Redis, spec: JobSpec, rule: ApprovalRule, *, by: str) -> str:
    """Record that a job that is not open yet needs approval, where the rule says so; return why, '' where it does not.

    `by` is who submits the job, and may not approve it.
    """
    if rule.above is None or spec.rows <= rule.above or spec.kind in FREE_KINDS:
        return ""
    rows, more = f"{spec.rows:,} row{'' if spec.rows == 1 else 's'}", f"more than {rule.above:,}"
    other = printable(person_of(by), WHO_CHARS) or "its submitter"
    reason = f"{rows}, {more}: somebody other than {other} has to approve it"
    need: dict[Any, Any] = dict(zip(_NEED, (reason, rule.digest or spec.fingerprint, identity_of(by)), strict=True))
    await redis.hset(JobKeys(spec.job_id).job, mapping=need)
    return reason


def approval_of(fields: Mapping[bytes, bytes]) -> Approval | None:
    """Return the approval that the hash of a job shows; None where the job needs none."""
    if b"needs_approval" not in fields:
        return None
    reason, digest, submitter = (fields.get(name, b"").decode() for name in _NEED)
    counts = fields.get(b"approved_digest") == fields.get(b"approval_digest")
    return Approval(
        reason=reason,
        digest=digest,
        submitter=submitter,
        approved_by=fields[b"approved_by"].decode() if counts else None,
        approved_at=float(fields[b"approved_at"]) if counts else None,
    )
