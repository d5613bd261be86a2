"""An opened folder whose files are reached by its descriptor, so that no link and no swapped folder leads elsewhere."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# O_NONBLOCK: opening a named pipe must not wait for its writer
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Folder:
    """A folder as long as it is open. Names are those of files directly in it; each call may raise OSError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @property
    def device(self) -> int:
        """The file system that the folder is on."""
        return os.fstat(self.descriptor).st_dev

    def stat(self, name: str) -> os.stat_result | None:
        """Return what stands under a name, a link as itself; None where nothing does."""
        with suppress(FileNotFoundError):
            return os.stat(self._checked(name), dir_fd=self.descriptor, follow_symlinks=False)
        return None

    def names(self) -> list[str]:
        """Return the names of all that is in the folder."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - no path: that is what the descriptor is for

    def open(self, name: str) -> int:
        """Open a regular file to read it and return its descriptor."""
        try:
            descriptor = os.open(self._checked(name), _READ, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
                raise self.error(name, _NO_FILE) from None
            raise
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise self.error(name, _NO_FILE)

    def create(self, name: str, mode: int = 0o600) -> int:
        """Create a file that is not there yet and return the descriptor to write it with."""
        return os.open(self._checked(name), _CREATE, mode, dir_fd=self.descriptor)

    @contextmanager
    def subfolder(self, name: str) -> Iterator[Folder]:
        """Open a folder in this one, which is made where it is missing; a link to one is refused."""
        with suppress(FileExistsError):
            os.mkdir(self._checked(name), dir_fd=self.descriptor)
        try:
            descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise self.error(name, "it is a link or a file; put a folder in its place") from None
            raise
        with _closing(self.path / name, descriptor) as folder:
            yield folder

    def replace(self, name: str, new_name: str) -> None:
        """Rename a file within the folder, over whatever has the new name."""
        os.rename(name, self._checked(new_name), src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._checked(name), dir_fd=self.descriptor)

    def move(self, name: str, target: Folder, new_name: str) -> bool:
        """Move a file within a file system and never over another; safe to repeat.

        Returns False, with nothing moved, where the file was replaced meanwhile.
        A hard link fails where the name is taken, as no rename of Python's does; where there are none, a look must do.
        """
        moved = self.stat(name)
        folders = {"src_dir_fd": self.descriptor, "dst_dir_fd": target.descriptor}
        try:
            os.link(self._checked(name), target._checked(new_name), **folders, follow_symlinks=False)
        except FileExistsError:
            if not _same(target.stat(new_name), moved):
                raise
        except OSError:
            if target.stat(new_name) is not None:
                raise FileExistsError(
                    errno.EEXIST, "there is a file of that name", str(target.path / new_name)
                ) from None
            os.rename(name, new_name, **folders)  # noqa: PTH104 - no path: that is what the descriptors are for
            return True
        if not _same(target.stat(new_name), moved):
            target.remove(new_name)
            return False
        if _same(self.stat(name), moved):
            self.remove(name)
        return True

    def error(self, name: str, what: str) -> OSError:
        """Return the error that says what is wrong with a name in this folder."""
        return OSError(errno.EINVAL, what, str(self.path / name))

    def _checked(self, name: str) -> str:
        """Refuse a path, which would lead elsewhere: names are read from the ledger, too."""
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise self.error(repr(name), "this is not the name of a file")
        return name


_NO_FILE = "it is a link or no regular file; remove it"


@contextmanager
def open_folder(path: Path) -> Iterator[Folder]:
    """Open a folder; raises OSError."""
    with _closing(path, os.open(path, _FOLDER)) as folder:
        yield folder


@contextmanager
def _closing(path: Path, descriptor: int) -> Iterator[Folder]:
    try:
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
