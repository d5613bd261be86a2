"""Steps of the walk: jobs, while what carries them out is killed, restarted, multiplied and replaced."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from tests.containers.deployment import Deployment
from tests.harness.rehearsal import kill, wait_for

SMALL, LARGE = 200, 2000


def submit(run: Deployment) -> None:
    """A file from standard input; its status and its report."""
    rows = run.rows(SMALL)
    job_id = run.submit(rows)
    run.check_done(job_id, rows)
    assert job_id in run.do("docker compose run --rm relabel status", JOB=job_id).out
    run.do("docker compose run --rm -T relabel report", JOB=job_id)
    report = (run.engine.tree / "project/report.csv").read_text().splitlines()
    assert len(report) == len(rows.before) + 1
    assert "relabel.outcome" in report[0]


def killed_child(run: Deployment) -> None:
    """kill -9 of a process of a worker, in the middle of a job."""
    _with_a_job(run, lambda: kill(run.children(run.containers("worker")[0])[0]))


def killed_main(run: Deployment) -> None:
    """kill -9 of a worker's main process: the container ends and is started again."""
    (container, *_) = run.containers("worker")
    before = run.inspect(container)["RestartCount"]
    _with_a_job(run, lambda: kill(run.main_process(container)))
    assert run.inspect(container)["RestartCount"] == before + 1
    wait_for(lambda: run.inspect(container)["State"]["Health"]["Status"] == "healthy", what="it is healthy again")
    assert run.sh("docker compose exec -T worker ls -A /var/tmp").out == ""


def redis_restart(run: Deployment) -> None:
    """Redis is told to restart, then killed, in the middle of a job."""
    _with_a_job(run, lambda: run.sh("docker compose restart redis"))
    _with_a_job(run, lambda: kill(run.main_process(run.containers("redis")[0])))


def scale(run: Deployment) -> None:
    """More workers by .env, beside those that run, which stay."""
    before = set(run.containers("worker"))
    env = run.engine.tree / "project/.env"
    env.write_text(env.read_text().replace("WORKERS=2", "WORKERS=3"))
    scaled = run.sh("docker compose up --detach --wait --no-recreate")
    after = set(run.containers("worker"))
    assert before < after
    assert len(after) == 3
    run.note(f"a third worker healthy after {scaled.seconds:.0f} s, the others untouched")


def replaced(run: Deployment) -> None:
    """A new image, and new workers in the place of the old ones; rows go on meanwhile."""
    run.sh("sed -i 's/^CMD .*/ENV REHEARSED=1\\n&/' Dockerfile")
    run.do("docker compose build")
    old = run.containers("worker")
    rows = run.rows(LARGE * 12)  # some minutes: it has to outlast the replacement
    job_id = run.submit(rows)
    run.wait_for_rows(rows, 100)
    replacing = run.do("old=")
    new = run.containers("worker")
    assert len(new) == len(old)
    assert set(new) & set(old) == set()
    assert all("REHEARSED=1" in run.inspect(each)["Config"]["Env"] for each in new)
    assert run.status(job_id)["state"] == "running", "the job was over before"
    run.check_done(job_id, rows)
    gap = run.api.longest_gap(rows.before)
    run.note(f"{len(new)} workers replaced in {replacing.seconds:.0f} s; no row was written for {gap:.1f} s at most")
    run.do("docker compose up --detach --wait")
    assert sorted(run.containers("worker")) == sorted(new), "the next `up` replaced workers again"


def nightly(run: Deployment) -> None:
    """A file in the inbox, applied by a run that is asked for once the file has been unchanged for a minute."""
    rows = run.rows(SMALL)
    run.write("patches.csv", rows.csv())
    run.do("docker compose exec -T worker sh -c")
    unchanged = "docker compose exec -T worker find /inbox -name tonight.csv -mmin +1"
    wait_for(lambda: run.sh(unchanged).out, what="the file has been unchanged for a minute", within=300, every=5.0)
    run.sh("docker compose run --rm -T relabel nightly run --wait")
    assert run.api.metadata(rows.before) == rows.after()
    assert "tonight.csv.report.csv" in run.sh("docker compose exec -T worker ls /inbox/done").out
    run.sh("docker compose run --rm -T relabel nightly status")


def web(run: Deployment) -> None:
    """A token is made inside, and a request is answered through the port on loopback."""
    token = run.do("docker compose run --rm relabel token create").out.split()[-1]
    request = urllib.request.Request("http://127.0.0.1:8400/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["data"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen("http://127.0.0.1:8400/v1/jobs", timeout=20)


def _with_a_job(run: Deployment, strike: Callable[[], object]) -> None:
    """Carry out a job, and strike once a quarter of it is done."""
    rows = run.rows(LARGE)
    job_id = run.submit(rows)
    run.wait_for_rows(rows, LARGE // 4)
    strike()
    struck = time.monotonic()
    done = len(run.api.updates(rows.before))
    assert done < LARGE, "the job was over before"
    wait_for(lambda: len(run.api.updates(rows.before)) > done, what="rows go on")
    run.note(f"the next row was written {time.monotonic() - struck:.1f} s later")
    run.check_done(job_id, rows)
