"""A machine with systemd: a tree of Debian's that is booted in namespaces of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.harness.rehearsal import Done

GROUP = (
    Path("/sys/fs/cgroup/unified" if Path("/sys/fs/cgroup/unified").is_dir() else "/sys/fs/cgroup") / "relabel-units"
)
"""The control group that is the machine's root; the namespaces do not end it."""
BOOT_S, LONGEST_S = 120.0, 600.0
DEVICES = "null zero full random urandom tty"
INIT = (
    "mount -t cgroup2 cgroup sys/fs/cgroup; pivot_root . mnt; umount -l /mnt; cd /; "
    "mount --make-rshared /; "  # credentials are mounted in another namespace, and have to arrive in this one
    "exec /lib/systemd/systemd"
)
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


class Machine:
    """The machine as root sees it who is logged in there."""

    def __init__(self, init: int) -> None:
        self.init = init

    def sh(self, command: str, *, stdin: bytes = b"", check: bool = True, folder: str = "/project") -> Done:
        """Carry out a command on the machine; AssertionError where it fails, unless `check` is off."""
        began = time.monotonic()
        inside = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--cgroup", "--root", "--wd=/"]
        ran = subprocess.run(
            [*inside, "sh", "-c", f"cd {folder} && {command}"],
            input=stdin,
            capture_output=True,
            timeout=LONGEST_S,
            env=ENVIRONMENT,
            check=False,
        )
        done = Done(ran.returncode, ran.stdout.decode(), ran.stderr.decode(), time.monotonic() - began)
        assert done.code == 0 or not check, f"{command}\nended with {done.code}:\n{done.out[-3000:]}{done.err[-3000:]}"
        return done

    def show(self, unit: str, what: str) -> str:
        """Return a property of a unit."""
        return self.sh(f"systemctl show --value --property {what} {unit}").out.strip()


@contextlib.contextmanager
def booted(tree: Path, *, project: Path, wheels: Path, log: Path) -> Iterator[Machine]:
    """Boot the tree for as long as the block runs; to be called in namespaces of its own.

    Raises:
        SystemExit: systemd does not come up; the end of what it wrote is shown.

    """
    GROUP.mkdir(exist_ok=True)
    binds = {project: "project", wheels: "wheels"}
    script = "; ".join(
        (
            "set -e",
            f"echo $$ > {GROUP}/cgroup.procs",
            f"mount --bind {tree} {tree}; cd {tree}",
            *(f"mkdir -p {name}; mount --bind {folder} {name}" for folder, name in binds.items()),
            "mount -t proc proc proc; mount -t sysfs -o ro sys sys",
            "mount -t tmpfs -o mode=755 run run; mount -t tmpfs tmp tmp",
            "mount -t tmpfs -o mode=755 dev dev; mkdir dev/pts dev/shm; mount -t tmpfs shm dev/shm",
            f"for each in {DEVICES}; do touch dev/$each; mount --bind /dev/$each dev/$each; done",
            "mount -t devpts -o newinstance,ptmxmode=0666 pts dev/pts",
            "ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd",
            f"exec unshare --cgroup sh -ec '{INIT}'",
        )
    )
    namespaces = ["--mount", "--propagation", "private", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    with log.open("wb") as file:
        command = ["unshare", *namespaces, "sh", "-c", script]
        environment = ENVIRONMENT | {"container": "relabel"}
        booting = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment)
        try:
            machine = Machine(_child_of(booting))
            _wait_for(machine, booting, log)
            yield machine
        finally:
            booting.send_signal(signal.SIGKILL)
            booting.wait(BOOT_S)
            _end_group()


def _child_of(process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + BOOT_S
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(found[0])


def _wait_for(machine: Machine, booting: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + BOOT_S
    while machine.sh("systemctl is-system-running", check=False, folder="/").out.strip() not in {"running", "degraded"}:
        if booting.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"systemd cannot be booted here:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.5)


def _end_group() -> None:
    deadline = time.monotonic() + 10
    while GROUP.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(GROUP, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.1)
