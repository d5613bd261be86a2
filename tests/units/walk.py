"""The walk on a machine with systemd: `python -m tests.units.walk FOLDER`, started by `python -m tests.units`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from relabel import __version__
from relabel.worker_process import STOP_S
from sandbox.options import SandboxOptions
from tests.containers.documented import Documented
from tests.harness.rehearsal import Done, Rows, check_done, kill, new_rows, parent_of, processes_here, wait_for
from tests.harness.sandbox_thread import Api, running_api
from tests.units.machine import Machine, booted

UNITS = ("relabel-worker@1", "relabel-worker@2", "relabel-beat", "relabel-web", "relabel-metrics", "relabel-flower")
SECRETS = {
    "relabel_redis__password": "redis-of-this-run",
    "openai_api_key": "sk-of-this-run-77aa",
    "relabel_flower__basic_auth": "relabel:flower-of-this-run",
}
ROWS = 2000
OF_SYSTEMD = ("systemctl", "/opt/", "/etc/", "/var/lib/")
"""What a documented command has that is meant for such a machine."""


class Run:
    """What the steps share."""

    def __init__(self, machine: Machine, api: Api, documented: Documented) -> None:
        self.machine, self.api, self.documented = machine, api, documented
        self.jobs = 0

    def do(self, beginning: str, before: str = "true") -> str:
        """Carry out the documented command that begins so; return what it printed."""
        return self.machine.sh(f"{before} && {self.documented.command(beginning)}").out

    def relabel(self, arguments: str, *, stdin: bytes = b"", check: bool = True) -> Done:
        """Carry out a command as root, with the settings that the operations name."""
        settings = self.documented.command("export RELABEL_REDIS__URL")
        command = f"set -a; . /etc/relabel/relabel.env; {settings} && /opt/relabel/bin/relabel {arguments}"
        return self.machine.sh(command, stdin=stdin, check=check)

    def job(self, number: int) -> tuple[Rows, str]:
        """Submit a job of so many rows; return them, and its id."""
        self.jobs += 1
        rows = new_rows(number, job=self.jobs)
        self.api.load(rows.before)
        return rows, self.relabel("submit - --input-format csv --yes", stdin=rows.csv()).out.split()[-1]

    def check_done(self, rows: Rows, job_id: str) -> None:
        """Wait for the job's end and check it."""
        note(check_done(self.api, rows, lambda: json.loads(self.relabel(f"status {job_id} --json", check=False).out)))

    def main_process(self, unit: str) -> int:
        """Return the number that the unit's main process has here; the machine has numbers of its own."""
        theirs = self.machine.show(unit, "MainPID")
        return next(number for number in processes_here() if _numbers(number)[1:] == [theirs])

    def command_line(self, unit: str) -> str:
        """Return the command line of the unit's main process."""
        return Path(f"/proc/{self.main_process(unit)}/cmdline").read_text()

    def during_a_job(self, strike: Callable[[], object]) -> None:
        """Carry out a job, and strike once a quarter of it is done."""
        rows, job_id = self.job(ROWS)
        wait_for(lambda: len(self.api.updates(rows.before)) > ROWS // 4, what="a quarter is written")
        strike()
        assert len(self.api.updates(rows.before)) < ROWS, "the job was over before"
        self.check_done(rows, job_id)


def redis(run: Run) -> None:
    """Debian's Redis, set as the operations ask, with the user that is shipped."""
    digest = hashlib.sha256(SECRETS["relabel_redis__password"].encode()).hexdigest()
    run.machine.sh(f"sed s/SHA256_OF_THE_PASSWORD/{digest}/ deploy/redis/users.acl > /etc/redis/users.acl")
    options = ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "aclfile /etc/redis/users.acl")
    run.machine.sh(f"printf '%s\\n' {' '.join(map(repr, options))} >> /etc/redis/redis.conf")
    run.machine.sh("chown redis /etc/redis/users.acl && systemctl restart redis-server")


def install(run: Run) -> None:
    """The documented commands, one after the other."""
    run.do("useradd --system")
    began = time.monotonic()
    run.do(f"deploy/build.sh /opt/relabel-{__version__}")
    note(f"installed in {time.monotonic() - began:.0f} s")
    run.do(f"ln -sfT relabel-{__version__}")
    run.do("install -d -m 700")
    run.do("install -m 600")
    run.machine.sh(f"printf '%s\\n' OPENAI_BASE_URL={run.api.base_url} >> /etc/relabel/relabel.env")
    run.machine.sh("sed -i 's/^\\(RELABEL_RATE__PER_MINUTE=\\).*/\\112000/' /etc/relabel/relabel.env")
    run.do("cp -r deploy/systemd")
    for name, value in SECRETS.items():
        line = run.documented.command("printf '%s\\n' \"$PASSWORD\"").replace("relabel_redis__password", name)
        run.machine.sh(f"umask 077; PASSWORD={value}; {line}")
    run.do("systemctl daemon-reload")
    run.do("systemctl enable --now")


def started(run: Run) -> None:
    """All units run, and `health` finds nothing wrong."""
    for unit in UNITS:
        assert run.machine.show(unit, "ActiveState") == "active", unit
        assert run.machine.show(unit, "NRestarts") == "0", run.machine.sh(f"journalctl -u {unit} -n 30").out
    healthy = "health --only ledger,broker,workers,clock,api,key"
    wait_for(lambda: run.relabel(healthy, check=False).code == 0, what="all is well")


