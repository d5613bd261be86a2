"""Keys that change and keys that are wrong, under real workers: the job goes on, or says whose key to correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.job import JobState
from relabel.check_result import Verdict
from relabel.health import check_health
from tests.harness.cluster import KEY, Cluster, settings_for
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

NEW_KEY = "sk-canary-rotated-8c2e4f60"


def secrets(folder: Path, key: str) -> Path:
    """A folder of secrets with the key in it."""
    folder.mkdir()
    (folder / "openai_api_key").write_text(key + "\n")
    return folder


async def test_a_job_goes_on_where_the_key_is_rotated(cluster: Cluster, tmp_path: Path) -> None:
    """Two workers read the file again; no row fails, the job never pauses, and neither key is left anywhere."""
    folder = secrets(tmp_path / "secrets", KEY)
    rate = {"per_minute": 6_000, "name": "shared"}
    await cluster.two_workers(OPENAI_API_KEY=None, secrets_dir=folder, rate=rate)
    rows = PatchRows(300)
    job_id = await cluster.start_job(rows, shard_rows=40)
    await cluster.settled(job_id, 50)

    (folder / "openai_api_key").write_text(NEW_KEY)
    cluster.sandbox.configure(api_key=NEW_KEY)

    job = await cluster.finished(job_id)
    assert (job.counts.updated + job.counts.unchanged, job.counts.failed) == (300, 0)
    refused = [entry for entry in cluster.requests_since(0) if entry.status == 401]
    assert 1 <= len(refused) <= 4 * 16 * 2
    assert [entry.verb for entry in await cluster.ledger.audit.read(job_id) if entry.verb == "pause"] == []
    said = "".join(worker.said() for worker in cluster.workers)
    assert "read again" in said
    assert KEY not in said
    assert NEW_KEY not in said


@pytest.mark.promise
async def test_a_worker_with_a_wrong_key_stands_aside_until_its_key_works(cluster: Cluster, tmp_path: Path) -> None:
    """The other one does the job; health names the one that does not."""
    folder = secrets(tmp_path / "secrets", "sk-canary-wrong-5d7a9b31")
    rate = {"per_minute": 6_000, "name": "shared"}
    await cluster.worker(rate=rate)
    await cluster.worker(OPENAI_API_KEY=None, secrets_dir=folder, rate=rate)
    job_id = await cluster.start_job(PatchRows(500), shard_rows=40)

    async def aside() -> bool:
        return any(worker.key_refused for worker in await cluster.ledger.workers.living())

    await wait_until(aside, within=60, what="the worker with the wrong key stands aside")
    job = await cluster.finished(job_id)

    assert (job.counts.updated + job.counts.unchanged, job.counts.failed) == (500, 0)
    refused = [entry for entry in cluster.requests_since(0) if entry.status == 401]
    assert 1 <= len(refused) <= 2 * 2 * 16
    (wrong,) = [worker.name for worker in await cluster.ledger.workers.living() if worker.key_refused]
    assert wrong.startswith("w1@")
    assert len(await cluster.ledger.workers.children()) == 1
    settings = settings_for(cluster.redis.url, cluster.sandbox.base_url)
    seen = (await check_health(settings, ["workers"], deployed=True))["workers"]
    assert (seen.verdict, f"the key of {wrong}, which takes no shards" in seen.message) == (Verdict.WARN, True)
    assert "takes no shards" in cluster.workers[1].said()
    assert "sk-canary-wrong" not in cluster.workers[1].said()


@pytest.mark.parametrize("command", ["/bin/echo sk-canary-wrong-5d7a9b31", "/bin/false"])
async def test_a_job_pauses_and_names_the_worker_where_no_key_works(cluster: Cluster, command: str) -> None:
    """A command gives the wrong key, or none: the reason says whose it is."""
    await cluster.worker(OPENAI_API_KEY=None, api={"key_command": command}, rate={"name": "shared"})

    job = await cluster.in_state(await cluster.start_job(PatchRows(40)), JobState.PAUSED)

    assert (job.reason_code, job.counts.pending) == (
        "invalid_api_key" if "echo" in command else "key_unavailable",
        40,
    )
    assert "correct the key of worker w0@" in (job.reason or "")
    assert "canary" not in (job.reason or "")
