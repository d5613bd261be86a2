"""The API resets, stalls, refuses, redirects or talks nonsense: what passes is waited out, what cannot is told."""

from __future__ import annotations

import email.utils
import itertools
import time

import pytest

from ledger.job import JobState
from ratelimit.limits import FIRST_PAUSE_S, limit_key
from sandbox import Sandbox
from tests.faults.conftest import StartCluster
from tests.harness.cluster import KEY, Cluster, StopWatch
from tests.harness.link import Link
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

PROMISE = pytest.mark.promise

SLOWLY = {"per_minute": 6000}
NO_SECOND_TRY = {"attempts": 1}
SENT_IN_2_S = 2 * 100 + 10
"""Requests that the rate of `SLOWLY` and its burst allow in the time within which all workers must have stopped."""


def one(completion_id: str, fault: str, **rule: object) -> dict[str, object]:
    """A rule for one completion."""
    return {"fault": fault, "match": {"id": completion_id, "method": rule.pop("method", None)}, **rule}


async def test_resets_are_tried_again_a_bounded_number_of_times(start_cluster: StartCluster) -> None:
    """Row 13: connections reset before and after the request was carried out; the row that never works fails."""
    rows = PatchRows(150)
    cluster = await start_cluster(latency_s=0.02, fault_rates={"reset_before": 0.05, "reset_after": 0.05})
    never = rows.ids[3]
    cluster.sandbox.add_faults([one(never, "reset_before")])
    await cluster.worker(api={"attempts": 4})

    job_id = await cluster.start_job(rows)

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, failed={never: "network"})
    assert len([entry for entry in cluster.sandbox.log.entries if entry.id == never]) == 4


async def test_an_answer_cut_in_the_middle_is_not_believed(cluster: Cluster) -> None:
    """Row 13: the connection ends within the body, of reads and of writes."""
    rows = PatchRows(60)
    port = int(cluster.sandbox.address.rpartition(":")[2])
    async with Link(port) as link:
        base_url = f"http://127.0.0.1:{link.port}/v1"
        await cluster.worker(base_url=base_url)
        link.cut_answers(8)

        job_id = await cluster.start_job(rows, target=base_url)

        await cluster.finished(job_id)
        await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def test_a_request_that_is_never_answered_has_a_deadline(cluster: Cluster) -> None:
    """Row 14: no byte comes; the row is tried again and then fails, the others are not held up."""
    rows = PatchRows(60)
    never, once, done = rows.ids[0], rows.ids[1], rows.ids[2]
    faults = [one(never, "hang"), one(once, "hang", times=1), one(done, "hang_after", times=1, method="POST")]
    cluster.sandbox.add_faults(faults)
    await cluster.worker(api={"timeout_s": 2, "attempts": 3})

    job_id = await cluster.start_job(rows)

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, failed={never: "timeout"}, overlaps=True)


