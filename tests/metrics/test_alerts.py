"""Each alert fires at a real Prometheus when its fault is really made. A minute of a rule is a second here."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from config.schedule import Schedule
from ledger.keys import NIGHTLY_SCHEDULE
from nightly.store import Nights
from tests.harness.cluster import ALONE, KEY, Cluster, settings_for
from tests.harness.free_port import free_port
from tests.harness.redis_server import PrivateRedis
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess
from tests.metrics.watch import LONGEST_S, Watch

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("prometheus"), reason="prometheus is not installed (Debian's package of that name)"
    ),
]


@pytest.fixture
async def cluster(state_dir: Path, tmp_path: Path) -> AsyncIterator[Cluster]:
    """All parts, and no worker."""
    async with Cluster(state_dir, keep_logs=tmp_path, latency_s=0.02) as cluster:
        yield cluster


@pytest.fixture
def small_disk(state_dir: Path) -> Iterator[Path]:
    """A disk of 8 MiB, on which the cluster's Redis keeps its file."""
    disk = state_dir / "redis-data"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


async def test_a_ledger_that_goes_and_comes_back_empty(cluster: Cluster, tmp_path: Path) -> None:
    job_id = await cluster.start_job(PatchRows(50))
    with Watch(cluster, tmp_path).open() as watch:
        await wait_until(lambda: watch.ask("relabel_ledger_up == 1"), within=LONGEST_S, what="it is scraped", every=0.2)
        cluster.redis.kill()
        await watch.fires("RelabelLedgerDown", "RelabelBrokerDown")
        cluster.redis.forget()
        cluster.redis.start()
        await watch.fires("RelabelLedgerReset", "RelabelJobLost")
        await watch.ends("RelabelLedgerDown", "RelabelBrokerDown")

    await cluster.reconnect()
    assert (await cluster.ledger.jobs.get(job_id)).state.ended


async def test_nobody_works_on_a_job_while_metrics_are_started_again(cluster: Cluster, tmp_path: Path) -> None:
    """What fires goes on to fire through the gap, and what was about to fire is not delayed by it."""
    job_id = await cluster.start_job(PatchRows(50))
    with Watch(cluster, tmp_path).open() as watch:
        seen = await watch.fires("RelabelNoWorker", "RelabelNoProgress")
        assert seen["RelabelNoProgress"]["job_id"] == job_id

        watch.end()
        await watch.fires("RelabelMetricsMissing")
        assert {"RelabelNoWorker", "RelabelNoProgress"} <= (await watch.firing()).keys()
        watch.begin()
        await watch.ends("RelabelMetricsMissing")

        assert {"RelabelNoWorker", "RelabelNoProgress"} <= (await watch.firing()).keys()
        await watch.fires("RelabelJobTooLong")
        await cluster.worker()
        await watch.ends("RelabelNoWorker", "RelabelNoProgress", "RelabelJobTooLong")


async def test_an_api_that_answers_500_alone(cluster: Cluster, tmp_path: Path) -> None:
    """The alert that it fails comes before any row has failed."""
    await cluster.worker(rate={"per_minute": 6000})
    rows = PatchRows(20_000)
    job_id = await cluster.start_job(rows)
    await cluster.settled(job_id, 20)
    with Watch(cluster, tmp_path).open() as watch:
        cluster.sandbox.add_faults(rules=[{"fault": "error_500"}])
        await watch.fires("RelabelEndpointFailing", "RelabelRateSlowed", "RelabelNoProgress")
        job = await cluster.job(job_id)

    assert job is not None
    assert job.counts.failed == 0


async def test_an_api_that_allows_less_than_half_of_the_rate(cluster: Cluster, tmp_path: Path) -> None:
    """Its 429s are few, as the rate corrects itself; that it is slow is what shows."""
    cluster.sandbox.configure(rate_per_second=20.0)
    await cluster.worker(rate={"per_minute": 6000})
    await cluster.start_job(PatchRows(5000))
    with Watch(cluster, tmp_path).open() as watch:
        seen = await watch.fires("RelabelRateSlowed")

    assert seen["RelabelRateSlowed"]["endpoint"] in cluster.sandbox.base_url


