"""Workers that die: the rows they had go on elsewhere, and are counted once."""

from __future__ import annotations

import signal

import psutil
import pytest

from ledger.job_spec import Kind
from ledger.keys import JobKeys
from ledger.patching import diff
from ledger.row import Outcome
from ledger.row_reader import read_shard
from report.digest import job_digest, shard_digest
from tasks.announce import announce
from tests.harness.cluster import Cluster
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

QUEUE = "relabel:celery:relabel"
UNACKED = "relabel:celery:unacked"
SLOWLY = {"per_minute": 6000}
NOISE_S = 15.0
"""Added to what is promised: what a machine needs that has other work to do."""


async def test_the_shards_of_a_killed_child_are_back_within_15_s(cluster: Cluster) -> None:
    """Row 1: SIGKILL of both children in mid-shard."""
    rows = PatchRows(400)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)

    lost = await cluster.kill_at_work(worker, job_id)
    assert lost

    async def all_back() -> bool:
        now = await cluster.owners(job_id)
        return all(now.get(shard) != owner for shard, owner in lost.items())

    await wait_until(all_back, within=15 + NOISE_S, what="the dead children's leases are over")
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.promise
async def test_another_worker_goes_on_within_60_s_of_a_workers_death(cluster: Cluster) -> None:
    """Row 2: SIGKILL of the whole worker; what it had reserved in the broker does not matter."""
    rows = PatchRows(200)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)
    worker.kill()

    await cluster.worker()

    # 200 rows take 4 s: all of them, with those that were lost, are done within the promised bound
    await cluster.finished(job_id, within=60 + NOISE_S)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.promise
async def test_children_without_their_worker_do_no_harm(cluster: Cluster) -> None:
    """Row 2: SIGKILL of the main process alone; its children end their turns beside the next worker."""
    rows = PatchRows(200)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)

    worker.send(signal.SIGKILL)
    await cluster.worker()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.promise
async def test_a_message_lost_on_its_way_is_sent_again(cluster: Cluster) -> None:
    """Row 3: SIGKILL between the broker's BRPOP and its note in `unacked`, the window that kombu has."""
    rows = PatchRows(20)
    worker = await cluster.worker(worker={"children": 1})
    job_id = await cluster.start_job(rows, hold=True)
    shards: list[int] = []

    async def popped_into_a_connection_that_nobody_reads() -> bool:
        await wait_until(lambda: _waits_for_messages(cluster), within=60, what="the worker waits in BRPOP")
        worker.send(signal.SIGSTOP)
        if not shards:
            await cluster.ledger.jobs.resume(job_id, by="test")
            shards.extend(await cluster.ledger.shards.to_announce(job_id))
        if await _waits_for_messages(cluster):
            announce(cluster.app, job_id, shards)
            if await cluster.ledger.redis.llen(QUEUE) == 0:
                return True
            await cluster.ledger.redis.delete(QUEUE)
        worker.send(signal.SIGCONT)  # its BRPOP of a second had just come to its end
        return False

    await wait_until(popped_into_a_connection_that_nobody_reads, within=60, what="a message is lost", every=0.0)
    assert await cluster.ledger.redis.hlen(UNACKED) == 0
    assert await cluster.ledger.redis.zcard(JobKeys(job_id).announced) == 1

    worker.kill()
    await cluster.worker()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


async def test_a_worker_that_is_told_to_end_hands_back_and_exits_within_10_s(cluster: Cluster) -> None:
    """Row 4: SIGTERM in mid-shard: rows in flight end, the rest is handed back at once, exit code 0."""
    rows = PatchRows(400)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows, shard_rows=200)
    await cluster.settled(job_id, 40)

    worker.send(signal.SIGTERM)

    await wait_until(lambda: worker.exit_code() is not None, within=10 + NOISE_S, what="the worker has ended")
    assert worker.exit_code() == 0
    assert await cluster.owners(job_id) == {}
    job = await cluster.job(job_id)
    assert job is not None
    assert 0 < job.counts.settled < 400
    asked = cluster.asked
    await cluster.worker()
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    # nothing was thrown away: the two workers together sent no more than one would have
    assert cluster.asked <= rows.least_requests + 16
    assert cluster.asked > asked


