"""Where the server's socket lies: in its folder, or in a short private one where that path is too long."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from embedded.errors import ServerNotStarted

SOCKET_PATH_BYTES = 100
"""The longest socket path used. Linux takes 107 bytes, macOS 103. Source: `sun_path` in unix(7) and sys/un.h."""


def place_socket(folder: Path) -> Path:
    """Return the path of the server's socket; to be called by one process at a time.

    A short folder is made once among the temporary files, and a link in *folder* tells later users where it is.
    """
    if _fits(folder):
        return _socket_in(folder)
    link = folder / "socket-folder"
    with contextlib.suppress(OSError):
        if _is_private(link.readlink()):
            return _socket_in(link.readlink())
    short = Path(tempfile.mkdtemp(prefix="relabel-"))
    if not _fits(short):
        short.rmdir()
        raise ServerNotStarted(
            f"the paths of {folder} and of the folder for temporary files are too long for a socket",
            todo="choose a state folder with a shorter path",
        )
    link.unlink(missing_ok=True)
    link.symlink_to(short)
    return _socket_in(short)


def _socket_in(folder: Path) -> Path:
    return folder / "redis.sock"


def _fits(folder: Path) -> bool:
    return len(os.fsencode(_socket_in(folder))) <= SOCKET_PATH_BYTES


def _is_private(folder: Path) -> bool:
    # Whoever else may write to the folder could put another socket there.
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == stat.S_IRWXU and found.st_uid == os.geteuid()
