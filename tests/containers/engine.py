"""A container engine of one run, in namespaces of its own: what it makes of networks and mounts ends with them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.harness.rehearsal import Done

BRIDGE = "172.30.0.1"
"""Where containers find this namespace: the engine's own bridge."""
GROUP = "/relabel-containers"
"""The control group below which containers are; the namespaces do not end it."""
PROJECT = "/project"
START_S, LONGEST_S = 60.0, 900.0


class Engine:
    """The engine of a tree of Debian's, and a shell beside it, in the folder of the project."""

    def __init__(self, tree: Path, log: Path) -> None:
        self.tree = tree
        self.log = log

    def sh(self, command: str, *, stdin: bytes = b"", check: bool = True) -> Done:
        """Carry out a command as a person would, in the project's folder; AssertionError where it fails.

        `check=False` returns what failed instead.
        """
        began = time.monotonic()
        ran = subprocess.run(
            ["chroot", str(self.tree), "sh", "-c", f"cd {PROJECT} && {command}"],
            input=stdin,
            capture_output=True,
            timeout=LONGEST_S,
            env=ENVIRONMENT,
            check=False,
        )
        done = Done(ran.returncode, ran.stdout.decode(), ran.stderr.decode(), time.monotonic() - began)
        assert done.code == 0 or not check, f"{command}\nended with {done.code}:\n{done.out[-3000:]}{done.err[-3000:]}"
        return done

    def load(self, tree: Path, name: str, changes: Sequence[str] = ()) -> None:
        """Make an image of a tree of files."""
        options = [f"--change={change}" for change in changes]
        packed = subprocess.Popen(["tar", "-C", str(tree), "-c", "--one-file-system", "."], stdout=subprocess.PIPE)
        command = ["chroot", str(self.tree), "docker", "import", *options, "-", name]
        subprocess.run(command, stdin=packed.stdout, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
        assert packed.wait() == 0


ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "COMPOSE_ANSI": "never"}


@contextlib.contextmanager
def running_engine(tree: Path, *, data: Path, project: Path, log: Path) -> Iterator[Engine]:
    """Run an engine for as long as the block runs; to be called in namespaces of its own (`namespaces.py`).

    Raises:
        SystemExit: it does not start; the end of its log is shown.

    """
    _mount(tree, data, project)
    daemon = f"exec dockerd --cgroup-parent {GROUP} --bip {BRIDGE}/24 --ip6tables=false"
    pivot = f"cd {tree} && pivot_root . mnt && umount -l /mnt && cd / && {daemon}"
    with log.open("wb") as file:
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", pivot]
        server = subprocess.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT)
        engine = Engine(tree, log)
        try:
            _wait_for(engine, server)
            yield engine
        finally:
            server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(START_S)
            _end_groups()


def _mount(tree: Path, data: Path, project: Path) -> None:
    """Lay out the tree; these mounts are in a namespace of this run's."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for options, source, target in (
        ("--bind", tree, tree),
        ("--types=proc", "proc", tree / "proc"),
        ("--rbind", "/sys", tree / "sys"),
        ("--rbind", "/dev", tree / "dev"),
        ("--types=tmpfs", "run", tree / "run"),
        ("--bind", data, tree / "var/lib/docker"),
        ("--bind", project, tree / PROJECT.strip("/")),
    ):
        for folder in (target, Path(source)) if options == "--bind" else (target,):
            folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", options, str(source), str(target)], check=True)


def _wait_for(engine: Engine, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while engine.sh("docker version", check=False).code != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"No container engine can be started here:\n{engine.log.read_text()[-3000:]}")
        time.sleep(0.2)


def _end_groups() -> None:
    """Remove the control groups of containers that ended, which are not of any namespace."""
    for root in Path("/sys/fs/cgroup").glob(f"**{GROUP}"):
        for folder, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
