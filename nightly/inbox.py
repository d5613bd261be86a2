"""The inbox: which files in it are complete, and the folders that they are moved to afterwards."""

from __future__ import annotations

import heapq
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from producer.source import not_opened
from report.folder import Folder, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DONE, REJECTED = "done", "rejected"
"""The folders within the inbox that files are moved to."""
REPORT, REASON, NOTE = ".report", ".reason.txt", ".note.txt"
"""Endings of what is written beside a file that was moved, after its whole name; a report's format follows."""
BESIDE = (f"{REPORT}.csv", f"{REPORT}.jsonl", REASON, NOTE)
ID_FILE = ".relabel-inbox"
"""A hidden file with the id of the inbox, as two hosts may have different folders of one name."""
ID_CHARS = 16
MOST_FILES = 10_000
"""Most files of one listing; the rest waits for the next."""
_TAKEN = re.compile(r".+\.(csv|tsv|jsonl|ndjson)(\.gz|\.zst)?", re.IGNORECASE | re.DOTALL).fullmatch
_HALF_WRITTEN = ".tmp"
MOST_NAME_BYTES = 200
"""Longest name: of the 255 bytes that file systems allow, a date in front and an ending behind need some."""


class InboxFile(NamedTuple):
    """A file in the inbox as it was listed; `skip_reason` is why it is not taken, '' where it is.

    `inode` is 0 where it is not known, as of a file that release one listed.
    """

    name: str
    size: int
    changed_ns: int
    skip_reason: str = ""
    inode: int = 0

    def is_same(self, found: os.stat_result) -> bool:
        """Return whether a file is the one that was listed, and was not written to since."""
        listed = (self.size, self.changed_ns, self.inode or found.st_ino)
        return stat.S_ISREG(found.st_mode) and listed == (found.st_size, found.st_mtime_ns, found.st_ino)


class Inbox:
    """One inbox. Every call may raise OSError, as folders come and go.

    Whoever may write to it is not trusted: no link is followed, nothing but regular files is read, and every name is
    looked up in the opened folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder

    def inbox_id(self) -> str:
        """Return the id of this inbox, hex digits; the first call creates it."""
        with open_folder(self._path) as folder:
            if folder.stat(ID_FILE) is None:
                _create_id(folder)
            return _read_id(folder)

    def list_files(self, *, quiet_s: float, now: float) -> list[InboxFile]:
        """Return the files by name, at most `MOST_FILES`. Hidden ones, `*.tmp` and folders are not among them.

        `now` is in seconds since the epoch; a file that changed within the last `quiet_s` may still grow.
        """
        with open_folder(self._path) as folder:
            taken_first = heapq.nsmallest(
                MOST_FILES, _files(folder, quiet_s, now), lambda file: (file.skip_reason > "", file)
            )
        return sorted(taken_first)

    @contextmanager
    def opened(self, file: InboxFile) -> Iterator[BinaryIO | None]:
        """Open the very file that was listed; yields None where its name is gone or stands for another file.

        Raises:
            UnreadableFile: it is there and cannot be opened.

        """
        with open_folder(self._path) as folder:
            descriptor = _open_listed(folder, file)
        if descriptor is None:
            yield None
            return
        with os.fdopen(descriptor, "rb") as stream:
            yield stream

    def is_unchanged(self, file: InboxFile) -> bool:
        """Return whether a file is what it was when it was listed."""
        with open_folder(self._path) as folder:
            found = folder.stat(file.name)
        return found is not None and file.is_same(found)

    def free_place(self, folder: str, name: str, date: str) -> str:
        """Return a place in `done` or `rejected` for the file where nothing is overwritten."""
        with open_folder(self._path) as inbox, inbox.subfolder(folder) as target:
            for free in _names(name, date):
                if all(target.stat(f"{free}{ending}") is None for ending in ("", *BESIDE)):
                    return f"{folder}/{free}"
        raise AssertionError("there is always another name")

    @contextmanager
    def place(self, place: str) -> Iterator[tuple[Folder, str]]:
        """Open the folder of a place, `done` or `rejected`; yields it with the file's name there."""
        where, _, name = place.partition("/")
        with open_folder(self._path) as folder:
            if where not in {DONE, REJECTED}:
                raise folder.error(repr(place), "this is not a place for a file of the inbox")
            with folder.subfolder(where) as target:
                yield target, name

    def file_away(self, file: InboxFile, place: str) -> bool:
        """Move a file to its place, if it is still the one that was listed; safe to repeat.

        False where it was changed or removed meanwhile; what is there now stays.
        """
        with open_folder(self._path) as folder, self.place(place) as (target, name):
            found = folder.stat(file.name)
            if found is None or not file.is_same(found):
                return found is None and target.stat(name) is not None
            return folder.move(file.name, target, name)


