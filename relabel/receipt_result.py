"""A receipt as a caller of HTTP gets it: what a job was asked for, what became of it, and digests to check both by."""

from __future__ import annotations

from typing import Literal

import msgspec

from relabel.job_status import RowCounts, VerificationResult


class ReceiptJob(msgspec.Struct, frozen=True, kw_only=True):
    """What the job is, who submitted it, and when it ended."""

    job_id: str
    kind: str
    parent: str | None
    name: str
    state: str
    mode: str
    target: str
    journal: bool
    submitted_by: str | None
    submitted_at: str
    finished_at: str | None


class ReceiptDigests(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 digests in hex, which the JSONL report is enough to compute again (docs/receipt.md)."""

    shard_rows: int
    input: str
    outcomes: str


class AppliedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that an apply carried out; its digest is None where the plan is kept no more."""

    job_id: str
    digest: str | None


class ReceiptResult(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt of a job that has ended. It holds no id and no value of a completion."""

    object: Literal["receipt"] = "receipt"
    schema: int
    relabel: str
    made_at: str
    job: ReceiptJob
    rows: RowCounts
    digests: ReceiptDigests
    plan: AppliedPlan | None
    verification: VerificationResult | None
