"""What a run must leave on this machine as it was: interfaces, filters, forwarding, mounts, groups, servers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "vm/overcommit_memory")
FILTERS = (("iptables-save",), ("ip6tables-save",), ("nft", "list", "ruleset"))
SERVERS = {"dockerd", "containerd", "containerd-shim", "systemd-nspawn", "mmdebstrap"}


def machine_state() -> dict[str, list[str]]:
    """Return what there is, by kind."""
    return {
        "interfaces": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "filters": [line for command in FILTERS for line in _said_by(command) if not line.startswith("#")],
        "tables": [f"{path}: {path.read_text()}" for path in Path("/proc/net").glob("ip*_tables_names")],
        "forwarding": [(Path("/proc/sys") / name).read_text().strip() for name in FORWARDING],
        "mounts": sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        "control groups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/*relabel*") if path.is_dir()),
        "servers": sorted(name for name in map(_name_of, Path("/proc").glob("[0-9]*")) if name in SERVERS),
    }


def changed(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """Return a line for each kind that is not as it was."""
    return [f"{kind}: {before[kind]} -> {after[kind]}" for kind in before if before[kind] != after[kind]]


def _said_by(command: tuple[str, ...]) -> list[str]:
    if shutil.which(command[0]) is None:
        return []
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""
