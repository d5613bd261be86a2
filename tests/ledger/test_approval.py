"""A job that needs approval is given out only once somebody other than its submitter approved what it does."""

from __future__ import annotations

import pytest

from ledger.approval import NEEDS_APPROVAL_CODE, ApprovalRule, ApproveAnswer
from ledger.errors import NeedsApproval
from ledger.job import NEEDS_CONFIRMATION_CODE, JobState
from ledger.job_spec import Kind
from ledger.keys import JobKeys
from ledger.person import by_token, unverified
from ledger.shards import LeaseAnswer

ADA, LEAD = by_token("ada", "ci"), by_token("lead", "console")


async def opened(harness, *, above=5, digest="", by=ADA, **options):
    """A job of six rows, opened under a rule; jobs of more than five need approval unless the rule says otherwise."""
    changes = options.pop("changes", {})
    spec = harness.spec(**changes)
    await harness.store(spec)
    await harness.ledger.job_store.open(spec.job_id, by=by, approval=ApprovalRule(above, digest), **options)
    return spec


async def seen(harness, spec):
    """The state of a job with its reason."""
    job = await harness.ledger.jobs.get(spec.job_id)
    return job.state, job.reason_code


@pytest.fixture
async def waiting(harness):
    """A job that waits for its approval."""
    return await opened(harness)


@pytest.mark.parametrize(
    ("above", "kind", "needs"),
    [
        (5, Kind.FILE, True),
        (5, Kind.RETRY, True),
        (5, Kind.APPLY, True),
        (5, Kind.UNDO, False),
        (5, Kind.PLAN, False),
        (5, Kind.VERIFY, False),
        (6, Kind.FILE, False),
        (0, Kind.FILE, True),
        (None, Kind.FILE, False),
    ],
)
async def test_jobs_of_more_rows_than_the_rule_allows_are_held(harness, above, kind, needs):
    """All kinds that write something new; an undo has to be quick, and the others only read."""
    spec = await opened(harness, above=above, changes={"kind": kind})

    assert await seen(harness, spec) == ((JobState.HELD, NEEDS_APPROVAL_CODE) if needs else (JobState.RUNNING, None))
    assert bool(await harness.shards.to_announce(spec.job_id)) is not needs


async def test_no_shard_is_given_out_before_the_approval(harness, waiting):
    """Not even to a late message, nor where the state was altered; the shard waits on."""
    for state in ("held", "running"):
        await harness.redis.hset(JobKeys(waiting.job_id).job, "state", state)
        assert await harness.shards.to_announce(waiting.job_id) == []
        assert await harness.shards.lease(waiting.job_id, 0, "worker-1") is LeaseAnswer.IDLE
    assert await harness.places(waiting) == {"waiting": [0, 1, 2], "announced": [], "leased": []}


async def test_an_approved_job_runs_and_says_who_approved_what(harness, waiting):
    """With its entry in the job's log."""
    answer = await harness.ledger.approvals.approve(waiting.job_id, "f", by=LEAD)

    job = await harness.ledger.jobs.get(waiting.job_id)
    assert (answer, job.state, job.reason, job.held_at) == (ApproveAnswer.APPROVED, JobState.RUNNING, None, None)
    assert (job.approval.approved_by, job.approval.digest, job.approval.is_missing) == (LEAD, "f", False)
    assert job.approval.approved_at >= job.submitted_at
    line = (await harness.ledger.audit.read(waiting.job_id))[-1]
    assert (line.who, line.verb) == (LEAD, "approve")
    assert "digest f" in line.why
    assert await harness.shards.to_announce(waiting.job_id)
    await harness.lease(waiting, 0)


async def test_approving_twice_changes_nothing(harness, waiting):
    """The first approver stays, also where somebody else asks again."""
    await harness.ledger.approvals.approve(waiting.job_id, "f", by=LEAD)

    assert await harness.ledger.approvals.approve(waiting.job_id, "f", by="bob") is ApproveAnswer.ALREADY

    assert (await harness.ledger.jobs.get(waiting.job_id)).approval.approved_by == LEAD
    assert [line.verb for line in await harness.ledger.audit.read(waiting.job_id)] == ["submit", "approve"]


