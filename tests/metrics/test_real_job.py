"""What is shown of a job while a real worker carries it out, and after."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from config.schedule import Schedule
from ledger.keys import JobKeys
from metrics.endpoint import endpoint
from metrics.listener import listener
from metrics.requests import RequestMetrics
from nightly.store import Nights
from tests.harness.cluster import END_S, KEY, Cluster, settings_for
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.metrics.prometheus import prometheus
from tests.metrics.scrape import Scrape, scrape

DEPLOY = Path(__file__).parents[2] / "deploy"
ROWS = 400
CANARY = "canary-name"


async def test_a_job_is_counted_from_its_first_row_to_long_after_its_end(cluster: Cluster) -> None:
    """Counters only rise, are exact in the end, and stay when the job has expired; names in deploy/ are all there."""
    settings = settings_for(cluster.redis.url, cluster.sandbox.base_url)
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        rows = PatchRows(ROWS)
        seen = [await look(port)]
        await cluster.worker()
        job_id = await cluster.start_job(rows, name=CANARY)
        async with asyncio.timeout(END_S):
            while not seen[-1].value("relabel_jobs_ended_total", state="finished"):
                seen.append(await look(port))
        keys = JobKeys(job_id)
        finished = await cluster.finished(job_id)
        await cluster.ledger.redis.delete(*keys.lasting, *keys.passing)
        seen.append(await look(port))

    never_falls(seen)
    first, last, amid = seen[0], seen[-1], [one for one in seen if one.value("relabel_jobs", state="running")]
    assert (first.total("relabel_rows_total"), first.value("relabel_jobs", state="running")) == (0, 0)
    counts = {word: last.value("relabel_rows_total", outcome=word) for word in ("updated", "unchanged", "failed")}
    assert counts == {"updated": ROWS * 0.9, "unchanged": ROWS * 0.1, "failed": 0}
    assert last.value("relabel_requests_total") == finished.traffic.requests > 0
    assert last.value("relabel_requests_throttled_total") == finished.traffic.throttled > 0
    assert last.total("relabel_rate_paused_seconds_total") > 0
    assert last.value("relabel_job_progress_ratio", job=job_id, state="running") is None
    assert any(one.value("relabel_job_progress_ratio", job=job_id, state="running") for one in amid)
    assert amid[-1].value("relabel_workers") == 1
    assert amid[-1].value("relabel_worker_children") == 2
    assert {worker.name.rpartition("@")[2] for worker in await cluster.ledger.workers.living()} == {
        socket.gethostname()
    }
    assert {"relabel_broker_up", "relabel_queue_messages"} <= last.names
    tells_nothing_of_customers(seen, rows)
    assert named_in_deploy() - amid[-1].names - served().names == set()
    for one in (first, amid[-1], last, served()):
        await asyncio.to_thread(promtool_agrees, one)


@pytest.mark.promise
@pytest.mark.skipif(
    not shutil.which("prometheus"), reason="prometheus is not installed (Debian's package of that name)"
)
async def test_the_dashboard_shows_a_real_job(cluster: Cluster, tmp_path: Path) -> None:
    """Each query of each panel, asked of a real Prometheus that scrapes a real endpoint, gives something to draw."""
    settings = settings_for(cluster.redis.url, cluster.sandbox.base_url)
    await cluster.worker(rate={"per_minute": 3000})
    await cluster.start_job(PatchRows(4000))
    held = await cluster.start_job(PatchRows(3, seed=9))
    await cluster.ledger.jobs.pause(held, by="test", code="invalid_api_key", reason="the key is wrong")
    await Nights(cluster.ledger.redis).begin("2026-11-25", asked_by="schedule", overlap="skip")
    await Nights(cluster.ledger.redis).note_schedule(Schedule("30 2 * * *", "UTC"))
    with (
        endpoint(settings, address="127.0.0.1", port=0) as port,
        listener(requests_of_a_server().registry, address="127.0.0.1", port=0, allowed_hosts=None) as web_port,
        prometheus(port, tmp_path, web_port=web_port) as ask,
    ):
        left = {query for panel in dashboard()["panels"] for query in queries_of(panel)}
        assert len(left) > 20

        async def all_answered() -> bool:
            for query in list(left):
                if await asyncio.to_thread(ask, query):
                    left.discard(query)
            return not left

        try:
            await wait_until(all_answered, within=60, every=0.5, what="every query gives something")
        except AssertionError:
            raise AssertionError(f"nothing to draw for: {sorted(left)}") from None


async def look(port: int) -> Scrape:
    """Scrape without holding up the loop that the API's stand-in lives on."""
    return await asyncio.to_thread(scrape, port)


def requests_of_a_server() -> RequestMetrics:
    """What a server counts, with a request."""
    metrics = RequestMetrics()
    metrics.answered("GET", "/v1/jobs", 200, 0.01)
    return metrics


def served() -> Scrape:
    """A scrape of it."""
    return Scrape(generate_latest(requests_of_a_server().registry).decode())


def promtool_agrees(one: Scrape) -> None:
    """Prometheus' own checker has nothing to say, where it is installed."""
    if shutil.which("promtool"):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=one.text, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def never_falls(seen: list[Scrape]) -> None:
    """Each counter of each scrape is at least what it was, and is there again."""
    for earlier, later in itertools.pairwise(seen):
        for key, value in earlier.counters.items():
            assert later.counters.get(key, -1) >= value, key


def tells_nothing_of_customers(seen: list[Scrape], rows: PatchRows) -> None:
    """No id, no metadata, no job's name, no key."""
    said = "\n".join(one.text for one in seen)
    words = {
        KEY,
        CANARY,
        *rows.ids,
        *(value for held in rows.before.values() for value in held.values() if " " in value),
    }
    assert [word for word in words if word in said] == []


def dashboard() -> dict:
    """The dashboard as Grafana reads it."""
    return json.loads((DEPLOY / "grafana" / "relabel.json").read_text())


def queries_of(panel: dict) -> list[str]:
    """What a panel asks Prometheus."""
    return [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]


def named_in_deploy() -> set[str]:
    """Every metric of ours that the dashboard and the alert rules name."""
    asked = "\n".join(query for panel in dashboard()["panels"] for query in queries_of(panel))
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    conditions = "\n".join(re.findall(r"expr: (.*?)\n +(?:for|labels):", rules, flags=re.DOTALL))
    return set(re.findall(r"\brelabel_\w+", f"{asked}\n{conditions}"))
