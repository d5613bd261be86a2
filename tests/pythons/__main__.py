"""The quick tests on every Python that relabel is for, and with the oldest and the newest libraries: `make pythons`.

Pythons that this machine lacks are Debian's, in trees below the temporary folder (mmdebstrap, root), or in `--folder`,
which keeps them for the next time. The figures are printed; the exit code is 0 where every run passed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.harness.walked import copy_project
from tests.pythons.interpreter import Interpreter, find_interpreter

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
RUNS = (
    ("3.11", "oldest"),
    ("3.11", "pinned"),
    ("3.12", "pinned"),
    ("3.13", "pinned"),
    ("3.14", "pinned"),
    ("3.14", "newest"),
)
"""Python, and which versions of what relabel needs: the lowest that pyproject.toml allows, those of constraints.txt, or
the highest that there are."""
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
PROCESSES = 2
MOST_FAILURES = 50
"""Failures at which a run ends: where a library lacks something, tracebacks would take longer than all tests."""
DOTS = re.compile(r"[.sxXFE]+ +\[ *\d+%\]|bringing up nodes\.\.\.|")
"""Lines of pytest's that say what later ones say better."""


class Result(NamedTuple):
    """A run that ended: what pytest said last, its exit code, and how long it took (seconds)."""

    said: str
    code: int
    seconds: float


def main() -> None:
    """Run what was asked for, one after the other."""
    parser = argparse.ArgumentParser(description="Run the quick tests on several Pythons.")
    parser.add_argument("--folder", type=Path, help="keep Pythons that are fetched here, for the next time")
    parser.add_argument("--only", default="", help="some runs, such as 3.13-pinned,3.14-newest")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else [f"{version}-{which}" for version, which in RUNS]
    failed = []
    with tempfile.TemporaryDirectory(prefix="relabel-pythons-") as temporary:
        kept = (options.folder or Path(temporary)).resolve()
        for version, which in RUNS:
            name = f"{version}-{which}"
            if name in wanted:
                result = run(version, which, kept=kept, folder=Path(temporary) / name)
                print(f"{name}: {result.said} ({result.seconds:.0f} s)", flush=True)  # noqa: T201
                failed += [name] if result.code else []
    raise SystemExit(f"failed: {', '.join(failed)}" if failed else 0)


def run(version: str, which: str, *, kept: Path, folder: Path) -> Result:
    """Install relabel for a Python and run the quick tests with it."""
    began = time.monotonic()
    interpreter = find_interpreter(version, kept)
    if interpreter is None:
        return Result("no such Python here, and Debian has none", 1, time.monotonic() - began)
    copy_project(folder)
    (folder / "wanted.txt").write_text(wanted_versions(version, which))
    install = (
        f"{UV} venv --quiet --python {interpreter.program} .venv && "
        f"{UV} pip install --quiet --constraint wanted.txt --editable '.[dev]' && .venv/bin/python --version"
    )
    installed = carry_out(interpreter, folder, kept, install)
    if installed.returncode != 0:
        return Result(f"cannot be installed:\n{installed.stderr[-3000:]}", 1, time.monotonic() - began)
    began = time.monotonic()
    tests = f".venv/bin/python -m pytest -n {PROCESSES} --dist worksteal --quick -q -p no:cacheprovider"
    tests += f" --maxfail {MOST_FAILURES}"
    tested = carry_out(interpreter, folder, kept, tests)
    lines = tested.stdout.strip().splitlines() or [tested.stderr[-3000:]]
    said = "\n".join(line for line in lines if not DOTS.fullmatch(line)) if tested.returncode else lines[-1]
    return Result(f"{installed.stdout.strip()}, {said}", tested.returncode, time.monotonic() - began)


def carry_out(interpreter: Interpreter, folder: Path, kept: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Carry out a line of shell in the folder, where the Python is."""
    command = interpreter.command(f"cd {folder} && {line}", folders=(folder, kept, UV.parent))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL", "PYTHON"))}
    own = {"UV_LINK_MODE": "copy", "UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": str(kept / "uv")}
    return subprocess.run(["nice", *command], env=environment | own, capture_output=True, text=True, check=False)


def wanted_versions(version: str, which: str) -> str:
    """Return the constraints of a run; what only the tests need is that of constraints.txt in each."""
    pinned = (ROOT / "constraints.txt").read_text()
    if which == "pinned":
        return pinned
    needed = {normal(line) for line in (ROOT / "deploy/requirements.txt").read_text().splitlines()}
    tools = "\n".join(line for line in pinned.splitlines() if normal(line) not in needed)
    command = [str(UV), "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python-version", version]
    options = ["--extra", "dev", "--resolution", RESOLUTIONS[which], "--constraint", "-", "pyproject.toml"]
    return subprocess.run(
        [*command, *options], cwd=ROOT, input=tools, capture_output=True, text=True, check=True
    ).stdout


def normal(pin: str) -> str:
    """Return the name that a pin is for, spelt in the one way that all indexes know."""
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0].strip().lower())


if __name__ == "__main__":
    main()