@pytest.mark.parametrize(
    "by", [ADA, by_token("ada", "other"), "ada", "Ada", "ada@example.org", unverified("ada@laptop")]
)
async def test_nobody_approves_a_job_of_their_own(harness, waiting, by):
    """By no token, through no proxy and under no host: persons count."""
    assert await harness.ledger.approvals.approve(waiting.job_id, "f", by=by) is ApproveAnswer.OWN_JOB
    assert await seen(harness, waiting) == (JobState.HELD, NEEDS_APPROVAL_CODE)


async def test_an_approval_of_something_else_is_void(harness, waiting):
    """Whoever read another input approved nothing here, also where the digest is altered afterwards."""
    approvals = harness.ledger.approvals
    assert await approvals.approve(waiting.job_id, "other", by=LEAD) is ApproveAnswer.OTHER_DIGEST
    assert await seen(harness, waiting) == (JobState.HELD, NEEDS_APPROVAL_CODE)

    await approvals.approve(waiting.job_id, "f", by=LEAD)
    await harness.redis.hset(JobKeys(waiting.job_id).job, "approval_digest", "altered")

    assert (await harness.ledger.jobs.get(waiting.job_id)).approval.is_missing
    assert await harness.shards.lease(waiting.job_id, 0, "worker-1") is LeaseAnswer.IDLE


async def test_of_an_apply_the_plan_is_approved(harness):
    """The rule names its digest."""
    spec = await opened(harness, digest="plan", changes={"kind": Kind.APPLY})

    assert await harness.ledger.approvals.approve(spec.job_id, "f", by=LEAD) is ApproveAnswer.OTHER_DIGEST
    assert await harness.ledger.approvals.approve(spec.job_id, "plan", by=LEAD) is ApproveAnswer.APPROVED


async def test_resuming_does_not_approve(harness, waiting):
    """It is refused, and changes nothing."""
    with pytest.raises(NeedsApproval):
        await harness.ledger.jobs.resume(waiting.job_id, by=LEAD)
    assert await seen(harness, waiting) == (JobState.HELD, NEEDS_APPROVAL_CODE)


@pytest.mark.parametrize(
    ("options", "code"), [({"questions": "a column looks odd"}, NEEDS_CONFIRMATION_CODE), ({"hold": True}, None)]
)
async def test_what_else_holds_a_job_is_settled_apart(harness, options, code):
    """In either order: neither a yes to its questions nor an approval alone lets it run."""
    first, second = [await opened(harness, **options) for _ in range(2)]
    assert await seen(harness, first) == (JobState.HELD, code)

    await harness.ledger.jobs.resume(first.job_id, by=ADA)
    assert await seen(harness, first) == (JobState.HELD, NEEDS_APPROVAL_CODE)
    await harness.ledger.approvals.approve(first.job_id, "f", by=LEAD)
    assert await seen(harness, first) == (JobState.RUNNING, None)

    await harness.ledger.approvals.approve(second.job_id, "f", by=LEAD)
    assert await seen(harness, second) == (JobState.HELD, code)
    await harness.ledger.jobs.resume(second.job_id, by=ADA)
    assert await seen(harness, second) == (JobState.RUNNING, None)


async def test_a_refused_job_can_not_be_approved_any_more(harness, waiting):
    """Cancelling it is the refusal."""
    await harness.ledger.jobs.cancel(waiting.job_id, by=LEAD, reason="wrong project")

    assert await harness.ledger.approvals.approve(waiting.job_id, "f", by=LEAD) is ApproveAnswer.WRONG_STATE
    assert (await harness.ledger.jobs.get(waiting.job_id)).state is JobState.CANCELLED


async def test_there_is_nothing_to_approve_in_other_jobs(harness):
    """Neither in one that needs no approval, nor in one that is not there."""
    spec = await harness.submit()

    assert await harness.ledger.approvals.approve(spec.job_id, "f", by=LEAD) is ApproveAnswer.NOT_NEEDED
    assert await harness.ledger.approvals.approve("gone", "f", by=LEAD) is ApproveAnswer.GONE


async def test_a_job_says_since_when_it_waits(harness):
    """From when it was opened; where questions came first, from when they were confirmed."""
    spec = await opened(harness, questions="a column looks odd")
    asked = (await harness.ledger.jobs.get(spec.job_id)).held_at

    await harness.ledger.jobs.resume(spec.job_id, by=ADA)

    assert (await harness.ledger.jobs.get(spec.job_id)).held_at > asked