@pytest.mark.promise
async def test_an_answer_that_drips_has_a_deadline(cluster: Cluster) -> None:
    """Row 14: one byte a second; the deadline is for the whole request, and the rows wait for better times."""
    rows = PatchRows(60)
    port = int(cluster.sandbox.address.rpartition(":")[2])
    async with Link(port) as link:
        base_url = f"http://127.0.0.1:{link.port}/v1"
        await cluster.worker(base_url=base_url, api={"timeout_s": 1})
        link.drip(1.0)

        job_id = await cluster.start_job(rows, target=base_url)
        await wait_until(lambda: cluster.asked > 32 + 1, within=60, what="the slots of both children are freed")
        job = await cluster.job(job_id)
        assert job is not None
        assert job.counts.settled == 0
        link.drip(0)

        await cluster.finished(job_id)
        await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.parametrize(
    ("told", "pauses_s"),
    [
        pytest.param({"retry-after": "3"}, 3.0, id="seconds"),
        # how each is read, tests/completions/test_retry_after.py checks
        pytest.param({"retry-after": "date"}, 4.0, id="date", marks=PROMISE),
        pytest.param({"retry-after-ms": "2500"}, 2.5, id="milliseconds", marks=PROMISE),
        pytest.param({"retry-after": "100000"}, 120.0, id="huge", marks=PROMISE),
        pytest.param({"retry-after": "-5"}, FIRST_PAUSE_S, id="negative", marks=PROMISE),
        pytest.param({"retry-after": "soon"}, FIRST_PAUSE_S, id="garbage", marks=PROMISE),
    ],
)
async def test_a_429_makes_every_worker_wait(cluster: Cluster, told: dict[str, str], pauses_s: float) -> None:
    """Row 15: as long as the server asks, within reason; no row spends a try on it."""
    rows = PatchRows(200)
    await cluster.two_workers(rate=SLOWLY, api=NO_SECOND_TRY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)
    if told.get("retry-after") == "date":
        told = {"retry-after": email.utils.formatdate(time.time() + 4, usegmt=True)}

    refusal = {"status": 429, "headers": told, "body": {"error": {"code": "rate_limit_exceeded", "message": "Slower"}}}
    cluster.sandbox.add_faults([{"fault": "answer", "answer": refusal, "times": 1}])
    key = limit_key(cluster.sandbox.base_url, KEY, None, None)
    pause = await wait_until(lambda: cluster.ledger.redis.hget(key, "paused_for"), within=60, what="all wait")

    # a date is of whole seconds, and some of them pass until the answer is read
    assert (FIRST_PAUSE_S if "GMT" in str(told) else pauses_s - 0.1) < float(pause) <= pauses_s
    if pauses_s > 30:
        job = await wait_until(lambda: _paused(cluster, job_id), within=60, what="the job says that it waits")
        assert job.waits.paused_by == "rate_limited"
        return
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # nobody was sent before the pause was over; some requests were under way when it began
    assert _longest_silence(cluster) > float(pause) - 0.4


@pytest.mark.promise
async def test_a_storm_of_429s_costs_no_row_its_tries(cluster: Cluster) -> None:
    """Row 16: refusals without a word for 4 s: ever longer common pauses, then the job goes on."""
    rows = PatchRows(120)
    await cluster.two_workers(rate=SLOWLY, api=NO_SECOND_TRY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)

    refusal = {"status": 429, "body": {"error": {"code": "rate_limit_exceeded", "message": "Slower"}}}
    cluster.sandbox.add_faults([{"fault": "answer", "answer": refusal, "until_s": 4}])

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # one worker that just went on would have been refused 400 times
    assert 0 < cluster.sandbox.log.stats.by_status["429"] < 150


@pytest.mark.parametrize(("number", "attempts", "lasts_s"), [pytest.param(300, 5, 20, marks=PROMISE), (3, 3, 8)])
async def test_a_storm_of_500s_fails_no_row(cluster: Cluster, number: int, attempts: int, lasts_s: int) -> None:
    """Row 17: every request fails for longer than all tries of a row take; then the job goes on by itself."""
    rows = PatchRows(number)
    await cluster.worker(api={"attempts": attempts})
    cluster.sandbox.add_faults([{"fault": "error_500", "until_s": lasts_s}])

    job_id = await cluster.start_job(rows)

    await cluster.finished(job_id, within=120)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    assert cluster.sandbox.log.stats.by_status["500"] < 200


REFUSALS = {
    "wrong key": None,
    "forbidden": {"status": 403, "body": {"error": {"code": "x", "message": "Your project may not do this."}}},
    "quota": {"status": 429, "body": {"error": {"code": "insufficient_quota", "message": "You exceeded your quota."}}},
    "wrong path": {"status": 404, "body": {"error": {"code": "unknown_url", "message": "Invalid URL (POST /v2)"}}},
}
SAYS = {"wrong key": "Incorrect API key", "forbidden": "may not do", "quota": "your quota", "wrong path": "Invalid URL"}


