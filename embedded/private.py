"""The state folder and the logs in it: its owner's alone, whatever the umask and whoever else is on the machine."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from embedded.errors import NotPrivate

_OTHERS_READ = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter, and those above it; check one that is there.

    One that release one left readable (with the server's folder in it) is closed.

    Raises:
        NotPrivate: it is another user's, or open to others.
        OSError: it cannot be made.

    """
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        path.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if found.st_uid != os.geteuid():
        raise NotPrivate(folder, "belongs to another user")
    if mode & _OTHERS and not mode & ~(stat.S_IRWXU | _OTHERS_READ) and (folder / "redis").is_dir():
        folder.chmod(0o700)
    elif mode & _OTHERS:
        todo = "run `chmod 700` on it if it is for relabel alone, else choose another with RELABEL_STATE_DIR"
        raise NotPrivate(folder, f"is open to other users (mode {mode:04o})", todo=todo)


def open_private(path: Path) -> BinaryIO:
    """Open a log to write at its end; its owner alone may read it.

    Raises:
        NotPrivate: it is a link, no file, or another user's.
        OSError: it cannot be opened.

    """
    # without O_NONBLOCK a pipe put in its place would be waited for
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if path.is_symlink():
        raise NotPrivate(path, "is a link", todo="remove it")
    log = os.fdopen(os.open(path, flags, 0o600), "ab")
    found = os.fstat(log.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.geteuid():
        log.close()
        raise NotPrivate(path, "is no file of your own", todo="remove it")
    os.fchmod(log.fileno(), 0o600)
    os.set_blocking(log.fileno(), True)
    return log
