"""Trees of Debian's files, as another machine has them, for `make containers`, `make pythons` and `make units`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

FROZEN = '--aptopt=Acquire::Check-Valid-Until "false"'
"""A mirror that stands still signs nothing anew; what it signed is still checked."""


def debian_tree(folder: Path, suite: str, packages: Iterable[str]) -> Path:
    """Make a tree of a release with these packages, unless the folder holds one from before; return the folder.

    Raises:
        SystemExit: mmdebstrap is missing or fails; its last lines are shown.

    """
    if folder.exists():
        return folder
    if shutil.which("mmdebstrap") is None:
        raise SystemExit("mmdebstrap is not installed; install Debian's package of that name.")
    half = folder.with_name(f"{folder.name}.half")
    options = ["--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}", FROZEN]
    command = ["nice", "mmdebstrap", *options, suite, str(half)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(half, ignore_errors=True)
        raise SystemExit(f"mmdebstrap {suite} failed:\n{made.stderr[-2000:]}")
    half.rename(folder)
    return folder