async def test_a_key_that_the_api_refuses(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.worker(OPENAI_API_KEY=f"{KEY}-of-another")
    job_id = await cluster.start_job(PatchRows(50))
    with Watch(cluster, tmp_path).open() as watch:
        seen = await watch.fires("RelabelJobPaused")
        assert seen["RelabelJobPaused"]["job_id"] == job_id
        assert seen["RelabelJobPaused"]["reason_code"] == "invalid_api_key"

        await cluster.ledger.jobs.cancel(job_id, by="test")
        await watch.ends("RelabelJobPaused")


async def test_rows_whose_completions_are_gone(cluster: Cluster, tmp_path: Path) -> None:
    rows = PatchRows(400)
    cluster.sandbox.store.load(dict(list(rows.before.items())[::2]))
    with Watch(cluster, tmp_path).open() as watch:
        await cluster.worker(rate={"per_minute": 3000})
        await cluster.start_job(rows, load=False)
        await watch.fires("RelabelRowsFail")


async def test_a_worker_that_is_started_again_and_again(cluster: Cluster, tmp_path: Path) -> None:
    """It is killed as soon as it beats, as where it runs out of memory."""
    settings = settings_for(cluster.redis.url, cluster.sandbox.base_url)
    with Watch(cluster, tmp_path).open() as watch:
        for number in range(1, 5):
            worker = WorkerProcess(settings, name="w0", folder=cluster.redis.socket.parent, options=ALONE)
            cluster.workers.append(worker)

            async def has_started(number: int = number) -> bool:
                return bool((await cluster.ledger.workers.starts()).total() == number)

            await wait_until(has_started, within=LONGEST_S, what=f"{number} starts are counted")
            worker.kill()
        seen = await watch.fires("RelabelWorkersCrash")

    assert seen["RelabelWorkersCrash"]["worker"].startswith("w0@")


async def test_a_server_that_is_full_and_may_forget(cluster: Cluster, tmp_path: Path) -> None:
    used = cluster.redis.admin.info("memory")["used_memory"]
    cluster.redis.admin.config_set("maxmemory-policy", "allkeys-lru")
    cluster.redis.admin.config_set("maxmemory", int(used * 1.1))
    with Watch(cluster, tmp_path).open() as watch:
        await watch.fires("RelabelLedgerFull", "RelabelLedgerAtRisk")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
async def test_a_disk_that_fills_up_ends_redis_and_ends_it_again_at_its_start(
    small_disk: Path, state_dir: Path, tmp_path: Path
) -> None:
    """The alert comes before; with room made, the ledger is as it was."""
    async with Cluster(state_dir, keep_logs=tmp_path) as cluster:
        job_id = await cluster.start_job(PatchRows(50))
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(15 << 19))
        with Watch(cluster, tmp_path).open(ledger_disk=small_disk) as watch:
            await watch.fires("RelabelLedgerDiskFull")
            fill_up(ballast)
            assert not stays(cluster.redis)
            await watch.fires("RelabelLedgerDown")
            cluster.redis.kill()
            with contextlib.suppress(AssertionError):  # it may end before it answers, or with its first write
                cluster.redis.start(within=5)
            assert not stays(cluster.redis)
            cluster.redis.kill()
            ballast.unlink()
            cluster.redis.start()
            await watch.ends("RelabelLedgerDown", "RelabelLedgerDiskFull")
        await cluster.reconnect()
        assert (await cluster.ledger.jobs.get(job_id)).counts.total == 50


async def test_nights_that_are_missed_too_long_and_skipped(cluster: Cluster, tmp_path: Path) -> None:
    nights = Nights(cluster.ledger.redis)
    await nights.note_schedule(Schedule("30 2 * * *", "UTC"))
    await cluster.ledger.redis.hset(NIGHTLY_SCHEDULE, "since", 0)
    with Watch(cluster, tmp_path).open() as watch:
        await watch.fires("RelabelNightMissed")
        await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")
        await watch.fires("RelabelNightTooLong")
        await nights.begin("2026-11-26", asked_by="schedule", overlap="skip")
        await watch.fires("RelabelNightSkipped")


async def test_a_night_with_a_file_that_cannot_be_read_and_nobody_to_notify(cluster: Cluster, tmp_path: Path) -> None:
    """And with one that raises a question."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "odd.csv").write_bytes(b"PK\x03\x04 a workbook")
    (inbox / "unsure.csv").write_text("completion_id,team\n1,red\n2,blue\n")
    await cluster.worker(
        nightly={"inbox": inbox, "quiet_s": 0.0},
        notify={"url": f"http://127.0.0.1:{free_port()}/", "allow_private": True},
    )
    with Watch(cluster, tmp_path).open() as watch:
        await cluster.finished(await cluster.start_job(PatchRows(5)))
        await Nights(cluster.ledger.redis).begin("2026-11-25", asked_by="schedule", overlap="skip")
        await watch.fires("RelabelNightRejected", "RelabelNightHeld", "RelabelNotificationsWaiting")


def stays(server: PrivateRedis) -> bool:
    """Whether the server takes a write and lives on."""
    try:
        return bool(server.admin.set("ballast", "y" * 8192))
    except redis.ConnectionError:
        return False


def fill_up(ballast: Path) -> None:
    """Fill the disk that the file is on, to its last byte."""
    with ballast.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