def credentials(run: Run) -> None:
    """Handed over as files that the unit alone can read, and shown nowhere."""
    for unit in UNITS:
        process = run.main_process(unit)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        assert "0" not in status["Uid"].split(), (unit, status["Uid"])
        assert (status["CapEff"].strip("0"), status["NoNewPrivs"]) == ("", "1"), unit
        shown = Path(f"/proc/{process}/environ").read_text() + run.machine.sh(f"systemctl show {unit}").out
        assert not any(secret in shown for secret in SECRETS.values()), unit
        folder = f"/run/credentials/{unit}.service"
        names = set(run.machine.sh(f"ls {folder}").out.split())
        assert names == {"relabel_redis__password"} | _own_credentials(unit), (unit, names)
        refused = run.machine.sh(
            f"setpriv --reuid=65534 --clear-groups cat {folder}/relabel_redis__password", check=False
        )
        assert "Permission denied" in refused.err, refused
    assert not any(secret in run.machine.sh("journalctl -u 'relabel-*'").out for secret in SECRETS.values())


def web(run: Run) -> None:
    """A token is made as root; a request is answered; metrics and Flower answer, too."""
    token = run.do(
        "/opt/relabel/bin/relabel token create", run.documented.command("export RELABEL_REDIS__URL")
    ).split()[-1]
    assert "data" in _asked("http://127.0.0.1:8400/v1/jobs", Authorization=f"Bearer {token}")
    assert "relabel_" in _asked("http://127.0.0.1:9464/metrics")
    assert _asked("http://127.0.0.1:5555/healthcheck") == "OK"


def killed(run: Run) -> None:
    """kill -9 of a child, then of a main process, which systemd starts again; Redis is restarted."""
    run.during_a_job(lambda: kill(_children(run.main_process("relabel-worker@1"))[0]))
    run.during_a_job(lambda: kill(run.main_process("relabel-worker@2")))
    assert run.machine.show("relabel-worker@2", "NRestarts") == "1"
    assert run.machine.sh("ls -A /tmp /var/tmp | grep pymp", check=False).out == ""
    run.during_a_job(lambda: run.machine.sh("systemctl restart redis-server"))


def upgraded(run: Run) -> None:
    """Another environment; one worker after the other, in the middle of a job, ends by itself and begins anew there."""
    run.do("deploy/build.sh /opt/relabel-NEW")
    run.do("ln -sfT relabel-NEW")
    restart = run.documented.command("systemctl restart relabel-worker@1")

    def replace() -> None:
        for unit in UNITS[:2]:
            assert f"/opt/relabel-{__version__}/bin/python" in run.command_line(unit)
            done = run.machine.sh(restart.replace(UNITS[0], unit))
            assert done.seconds < 30, done
            assert "/opt/relabel-NEW/bin/python" in run.command_line(unit)
            assert "SIGKILL" not in run.machine.sh(f"journalctl -u {unit} -n 40").out
            note(f"{unit} restarted in {done.seconds:.1f} s (it may take {STOP_S:.0f})")

    run.during_a_job(replace)
    run.machine.sh(f"systemctl restart {' '.join(UNITS[2:])}")
    assert _asked("http://127.0.0.1:8400/readyz")
    assert all("/opt/relabel-NEW/bin/python" in run.command_line(unit) for unit in UNITS)


def stopped(run: Run) -> None:
    """All units end by themselves, and leave no process."""
    stop = run.machine.sh(f"systemctl stop {' '.join(UNITS)}")
    note(f"all units stopped in {stop.seconds:.1f} s")
    for unit in UNITS:
        state = [run.machine.show(unit, what) for what in ("ActiveState", "Result")]
        assert state == ["inactive", "success"], (unit, state, run.machine.sh(f"journalctl -u {unit} -n 20").out)
    assert run.machine.sh("pgrep -u relabel", check=False).out == ""


STEPS = (redis, install, started, credentials, web, killed, upgraded, stopped)


def main() -> None:
    """Walk through the operations on a machine with systemd; the first step that fails ends it."""
    folder = Path(sys.argv[1])
    options = SandboxOptions(api_key=SECRETS["openai_api_key"], latency_s=0.01)
    tree = folder / "data" / "machine"
    tree.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(folder / "machine"), str(tree)], check=True)
    machine = booted(tree, project=folder / "project", wheels=folder / "wheels", log=folder / "systemd.log")
    with machine as here, running_api(options) as api:
        note(here.sh("systemctl --version | head -n 1").out.strip())
        run = Run(here, api, Documented(folder / "project/docs/operations.md"))
        for step in STEPS:
            began = time.monotonic()
            print(f"{step.__name__}: {(step.__doc__ or '').strip()}", flush=True)  # noqa: T201
            try:
                step(run)
            except BaseException:
                print(here.sh("journalctl -u 'relabel-*' -n 40 --no-pager", check=False).out[-5000:])  # noqa: T201
                raise
            print(f"  ok, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        left = [command for words in OF_SYSTEMD for command in run.documented.not_run(words)]
        assert left == [], f"documented, and not run: {left}"


def note(what: str) -> None:
    """Print a figure or a fact that was found."""
    print(f"  {what}", flush=True)  # noqa: T201


def _own_credentials(unit: str) -> set[str]:
    names = {"relabel-worker": "openai_api_key", "relabel-flower": "relabel_flower__basic_auth"}
    return {name for prefix, name in names.items() if unit.startswith(prefix)}


def _numbers(process: int) -> list[str]:
    """Return a process's numbers in its namespaces, the innermost last."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])


def _children(process: int) -> list[int]:
    return [number for number in processes_here() if parent_of(number) == process]


def _asked(url: str, **headers: str) -> str:
    """Return what a server answers, once it listens."""

    def answer() -> str:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as reply:
                return str(reply.read().decode())
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            return ""

    return wait_for(answer, what=f"{url} answers")


if __name__ == "__main__":
    main()
