"""Who is told of a job's end, how often it is tried, and where it may not go: a real HTTP server, a real ledger."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from config.groups import NotifySettings
from ledger.approval import ApprovalRule
from ledger.connect import new_client
from ledger.job import JobState
from ledger.job_spec import Columns, JobSpec, Kind, Mode
from ledger.keys import ENDED, NOTICES, NOTIFIER_LOCK, OUTBOX, OUTBOX_URGENT, JobKeys, night_key
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from ledger.row import Outcome
from notify.events import JobEvents
from notify.notifier import AT_ONCE, GIVE_UP_S, Notifier
from notify.outbox import Outbox
from notify.webhook import Undelivered, open_webhook


class Receiver:
    """Keeps what comes, and answers as it is told to."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        self.came.append((dict(request.headers), await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": self.url} if status == 307 else {})

    @property
    def notices(self) -> list[dict[str, Any]]:
        """What came, as JSON."""
        return [json.loads(body) for _, body in self.came]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    runner = web.ServerRunner(web.Server(receiver.serve, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(new_client(redis_url))
    await JobEvents(ledger.redis, ledger.jobs).pending()  # notifications were on before the jobs ended
    yield ledger
    await ledger.redis.aclose()


@pytest.fixture
async def start(ledger: Ledger, receiver: Receiver) -> AsyncIterator[Callable[..., Any]]:
    """Make the notifier of a worker."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Notifier:
            chosen = NotifySettings(**{"url": receiver.url, "allow_private": True} | settings)
            return Notifier(ledger, await stack.enter_async_context(open_webhook(chosen)))

        yield start


async def make_job(
    ledger: Ledger,
    job_id: str = "job-1",
    name: str = "patches.csv",
    rows: int = 1,
    nightly: str = "",
    kind: Kind = Kind.FILE,
    **opened: Any,
) -> str:
    """Make a job that runs, or one without rows, which has ended; `opened` may hold it."""
    await ledger.job_store.create(
        JobSpec(
            job_id=job_id,
            name=name,
            mode=Mode.MERGE,
            journal=True,
            target="http://127.0.0.1/v1",
            columns=Columns("csv", "id", ["id"]),
            rows=rows,
            shards=rows,
            shard_rows=1,
            rejected=2,
            folded=0,
            fingerprint="f",
            keep_s=600.0,
            nightly=nightly,
            kind=kind,
        )
    )
    await ledger.job_store.open(job_id, **opened)
    return job_id


async def due_now(ledger: Ledger) -> None:
    """Let the next try be due, as if time had passed."""
    for queue in (OUTBOX, OUTBOX_URGENT):
        for name in await ledger.redis.zrange(queue, 0, -1):
            await ledger.redis.zadd(queue, {name: 0})


async def test_an_end_is_told_once_with_its_facts_and_a_line_for_slack(ledger, start, receiver):
    """However often a worker looks."""
    job_id = await make_job(ledger, name="<!channel> & co.csv", rows=0)
    notifier = await start()

    for _ in range(3):
        await notifier.step()

    (notice,) = receiver.notices
    assert (notice["type"], notice["job_id"], notice["name"]) == ("job.finished", job_id, "<!channel> & co.csv")
    assert (notice["rows"]["total"], notice["rows"]["rejected"]) == (2, 2)
    assert notice["reason"] == "all of its rows have ended"
    assert notice["text"].startswith("relabel: job &lt;!channel&gt; &amp; co.csv (job-1) is finished: 2 rejected of 2")
    assert notice["finished_at"].endswith("Z")
    assert "webhook-signature" not in receiver.came[0][0]
    assert not await ledger.redis.exists(OUTBOX, NOTICES, ENDED)


async def test_a_receiver_can_verify_the_signature(ledger, start, receiver):
    """With the library that the authors of Standard Webhooks publish; a body that was altered is refused."""
    secret = "whsec_" + base64.b64encode(bytes(range(24))).decode()
    await make_job(ledger, rows=0)

    await (await start(secret=f" {secret}\n")).step()

    headers, body = receiver.came[0]
    assert StandardWebhook(secret).verify(body, dict(headers))["type"] == "job.finished"
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(secret).verify(body.replace(b"finished", b"finishes"), dict(headers))


async def test_the_outbox_holds_facts_and_no_text_that_somebody_else_could_have_signed(ledger, start, receiver):
    """Whoever can write to Redis can change facts of a job, and cannot have a body of theirs sent."""
    now = await ledger.jobs.now()
    forged = {"delivery_id": "d-1", "job_id": "job-1", "body": b'{"type": "transfer", "to": "me"}', "posted_at": now}
    for name, packed in (("d-1", msgspec.msgpack.encode(forged)), ("d-2", b"\xc1")):
        await ledger.redis.hset(NOTICES, name, packed)
        await ledger.redis.zadd(OUTBOX, {name: 0})
    await make_job(ledger, rows=0)
    notifier = await start()

    for _ in range(2):
        await notifier.step()

    assert [notice["type"] for notice in receiver.notices] == ["job.finished"]
    assert not await ledger.redis.exists(OUTBOX, NOTICES)


async def test_a_notification_that_release_one_left_is_delivered(ledger, start, receiver):
    """It stored what was to be sent; the facts are read from that, with the outcome that came since."""
    body = {
        "type": "job.finished",
        "timestamp": "2026-11-25T19:30:47Z",
        "delivery_id": "20261125-193046-34e6-finished-0a1b2c3d",
        "job_id": "20261125-193046-34e6",
        "name": "patches.csv",
        "kind": "file",
        "parent": None,
        "mode": "merge",
        "state": "finished",
        "reason": None,
        "reason_code": None,
        "rows": {"total": 3, "updated": 3, **dict.fromkeys(("unchanged", "failed", "rejected", "drifted"), 0)}
        | dict.fromkeys(("cancelled", "pending", "folded"), 0),
        "submitted_at": "2026-11-25T19:30:46Z",
        "finished_at": "2026-11-25T19:30:47Z",
        "text": "relabel: job patches.csv (20261125-193046-34e6) is finished: 3 updated of 3 rows.",
    }
    old = {
        "delivery_id": body["delivery_id"],
        "job_id": body["job_id"],
        "body": json.dumps(body).encode(),
        "posted_at": await ledger.jobs.now(),
        "tries": 2,
    }
    await ledger.redis.hset(NOTICES, old["delivery_id"], msgspec.msgpack.encode(old))
    await ledger.redis.zadd(OUTBOX, {old["delivery_id"]: 0})

    await (await start()).step()

    assert receiver.notices == [body | {"rows": body["rows"] | {"would_change": 0}}]


async def test_a_notification_that_was_not_taken_is_tried_again_unchanged(ledger, start, receiver, caplog):
    """Later each time; a redirect is no delivery, and is not followed."""
    await make_job(ledger, rows=0)
    receiver.answers = [503, 307, 200]
    notifier = await start()

    began = await ledger.jobs.now()
    await notifier.step()
    ((name, next_try),) = await ledger.redis.zrange(OUTBOX, 0, -1, withscores=True)
    assert next_try > began + 1
    await ledger.redis.zadd(OUTBOX, {name: next_try + 30})
    await notifier.step()
    assert len(receiver.came) == 1, "it was tried before it was due"
    for _ in range(3):
        await due_now(ledger)
        await notifier.step()

    assert len(receiver.came) == 3
    assert len({body for _, body in receiver.came}) == 1
    assert "it answered 503); the next try is in 2 s" in caplog.text
    assert "it answered 307, and redirects are not followed); the next try is in " in caplog.text
    assert receiver.url not in caplog.text


async def test_a_notification_is_given_up_after_a_day(ledger, start, receiver, caplog):
    """So that nothing is tried for ever."""
    await make_job(ledger, rows=0)
    receiver.answers = [500] * 9
    notifier = await start()
    await notifier.step()
    (notice,) = await Outbox(ledger.redis).due(10**12, most=9)
    old = type(notice)(notice.delivery_id, notice.job_id, notice.facts, notice.posted_at - GIVE_UP_S)
    await Outbox(ledger.redis).remove(notice)
    await Outbox(ledger.redis).post(old)

    await notifier.step()

    assert not await ledger.redis.exists(OUTBOX, NOTICES)
    assert "Job job-1: its notification could not be delivered for a day" in caplog.text


async def test_a_job_that_pauses_by_itself_is_told_each_time_and_one_that_people_pause_is_not(ledger, start, receiver):
    """With the reason, but without an id that a server quotes in it."""
    job_id = await make_job(ledger)
    notifier = await start()
    said = "Invalid URL (GET /v1/chat/completions/chatcmpl-Secret1) for chatcmpl-Secret2"

    for code in ("unknown_url", "unknown_url", "paused", "interrupted"):
        await ledger.jobs.pause(job_id, by="test", code=code, reason=said)
        await notifier.step()
        await notifier.step()
        await ledger.jobs.resume(job_id, by="test")

    assert [notice["type"] for notice in receiver.notices] == ["job.paused"] * 2
    assert len({notice["delivery_id"] for notice in receiver.notices}) == 2
    assert receiver.notices[0]["reason"] == "Invalid URL (GET /v1/chat/completions/[id]) for [id]"
    assert "paused by itself: Invalid URL" in receiver.notices[0]["text"]
    assert not any(b"Secret" in body for _, body in receiver.came)


@pytest.mark.parametrize("nightly", ["", "2026-11-25"])
async def test_a_held_job_is_told_once_for_each_reason(ledger, start, receiver, nightly):
    """A question, then the approval, each at once; not one that somebody holds for themselves."""
    held = {"questions": "a column looks like row numbers", "approval": ApprovalRule(0), "by": "ada"}
    job_id = await make_job(ledger, nightly=nightly, **held)
    await make_job(ledger, "mine", hold=True)
    notifier = await start()

    for _ in range(2):
        await notifier.step()
    await ledger.jobs.resume(job_id, by="ada")
    for _ in range(2):
        await notifier.step()
    await ledger.approvals.approve(job_id, "f", by="lead")
    await notifier.step()

    found = [(notice["type"], notice["job_id"], notice["reason_code"]) for notice in receiver.notices]
    assert found == [("job.held", job_id, "needs_confirmation"), ("job.held", job_id, "needs_approval")]
    assert len({notice["delivery_id"] for notice in receiver.notices}) == 2
    said = "waits for somebody: 1 row, more than 0: somebody other than ada has to approve it."
    assert said in receiver.notices[1]["text"]


async def test_pauses_and_losses_go_before_what_is_well(ledger, start, receiver):
    """However many ends were there before."""
    for number in range(AT_ONCE + 1):
        await make_job(ledger, f"done-{number}", rows=0)
    await make_job(ledger, "stuck")
    await ledger.jobs.pause("stuck", by="test", code="invalid_api_key", reason="the key is wrong")
    await make_job(ledger, "gone")
    await ledger.redis.delete(JobKeys("gone").outcomes)
    notifier = await start()

    await notifier.step()

    assert {notice["type"] for notice in receiver.notices[:2]} == {"job.paused", "job.lost"}
    assert len(receiver.came) == AT_ONCE
    await notifier.step()
    assert len(receiver.came) == AT_ONCE + 3


async def test_one_try_a_minute_finds_a_receiver_that_is_back_and_frees_all_that_wait(ledger, start, receiver):
    """Whenever each of them would have been tried again."""
    for number in range(AT_ONCE + 2):
        await make_job(ledger, f"job-{number}", rows=0)
    receiver.answers = [503] * (AT_ONCE + 2)
    notifier = await start()
    for _ in range(2):
        await notifier.step()
    for name in await ledger.redis.zrange(OUTBOX, 0, -1):
        await ledger.redis.zadd(OUTBOX, {name: await ledger.jobs.now() + 3600})
    receiver.came.clear()

    await notifier.step()
    assert receiver.came == [], "the last try was a moment ago"
    another = await start()
    await ledger.redis.delete(NOTIFIER_LOCK)
    for _ in range(3):
        await another.step()

    assert len({notice["job_id"] for notice in receiver.notices}) == len(receiver.came) == AT_ONCE + 2
    assert await ledger.redis.zcard(OUTBOX) == 0


@pytest.mark.parametrize(
    ("night", "told"),
    [
        ({"state": "running"}, False),
        ({"state": "needs attention", "ended_at": 1.0}, False),
        ({"state": "finished", "ended_at": 1e12}, False),
        ({"state": "finished", "ended_at": 1.0}, True),
        ({"state": "lost", "ended_at": 1e12}, True),
        ({"odd": True}, True),
        (None, True),
    ],
    ids=str,
)
async def test_the_end_of_a_nights_job_is_told_once_by_the_night_or_by_itself(ledger, start, receiver, night, told):
    """By itself where the night has ended before, as where somebody resumed the job later, or is lost."""
    if night:
        await ledger.redis.hset(night_key("2026-11-25"), "night", json.dumps(night))
    await make_job(ledger, rows=0, nightly="2026-11-25")

    await (await start()).step()

    assert [notice["type"] for notice in receiver.notices] == (["job.finished"] if told else [])
    assert not await ledger.redis.exists(OUTBOX, ENDED)


async def test_a_nights_job_that_pauses_is_told_at_once(ledger, start, receiver):
    await ledger.redis.hset(night_key("2026-11-25"), "night", '{"state": "running"}')
    job_id = await make_job(ledger, nightly="2026-11-25")
    await ledger.jobs.pause(job_id, by="test", code="insufficient_quota", reason="no quota is left")

    await (await start()).step()

    assert [notice["type"] for notice in receiver.notices] == ["job.paused"]


async def test_one_worker_delivers_and_another_goes_on_when_it_has_died(ledger, start, receiver):
    """What the first one left is not lost."""
    receiver.answers = [500]
    first, second = await start(), await start()
    await make_job(ledger, rows=0)
    await first.step()
    await due_now(ledger)

    await second.step()
    assert len(receiver.came) == 1, "the first has the lock"
    assert 0 < await ledger.redis.pttl(NOTIFIER_LOCK) <= 8000
    await ledger.redis.delete(NOTIFIER_LOCK)  # as it runs out
    await second.step()

    assert len(receiver.came) == 2
    assert len({headers["webhook-id"] for headers, _ in receiver.came}) == 1


async def test_a_worker_that_is_ending_tells_what_there_is_and_lets_another_go_on(ledger, start, receiver):
    """`relabel run` ends with its job, and nobody else is there."""
    await make_job(ledger, rows=0)
    notifier = await start()

    await notifier.end()

    assert len(receiver.came) == 1
    assert not await ledger.redis.exists(NOTIFIER_LOCK)


async def test_nobody_is_told_of_what_ended_before_anybody_was_to_be_told(ledger, start, receiver):
    """A webhook that is set up is not flooded with old jobs."""
    await make_job(ledger, "old", rows=0)
    await ledger.redis.hset(JobKeys("old").job, "finished_at", str(await ledger.jobs.now() - 3600))

    await (await start()).step()

    assert receiver.came == []
    assert await ledger.redis.zcard(ENDED) == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001"]
)
async def test_a_private_address_is_refused_however_it_is_written(receiver, host):
    """By the address that is connected to, so that a name that leads there is no way round."""
    port = receiver.url.rpartition(":")[2]
    settings = NotifySettings.model_construct(
        url=NotifySettings(url=f"https://{host}:{port}").url, secret=None, allow_private=False
    )

    async with open_webhook(settings) as webhook:
        with pytest.raises(Undelivered, match=r"private, loopback or link-local|URL cannot be used"):
            await webhook.send("id", b"{}")

    assert receiver.came == []


async def test_a_webhook_that_does_not_answer_is_no_reason_to_wait_for_ever(ledger, start):
    """Nor one that is not there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    await make_job(ledger, rows=0)

    async with asyncio.timeout(30):
        await (await start(url=url)).step()

    assert await ledger.redis.zcard(OUTBOX) == 1


async def test_a_job_that_redis_lost_is_notified_once_with_how_it_stood(ledger, start, receiver):
    """By the worker that comes first, although the job and all that notifications know are gone."""
    job_id = await make_job(ledger)
    detector = LossDetector("w1@a")
    await detector.check(ledger)
    await ledger.redis.flushdb()
    await detector.check(ledger)
    notifier = await start()

    for _ in range(3):
        await notifier.step()

    (notice,) = receiver.notices
    assert (notice["type"], notice["job_id"], notice["state"]) == ("job.lost", job_id, "state lost")
    assert (notice["reason_code"], notice["rows"]["total"]) == ("state_lost", 3)
    assert "w1@a" in notice["reason"]
    assert "w1@a" in notice["text"]
    assert not await ledger.redis.exists(OUTBOX, NOTICES, ENDED, JobKeys(job_id).job)


async def test_a_finished_plan_is_notified_as_what_it_is(ledger, start, receiver):
    spec = (await ledger.jobs.get(await make_job(ledger, kind=Kind.PLAN))).spec
    await ledger.redis.hset(JobKeys(spec.job_id).counts, "would_change", spec.rows)
    await ledger.jobs.move(spec.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))
    await ledger.jobs.retire(spec.job_id)

    await (await start()).step()

    (notice,) = receiver.notices
    assert (notice["kind"], notice["rows"]["would_change"], notice["rows"]["updated"]) == ("plan", spec.rows, 0)
    assert f"{spec.rows} would change" in notice["text"]
    assert f"Nothing was changed; `relabel report {spec.job_id} --diff`" in notice["text"]


async def test_a_cancelled_job_is_notified_with_who_cancelled_it_and_why(ledger, start, receiver):
    """In the fields and in the sentence."""
    spec = (await ledger.jobs.get(await make_job(ledger))).spec
    await ledger.jobs.cancel(spec.job_id, by="ada@laptop", reason="wrong column")
    await ledger.shards.close(spec, 0, Outcome.CANCELLED, None)
    await ledger.jobs.retire(spec.job_id)

    await (await start()).step()

    notice = receiver.notices[0]
    assert (notice["type"], notice["reason_code"]) == ("job.cancelled", "cancelled")
    assert notice["reason"] == "wrong column (ada@laptop)"
    assert notice["text"].endswith(" Cancelled: wrong column (ada@laptop).")
