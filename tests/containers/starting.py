"""Steps of the walk: from a copy of the repository to a deployment that runs, and what it may and may not do."""

from __future__ import annotations

import re
from pathlib import Path

from tests.containers.deployment import RATE_PER_MINUTE, Deployment
from tests.containers.engine import BRIDGE
from tests.harness.sandbox_thread import PORT

KEY = "sk-of-this-run-5c1d"
SERVICES = {"redis", "worker", "beat", "web", "flower", "metrics"}


def without_an_env_file(run: Deployment) -> None:
    """Compose says once what to do."""
    refused = run.sh("docker compose up --detach", check=False)

    assert refused.code != 0
    assert refused.err.count("copy .env.example to .env") == 1, refused.err


def secrets(run: Deployment) -> None:
    """The first command; then the settings that a person would change."""
    run.do("cp .env.example .env", stdin=f"{KEY}\n".encode())
    env = run.engine.tree / "project/.env"
    changed = re.sub(r"(?<=^RELABEL_RATE__PER_MINUTE=)\d+", str(RATE_PER_MINUTE), env.read_text(), flags=re.MULTILINE)
    own = [f"OPENAI_BASE_URL=https://{BRIDGE}:{PORT}/v1", "COMPOSE_FILE=docker-compose.yml:deploy/private-ca.yml"]
    env.write_text("\n".join((changed, *own, "WORKERS=2")) + "\n")
    run.write("ca.pem", run.api.ca)


def build(run: Deployment) -> None:
    """The image, from the files that were fetched before."""
    built = run.do("docker compose build", check=True)
    size = int(run.sh("docker image inspect --format '{{.Size}}' relabel:0.2.0").out)
    run.note(f"image built in {built.seconds:.0f} s, {size / 1e6:.0f} MB with its base")


def bill_of_materials(run: Deployment) -> None:
    """Written beside the image, with all that the image has."""
    run.do("docker buildx build")
    bill = run.sh("cat relabel.cdx.json").out
    installed = run.sh(
        "docker run --rm relabel:0.2.0 python -c 'import importlib.metadata as m; "
        'print(*sorted({d.name + "@" + d.version for d in m.distributions()}))\''
    ).out.split()
    missing = [
        each
        for each in installed
        if f'"pkg:pypi/{each.lower().replace("_", "-")}"' not in bill.lower().replace("_", "-")
    ]
    assert [each for each in missing if not each.startswith("relabel@")] == []
    debian = bill.count('"purl": "pkg:deb/')
    run.note(f"its bill of materials lists {len(installed)} of Python's packages and {debian} of Debian's")


def rehearsal(run: Deployment) -> None:
    """On the bundled API: the API of this run sees nothing of it."""
    rehearsed = run.do("docker compose --profile sandbox run --rm rehearse")
    run.note(f"rehearsal in {rehearsed.seconds:.0f} s")
    assert "30 rows" in rehearsed.out + rehearsed.err or "finished" in rehearsed.out + rehearsed.err, rehearsed
    run.do("docker compose --profile sandbox rm")
    left = set(run.sh("docker compose ps --all --services").out.split())
    assert left & {"sandbox", "rehearsal-worker", "rehearse"} == set(), left


def up(run: Deployment) -> None:
    """All services, healthy."""
    started = run.do("docker compose up --detach --wait")
    run.note(f"all services healthy {started.seconds:.0f} s after `up`")
    states = [line.split() for line in run.sh("docker compose ps --format '{{.Service}} {{.Health}}'").out.splitlines()]
    assert {service for service, _ in states} == SERVICES, states
    assert {health for _, health in states} == {"healthy"}, states


def rights(run: Deployment) -> None:
    """No root, no capability, nothing written but where it must be, no core, no port but on loopback."""
    for container in run.sh("docker compose ps --quiet").out.split():
        facts = run.inspect(container)
        name, host = facts["Name"], facts["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["Memory"] > 0 < host["PidsLimit"], name
        for process in run.processes(container):
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
            assert "0" not in status["Uid"].split() + status["Gid"].split(), (name, status["Uid"])
            assert {status[key].strip("0") for key in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {""}, name
            assert status["NoNewPrivs"] == "1", name
            limits = Path(f"/proc/{process}/limits").read_text()
            assert re.search(r"Max core file size +0 +0", limits), name
        written = run.sh(f"docker exec {container} sh -c 'echo x > /etc/x || echo x > /opt/x'", check=False)
        assert "Read-only file system" in written.err, written
        ports = facts["NetworkSettings"]["Ports"] or {}
        assert {each["HostIp"] for bound in ports.values() for each in bound or ()} <= {"127.0.0.1"}, ports


def hidden(run: Deployment) -> None:
    """No secret in what the engine shows, in a process's environment or command line, or in a log."""
    folder = run.engine.tree / "project/secrets"
    values = {path.name: path.read_text().strip().rpartition(":")[2] for path in folder.iterdir()}
    assert len(values) == 4
    assert values["openai_api_key"] == KEY
    shown = [run.sh("docker compose logs --no-color").out, run.sh("docker image history --no-trunc relabel:0.2.0").out]
    for container in run.sh("docker compose ps --quiet").out.split():
        shown.append(run.sh(f"docker inspect {container}").out)
        for process in run.processes(container):
            shown += [Path(f"/proc/{process}/{file}").read_text() for file in ("environ", "cmdline")]
    assert [name for name, value in values.items() if any(value in text for text in shown)] == []


def networks(run: Deployment) -> None:
    """Workers and Flower reach the API; Redis and beat reach nothing outside."""
    reach = f"import socket; socket.create_connection(('{BRIDGE}', {PORT}), 3)"
    codes = {
        service: run.sh(f'docker compose exec -T {service} python -c "{reach}"', check=False).code
        for service in ("worker", "beat", "flower")
    }
    assert codes == {"worker": 0, "beat": 1, "flower": 0}, codes
    redis = f"wget -q -T 3 -O /dev/null --no-check-certificate https://{BRIDGE}:{PORT}/"
    assert run.sh(f"docker compose exec -T redis {redis}", check=False).code not in {0, 127}


def checks(run: Deployment) -> None:
    """What the health checks cost, measured by the container's own control group."""
    for service in ("worker", "beat"):
        (container, *_) = run.containers(service)
        test = run.inspect(container)["Config"]["Healthcheck"]["Test"]
        command = test[1] if test[0] == "CMD-SHELL" else " ".join(test[1:])
        script = f"{command} > /tmp/said || cat /tmp/said >&2; times"
        timed = run.sh(f'docker exec {container} sh -c "{script}"')
        user, system = timed.out.splitlines()[-1].split()
        run.note(f"a health check of {service} took {_seconds(user) + _seconds(system):.2f} s of CPU")


def _seconds(shown: str) -> float:
    minutes, seconds = shown.rstrip("s").split("m")
    return float(minutes) * 60 + float(seconds)
