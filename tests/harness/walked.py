"""Runs a walk through the operations in namespaces without a way out, and checks that nothing of it is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness.machine_state import changed, machine_state

ROOT = Path(__file__).parents[2]
NAMESPACES = ("--net", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--uts", "--ipc")
OF_ONE_RUN = ("project", "data")
"""What a run makes below its folder, and what is never kept."""


def walk_in_namespaces(
    module: str, prepare: Callable[[Path], None], *, folder: Path | None, arguments: Sequence[str] = ()
) -> None:
    """Prepare a folder, run the module there, and exit with 0 where all held and nothing was left behind.

    Raises:
        SystemExit: always; with a sentence where this machine cannot do it.

    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("this needs root on Linux, for namespaces of its own.")
    before, began = machine_state(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="relabel-walk-") as temporary:
        kept = (folder or Path(temporary)).resolve()
        kept.mkdir(parents=True, exist_ok=True)
        prepare(kept)
        copy_project(kept / "project")
        print(f"fetched and unpacked in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
        walk = [sys.executable, "-W", "ignore", "-m", module, str(kept), *arguments]
        command = ["nice", "unshare", *NAMESPACES, "--fork", "--kill-child", *walk]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        for made in OF_ONE_RUN:
            shutil.rmtree(kept / made, ignore_errors=True)
    left = changed(before, machine_state())
    for each in left:
        print(f"LEFT BEHIND {each}")  # noqa: T201
    print(f"{'failed' if code or left else 'all held'} after {time.monotonic() - began:.0f} s")  # noqa: T201
    raise SystemExit(1 if code or left else 0)


def copy_project(folder: Path) -> None:
    """Copy what a checkout has, in place of what is there; neither an environment nor a person's secrets."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
