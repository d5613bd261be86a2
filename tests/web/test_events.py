"""A job as it changes: events with ids, by which a client goes on where it was, from whichever server."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import httpx
import pytest

from config.web import Scope
from ledger.keys import JobKeys
from ledger.row import Outcome
from relabel.jobs import see_job
from relabel.session import Session
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.web.conftest import settings_of, start_server
from tests.web.streams import stream
from web.job_feeds import MOST_OF_ONE, JobFeeds
from web.refusals import Refusal

FILE = "id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids)


@pytest.fixture
async def spec(make_job):
    """A job whose rows are open."""
    return await make_job(FILE)


async def test_a_job_is_followed_to_its_end(client, spec, ledger, end_rows):
    """First all of it, then what changes, and at its end all of it again; the stream ends with it."""
    async with stream(client, spec.job_id) as events:
        first = await events.next()
        assert (first.kind, first.job) == ("state", (await client.get(f"/v1/jobs/{spec.job_id}")).json())
        await end_rows(spec, {0: Outcome.UPDATED})
        progress = await events.next()
        assert progress.kind == "progress"
        assert progress.job["rows"]["updated"] == 1
        assert "name" not in progress.job
        await ledger.jobs.pause(spec.job_id, by="ada@x", code="paused", reason="lunch")
        paused = await events.next()
        assert (paused.kind, paused.job["state"], paused.job["reason"]) == ("state", "paused", "lunch")
        await ledger.jobs.resume(spec.job_id, by="ada@x")
        await end_rows(spec, {1: Outcome.UPDATED, 2: Outcome.UNCHANGED, 3: Outcome.UPDATED})
        seen = []
        while event := await events.next():
            seen.append(event)
        assert seen[-1].kind == "end"
        assert (seen[-1].job["state"], seen[-1].job["rows"]["pending"]) == ("finished", 0)
        assert len({event.id for event in (first, progress, paused, *seen)}) == 3 + len(seen)


async def test_a_client_that_comes_back_gets_what_it_does_not_know(client, spec, end_rows):
    """By the id of its last event: nothing twice, and all of it where it has changed."""
    async with stream(client, spec.job_id) as events:
        known = await events.next()
    async with stream(client, spec.job_id, known.id) as events:
        await end_rows(spec, {0: Outcome.UPDATED})
        changed = await events.next()  # `state` where the row ended before the first look
        assert (changed.kind in {"progress", "state"}, changed.job["rows"]["updated"]) == (True, 1)
    async with stream(client, spec.job_id, known.id) as events:
        late = await events.next()
        assert (late.kind, late.job["rows"]["updated"]) == ("state", 1)
    async with stream(client, spec.job_id, "never-seen") as events:
        assert (await events.next()).job["rows"] == late.job["rows"]


async def test_whoever_knows_the_end_need_not_come_back(client, make_job):
    """204; others get it, and no more."""
    job_id = (await make_job(FILE, dict.fromkeys(range(4), Outcome.UPDATED))).job_id
    async with stream(client, job_id) as events:
        end = await events.next()
        assert end.kind == "end"
        assert await events.next() is None
    async with stream(client, job_id, end.id) as events:
        assert events.status == 204


async def test_one_caller_does_not_take_the_streams_of_all_others(redis_url, ledger, spec):
    """They are told to wait, and come in again once one of theirs has ended."""
    settings = settings_of(redis_url)
    feeds, seen = JobFeeds(settings, ledger), await see_job(Session(ledger, settings, "ada"), spec.job_id)
    async with AsyncExitStack() as open_streams:
        for _ in range(MOST_OF_ONE):
            feeds.require_room("ada")
            await open_streams.enter_async_context(feeds.follow(seen, "ada"))
        with pytest.raises(Refusal) as found:
            feeds.require_room("ada")
        feeds.require_room("bob")
    feeds.require_room("ada")

    assert found.value.code == "busy"
    assert feeds.watchers == 0


async def test_a_revoked_token_ends_its_stream(connect, new_token, spec, ledger):
    """Within seconds; others go on."""
    one, other = await new_token(Scope.READ), await new_token(Scope.CONTROL)
    async with (
        connect(one) as client,
        connect(other) as second,
        stream(client, spec.job_id) as events,
        stream(second, spec.job_id) as others,
    ):
        assert await events.next()
        assert await others.next()
        await ledger.tokens.revoke("t-read")
        assert await events.next() is None
        await ledger.jobs.pause(spec.job_id, by="ada@x", code="paused", reason="")
        assert (await others.next()).job["state"] == "paused"


async def test_a_job_that_vanishes_ends_its_stream(client, spec, ledger):
    """A client that comes back is told what became of it."""
    async with stream(client, spec.job_id) as events:
        assert await events.next()
        await ledger.redis.delete(JobKeys(spec.job_id).job)
        assert (await events.next()) is None
    assert (await client.get(f"/v1/jobs/{spec.job_id}/events")).status_code in {404, 410}


@pytest.mark.whole
async def test_a_server_that_ends_ends_its_streams_and_the_next_one_goes_on(
    redis_url, state_dir, new_token, client, spec
):
    """At once, and with exit code 0; ids are the same on every server."""
    served = await asyncio.to_thread(start_server, state_dir, RELABEL_REDIS__URL=redis_url)
    headers = {"Authorization": f"Bearer {await new_token(Scope.READ)}"}
    async with (
        httpx.AsyncClient(base_url=served.url, headers=headers, timeout=60, trust_env=False) as other,
        stream(other, spec.job_id) as events,
    ):
        known = await events.next()
        served.process.send_signal(signal.SIGTERM)
        assert await events.next() is None
    await wait_until(lambda: served.process.poll() is not None, within=5, what="it ended")
    assert served.process.poll() == 0
    assert "Traceback" not in served.log.read_text()
    async with stream(client, spec.job_id, known.id) as events:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await events.next()


@pytest.mark.promise
async def test_a_quiet_stream_says_that_it_is_there(client, spec):
    """A comment every 15 seconds, so that nothing in between takes it for dead."""
    async with stream(client, spec.job_id) as events:
        assert await events.comment()