@pytest.mark.promise
async def test_requests_that_hang_do_not_keep_a_worker_that_is_told_to_end(cluster: Cluster) -> None:
    """Row 4: SIGTERM while no request is answered, which takes each of them 60 s: still within 10 s."""
    rows = PatchRows(40)
    worker = await cluster.worker()
    cluster.sandbox.add_faults([{"fault": "hang_after", "match": {"method": "POST"}}])
    job_id = await cluster.start_job(rows)
    await wait_until(lambda: cluster.sandbox.log.stats.in_flight >= 16, within=30, what="requests hang")

    worker.send(signal.SIGTERM)

    await wait_until(lambda: worker.exit_code() is not None, within=10 + NOISE_S, what="the worker has ended")
    assert worker.exit_code() == 0
    cluster.sandbox.faults.clear()
    await cluster.worker()
    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.promise
async def test_a_worker_killed_while_it_ends_loses_nothing(cluster: Cluster) -> None:
    """Row 4: SIGTERM, and SIGKILL right behind it."""
    rows = PatchRows(200)
    worker = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)

    worker.send(signal.SIGTERM)
    await wait_until(lambda: "Warm shutdown" in worker.said(), within=60, what="the worker is ending")
    worker.kill()
    await cluster.worker()

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)


@pytest.mark.promise
async def test_a_shard_that_kills_its_worker_is_parked(cluster: Cluster) -> None:
    """Row 5: the first shard's child dies each time; its rows end as `worker_crash`, the others are done."""
    rows = PatchRows(60)
    cluster.sandbox.configure(latency_s=0.5)
    await cluster.worker()
    job_id = await cluster.start_job(rows, shard_rows=20)
    dead = set()

    async def kills_whoever_has_it() -> bool:
        pid, name = (await cluster.owners(job_id)).get(0, (None, ""))
        if pid is not None and name not in dead:
            psutil.Process(pid).kill()
            dead.add(name)
        job = await cluster.job(job_id)
        return job is not None and job.state.ended

    await wait_until(kills_whoever_has_it, within=120, what="the job has ended", every=0.05)

    assert len(dead) == 4
    poisoned = set(rows.ids[:20])
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, failed=dict.fromkeys(poisoned, "worker_crash"))


async def test_a_worker_that_slept_through_its_leases_finds_them_gone(cluster: Cluster) -> None:
    """Row 12's cause in another dress: a worker frozen for longer than its leases wakes up beside the one at them."""
    rows = PatchRows(200)
    sleeper = await cluster.worker(rate=SLOWLY)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 40)
    sleeper.send_all(signal.SIGSTOP)
    lost = await cluster.owners(job_id)
    await cluster.worker(rate=SLOWLY)

    async def taken_over() -> bool:
        now = await cluster.owners(job_id)
        return any(shard in now and now[shard] != owner for shard, owner in lost.items())

    await wait_until(taken_over, within=60, what="the other worker is at a shard of the frozen one")
    sleeper.send_all(signal.SIGCONT)

    await cluster.finished(job_id, within=60)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, overlaps=True)


async def _waits_for_messages(cluster: Cluster) -> bool:
    clients = await cluster.ledger.redis.client_list()
    return any("b" in client["flags"] and client["cmd"] == "brpop" for client in clients)


@pytest.mark.promise
async def test_a_plan_whose_workers_are_killed_is_counted_once_and_digested_whole(cluster: Cluster) -> None:
    """Row 1: SIGKILL of both children, twice; each row ends once, and nothing was written."""
    rows = PatchRows(400)
    worker = await cluster.worker(rate=SLOWLY, worker={"read_ahead": False})
    job_id = await cluster.start_job(rows, kind=Kind.PLAN, again=True, shard_rows=20)
    before = cluster.sandbox.store.dump()
    for settled in (60, 200):
        await cluster.settled(job_id, settled)
        await cluster.kill_at_work(worker, job_id)
    await cluster.finished(job_id)

    async def digested() -> str | None:
        return (await cluster.ledger.jobs.get(job_id)).digest

    digest = await wait_until(digested, within=15 + NOISE_S, what="the plan has its digest")

    spec = (await cluster.ledger.jobs.get(job_id)).spec
    shards = [await read_shard(cluster.ledger.redis, spec, number) for number in range(spec.shards)]
    assert digest == job_digest(spec.target, spec.mode, [shard_digest(shard, spec.mode) for shard in shards])
    changed = [row for shard in shards for row in shard if row.outcome is Outcome.WOULD_CHANGE]
    counts = await cluster.ledger.plans.read(job_id)
    would_change = sum(len(diff(row.before or {}, row.patch.metadata, spec.mode)) for row in changed)
    assert counts.changes.total() + counts.others.total() == would_change
    assert cluster.sandbox.store.dump() == before
