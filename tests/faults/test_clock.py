"""A worker whose clock is wrong."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest

from tests.harness.cluster import Cluster
from tests.harness.faketime import faketime_library
from tests.harness.oracle import check_exact, cost_of
from tests.harness.rows import PatchRows
from tests.harness.worker_process import WorkerProcess

FAKETIME = faketime_library()


@pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed; all times that matter are Redis TIME")
@pytest.mark.parametrize("shift", ["+600s", "-600s"])
@pytest.mark.promise
async def test_a_worker_with_a_wrong_clock_does_no_harm(
    cluster: Cluster, shift: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 12: ten minutes early or late beside a worker that is on time; messages may be stolen, rows not repeated."""
    rows = PatchRows(300)
    await cluster.worker(rate={"per_minute": 6000})
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", shift)
    wrong = cluster.start_worker(rate={"per_minute": 6000})
    monkeypatch.undo()
    await wrong.ready()
    assert clock_of(wrong) == pytest.approx(time.time() + float(shift.removesuffix("s")), abs=300)

    job_id = await cluster.start_job(rows)

    await cluster.finished(job_id)
    await check_exact(cluster.ledger, cluster.sandbox, rows, job_id)
    assert cost_of(cluster.sandbox, rows).extra == 0


def clock_of(worker: WorkerProcess) -> float:
    """What the worker took for the time when it logged its last line."""
    stamps = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", worker.said())
    return datetime.fromisoformat(stamps[-1]).astimezone().timestamp()
