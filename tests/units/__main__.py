"""The systemd units for real: `make units`.

A tree of Debian's is booted in namespaces of its own, and what docs/operations.md says of systemd is done there. It
needs root, Linux, mmdebstrap, and some 2 GB below the temporary folder, or in `--folder`, which keeps what was fetched.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.containers.stand_ins import fetch_wheels
from tests.harness.debian_tree import debian_tree
from tests.harness.walked import walk_in_namespaces

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "procps", "util-linux"),
    *("python3", "python3-venv", "python3-pip", "redis-server", "ca-certificates"),
)
PIP = "[global]\nfind-links = /wheels\nno-index = true\ndisable-pip-version-check = true\n"


def main() -> None:
    """Prepare, walk, and compare this machine with what it was; the exit code is 0 where all held."""
    parser = argparse.ArgumentParser(description="Walk through docs/operations.md on a machine with systemd.")
    parser.add_argument("--folder", type=Path, help="keep what is fetched here, for the next time")
    walk_in_namespaces("tests.units.walk", prepare, folder=parser.parse_args().folder)


def prepare(folder: Path) -> None:
    """Fetch and unpack all that a run needs, as the namespaces have no way out."""
    tree = debian_tree(folder / "machine", "bookworm", PACKAGES)
    (tree / "etc/pip.conf").write_text(PIP)
    fetch_wheels(folder / "wheels")


if __name__ == "__main__":
    main()