# which answers are of this kind, tests/completions/test_classify.py checks
@pytest.mark.parametrize("refusal", ["wrong key", *(pytest.param(each, marks=PROMISE) for each in [*REFUSALS][1:])])
async def test_a_refusal_that_no_waiting_mends_pauses_the_job(cluster: Cluster, refusal: str) -> None:
    """Row 18: all workers stop within 2 s, with the server's message and without a failed row; resume goes on."""
    rows = PatchRows(300)
    await cluster.two_workers(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 50)

    answer = REFUSALS[refusal]
    if answer is None:
        cluster.sandbox.configure(api_key="sk-another")
    else:
        cluster.sandbox.add_faults([{"fault": "answer", "answer": answer}])
    watch = StopWatch(cluster)
    job = await cluster.in_state(job_id, JobState.PAUSED)
    assert SAYS[refusal] in (job.reason or "")
    await wait_until(lambda: watch.quiet_for(2), within=60, what="nothing more is sent")
    assert watch.asked <= SENT_IN_2_S
    paused = await cluster.job(job_id)
    assert paused is not None
    assert paused.counts.failed == 0
    assert paused.counts.pending > 0

    cluster.sandbox.faults.clear()
    cluster.sandbox.configure(api_key=None)
    await cluster.ledger.jobs.resume(job_id, by="test")

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def test_a_row_that_the_api_refuses_fails_at_once(cluster: Cluster) -> None:
    """Row 19: 404 and 400 are the row's own: one request, the server's code, the others go on."""
    rows = PatchRows(60)
    missing, refused = rows.ids[4], rows.ids[5]
    cluster.sandbox.store.load(rows.before)
    cluster.sandbox.store.delete(missing)
    body = {"error": {"code": "invalid_value", "type": "invalid_request_error", "message": "No."}}
    cluster.sandbox.add_faults([one(refused, "answer", answer={"status": 400, "body": body}, method="POST")])
    await cluster.worker()

    job_id = await cluster.start_job(rows, load=False)

    await cluster.finished(job_id)
    codes = {missing: "not_found", refused: "invalid_value"}
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, failed=codes)
    assert len([entry for entry in cluster.sandbox.log.entries if entry.id in codes]) == 1 + 2


@pytest.mark.promise
async def test_a_200_is_not_believed_for_its_status_alone(cluster: Cluster) -> None:
    """Row 20: HTML, half a JSON, another completion: read again; what was written all the same counts as updated."""
    rows = PatchRows(80)
    always = rows.ids[0]
    kinds = ("bad_body_html", "bad_body_truncated", "bad_body_other_id")
    faults = [one(always, "bad_body_html", method="GET")]
    faults += [one(rows.ids[10 + n], kind, times=1, method="GET") for n, kind in enumerate(kinds)]
    faults += [one(rows.ids[20 + n], kind, method="POST") for n, kind in enumerate(kinds)]
    faults += [one(rows.ids[30], "ignored", times=1, method="POST")]
    cluster.sandbox.add_faults(faults)
    await cluster.worker(api={"attempts": 3})

    job_id = await cluster.start_job(rows)

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, failed={always: "bad_response"})


@pytest.mark.promise
async def test_a_redirect_is_not_followed(cluster: Cluster) -> None:
    """Row 21: the other host gets no request and so no key; the job pauses and says why."""
    rows = PatchRows(60)
    await cluster.worker()
    async with Sandbox() as elsewhere:
        answer = {"status": 307, "headers": {"Location": f"{elsewhere.base_url}/chat/completions/{rows.ids[0]}"}}
        cluster.sandbox.add_faults([{"fault": "answer", "answer": answer}])
        job_id = await cluster.start_job(rows)

        job = await cluster.in_state(job_id, JobState.PAUSED)

        assert "redirect" in (job.reason or "")
        assert job.counts.failed == 0
        assert elsewhere.log.total == 0
    await cluster.put_down(job_id)
    cluster.sandbox.faults.clear()
    await cluster.ledger.jobs.resume(job_id, by="test")
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def _paused(cluster: Cluster, job_id: str):  # type: ignore[no-untyped-def]
    job = await cluster.job(job_id)
    return job if job is not None and job.waits.paused_s else None


def _longest_silence(cluster: Cluster) -> float:
    """The longest time without a request from the refusal on."""
    entries = list(itertools.dropwhile(lambda entry: entry.status != 429, cluster.sandbox.log.entries))
    return max(later.started_s - earlier.started_s for earlier, later in itertools.pairwise(entries))
