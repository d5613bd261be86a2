"""Finds each Python that relabel is for: one of this machine, else one of Debian's in a tree of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.harness.debian_tree import debian_tree

RELEASES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
"""Debian's releases by their Python; none has 3.12."""
PACKAGES = ("python3", "python3-venv", "python3-dev", "ca-certificates", "git", "make", "procps")
FOR_TESTS = ("faketime", "jq", "redis-tools")
"""What some tests need, and skip by name without it."""
SHARED = ("/proc", "/dev", "/sys", "/etc/ssl", "/etc/resolv.conf")
"""What a program in a tree finds as this machine has it: processes, its network, and whom that trusts."""


class Interpreter(NamedTuple):
    """A Python, and the tree that it is in; none where it is this machine's."""

    program: str
    tree: Path | None

    def command(self, line: str, *, folders: tuple[Path, ...]) -> list[str]:
        """Return how to carry out a line of shell where this Python is, with these folders where they are here."""
        if self.tree is None:
            return ["sh", "-c", line]
        mounts = "".join(_mount(self.tree, Path(each)) for each in (*SHARED, *folders))
        inside = f"{mounts} exec chroot {self.tree} sh -c {_quoted(line)}"
        namespaces = ["--mount", "--propagation", "private", "--fork", "--kill-child"]
        return ["unshare", *namespaces, "sh", "-euc", inside]


def find_interpreter(version: str, folder: Path) -> Interpreter | None:
    """Return a Python of this version, such as 3.13; None where neither this machine nor Debian has one.

    Raises:
        SystemExit: Debian has one, and it cannot be fetched.

    """
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for program in filter(None, (shutil.which(f"python{version}"), *map(str, installed))):
        if subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Interpreter(program, None)
    if version not in RELEASES:
        return None
    tree = debian_tree(folder / f"python-{version}", RELEASES[version], PACKAGES + FOR_TESTS)
    return Interpreter(f"/usr/bin/python{version}", tree)


def _mount(tree: Path, path: Path) -> str:
    inside = tree / path.relative_to("/")
    make = f"mkdir -p {inside}" if path.is_dir() else f"touch {inside}"
    return f"{make}; mount --rbind {path} {inside}; "


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"
