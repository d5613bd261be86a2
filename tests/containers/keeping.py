"""Steps of the walk: what watches over a deployment, what keeps its data, and its end."""

from __future__ import annotations

import json
import urllib.request

from tests.containers.deployment import Deployment
from tests.containers.working import SMALL
from tests.harness.rehearsal import wait_for


def prometheus(run: Deployment) -> None:
    """It scrapes relabel's metrics and has loaded the alert rules; Grafana has no stand-in and is not started."""
    run.sh("docker compose --profile observability up --detach --wait prometheus")

    def healthy() -> bool:
        targets = _asked("targets")["activeTargets"]
        return bool(targets) and {target["health"] for target in targets} == {"up"}

    wait_for(healthy, what="Prometheus has scraped relabel's metrics", every=1.0)
    rules = [rule for group in _asked("rules")["groups"] for rule in group["rules"]]
    run.note(f"Prometheus scrapes relabel and watches {len(rules)} rules")
    run.sh("docker compose --profile observability rm --stop --force prometheus")


def backup(run: Deployment) -> None:
    """A job is kept; all volumes are lost; what was kept is brought back, and the job can be undone."""
    rows = run.rows(SMALL)
    job_id = run.submit(rows)
    run.check_done(job_id, rows)
    run.do("docker compose stop worker beat web redis")
    saved = run.do("docker compose run --rm --no-deps -T --entrypoint tar")
    run.do("docker compose up --detach --wait")
    run.note(f"backup of the ledger in {saved.seconds:.0f} s")

    run.sh("docker compose down --volumes")
    run.do("docker compose up --detach --wait")
    assert run.sh(f"docker compose run --rm -T relabel status {job_id}", check=False).code == 2
    run.do("docker compose stop worker beat web redis")
    restored = run.do("docker compose run --rm --no-deps -T --entrypoint sh")
    run.do("docker compose up --detach --wait")
    assert run.status(job_id)["state"] == "finished"
    run.sh(f"docker compose run --rm -T relabel undo {job_id} --yes")
    wait_for(lambda: run.api.metadata(rows.before) == rows.before, what="the restored job is undone")
    run.note(f"restored in {restored.seconds:.0f} s; the job from before is undone, each row as it was")


def down(run: Deployment) -> None:
    """Nothing of it is left with the engine but the volumes and the image."""
    ended = run.do("docker compose down")
    run.note(f"ended in {ended.seconds:.0f} s")
    assert run.sh("docker ps --all --quiet").out == ""
    networks = set(run.sh("docker network ls --format '{{.Name}}'").out.split())
    assert networks == {"bridge", "host", "none"}, networks
    volumes = set(run.sh("docker volume ls --quiet").out.split())
    named = ("redis", "beat", "inbox", "spool", "prometheus", "grafana")
    assert volumes <= {f"relabel_{name}" for name in named}, volumes


def _asked(what: str) -> dict[str, list[dict[str, str]]]:
    with urllib.request.urlopen(f"http://127.0.0.1:9090/api/v1/{what}", timeout=10) as answer:
        facts: dict[str, list[dict[str, str]]] = json.load(answer)["data"]
    return facts