def _create_id(folder: Folder) -> None:
    made = f"{ID_FILE}-{secrets.token_hex(4)}.tmp"
    with os.fdopen(folder.create(made, 0o644), "w") as file:
        file.write(secrets.token_hex(ID_CHARS // 2))
    try:
        folder.move(made, folder, ID_FILE)
    except FileExistsError:  # another worker was faster
        folder.remove(made)


def _read_id(folder: Folder) -> str:
    with os.fdopen(folder.open(ID_FILE), "rb") as file:
        inbox_id = file.read(ID_CHARS * 4).strip()
    if not re.fullmatch(rb"[0-9a-f]{%d}" % ID_CHARS, inbox_id):
        raise folder.error(ID_FILE, f"it does not hold the {ID_CHARS} hex digits that relabel wrote; remove it")
    return inbox_id.decode()


def _open_listed(folder: Folder, file: InboxFile) -> int | None:
    try:
        descriptor = folder.open(file.name)
    except OSError as error:
        found = folder.stat(file.name)
        if found is None or not file.is_same(found):
            return None
        raise not_opened(file.name, error) from error
    found = os.fstat(descriptor)
    if file.is_same(found) and not _unsafe_reason(found, folder.device):
        return descriptor
    os.close(descriptor)
    return None


def _files(folder: Folder, quiet_s: float, now: float) -> Iterator[InboxFile]:
    device = folder.device
    with os.scandir(folder.descriptor) as entries:
        for entry in entries:
            hidden = entry.name.startswith(".") or entry.name.lower().endswith(_HALF_WRITTEN)
            if hidden or entry.is_dir(follow_symlinks=False):
                continue
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                name = os.fsencode(entry.name).decode(errors="backslashreplace")
                reason = _skip_reason(entry, name, now - found.st_mtime, quiet_s) or _unsafe_reason(found, device)
                yield InboxFile(name, found.st_size, found.st_mtime_ns, reason, found.st_ino)


def _unsafe_reason(found: os.stat_result, device: int) -> str:
    if found.st_nlink != 1:
        return "it has a second name (a hard link), perhaps elsewhere; put a copy here"
    return "" if found.st_dev == device else "it is on another file system than the inbox; put a copy here"


def _skip_reason(entry: os.DirEntry[str], name: str, age_s: float, quiet_s: float) -> str:
    if name != entry.name:
        return "its name is not UTF-8; rename it"
    if len(name.encode()) > MOST_NAME_BYTES:
        return f"its name is longer than {MOST_NAME_BYTES} bytes, which leaves no room for that of a report; shorten it"
    if not _TAKEN(name):
        return "it is neither .csv, .tsv nor .jsonl, nor .gz or .zst of one; rename it, or take it away"
    if not entry.is_file(follow_symlinks=False):
        return "it is not a regular file; put the file itself here"
    if age_s < quiet_s:
        return f"it was changed less than {quiet_s:g} s before, so it may be half written; it is taken the next time"
    return ""


def _names(name: str, date: str) -> Iterator[str]:
    yield name
    yield f"{date}.{name}"
    number = 2
    while True:
        yield f"{date}.{number}.{name}"
        number += 1
