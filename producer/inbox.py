"""A folder that files are dropped into: which of them are whole, and where they go when they are done with."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE, REJECTED = "done", "rejected"
"""The folders within the inbox that files are moved to."""
REPORT, REASON, NOTE = ".report", ".reason.txt", ".note.txt"
"""What is written beside a file that was moved, behind its whole name; a report's ending follows."""
BESIDE = (f"{REPORT}.csv", f"{REPORT}.jsonl", REASON, NOTE)
MARK = ".relabel-inbox"
"""A hidden file that tells one inbox from another, as two hosts may have different folders of one name."""
_TAKEN = re.compile(r".+\.(csv|jsonl|ndjson)(\.gz|\.zst)?", re.IGNORECASE | re.DOTALL).fullmatch
_HALF_WRITTEN = ".tmp"
MOST_NAME_BYTES = 200
"""Of the 255 bytes that file systems allow, what leaves room for a date in front and an ending behind."""


class Dropped(NamedTuple):
    """A file in the inbox; `left` says why it is not taken, '' where it is."""

    name: str
    size: int
    changed_ns: int
    left: str = ""


class Inbox:
    """One inbox. Every call may raise OSError, as folders come and go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mark(self) -> str:
        """Give the word that tells this inbox from others; the first call makes it."""
        path = self._folder / MARK
        if not path.exists():
            made = self._folder / f"{MARK}-{secrets.token_hex(4)}.tmp"
            made.write_text(secrets.token_hex(8))
            try:
                _move(made, path)
            except FileExistsError:  # another worker was faster
                made.unlink()
        return path.read_text().strip()

    def look(self, *, quiet_s: float, now: float) -> list[Dropped]:
        """Give the files by name. Hidden ones, `*.tmp` and folders are passed over in silence.

        `now` is in seconds since the epoch; a file that changed within the last `quiet_s` may still grow.
        """
        return sorted(self._dropped(quiet_s, now))

    def path(self, name: str) -> Path:
        """Give where a file lies before it is filed away."""
        return self._folder / name

    def is_unchanged(self, file: Dropped) -> bool:
        """Tell whether a file is what it was when it was looked at."""
        try:
            found = self.path(file.name).stat()
        except FileNotFoundError:
            return False
        return (found.st_size, found.st_mtime_ns) == (file.size, file.changed_ns)

    def mode(self, name: str) -> int:
        """Give who may read and write a file, 0o600 where it is gone."""
        try:
            return self.path(name).stat().st_mode & 0o666
        except FileNotFoundError:
            return 0o600

    def free_place(self, folder: str, name: str, date: str) -> str:
        """Choose where in `done` or `rejected` the file may go, so that nothing there is overwritten."""
        target = self._folder / folder
        target.mkdir(exist_ok=True)
        for free in _names(name, date):
            if not any((target / f"{free}{ending}").exists() for ending in ("", *BESIDE)):
                return f"{folder}/{free}"
        raise AssertionError("there is always another name")

    def place(self, place: str, ending: str = "") -> Path:
        """Give the path of a place, or of what lies beside it."""
        return self._folder / f"{place}{ending}"

    def file_away(self, file: Dropped, place: str) -> bool:
        """Move a file to its place, if it is still the one that was looked at; safe to repeat.

        False where it was changed or removed meanwhile; what is there now stays.
        """
        source, target = self.path(file.name), self.place(place)
        if not self.is_unchanged(file):
            return target.exists() and not source.exists()
        _move(source, target)
        return True

    def _dropped(self, quiet_s: float, now: float) -> Iterator[Dropped]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower().endswith(_HALF_WRITTEN) or entry.is_dir():
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                name = os.fsencode(entry.name).decode(errors="backslashreplace")
                left = _why_left(entry, name, now - found.st_mtime, quiet_s)
                yield Dropped(name, found.st_size, found.st_mtime_ns, left)


def _why_left(entry: os.DirEntry[str], name: str, age_s: float, quiet_s: float) -> str:
    if name != entry.name:
        return "its name is not UTF-8; rename it"
    if len(name.encode()) > MOST_NAME_BYTES:
        return f"its name is longer than {MOST_NAME_BYTES} bytes, which leaves no room for that of a report; shorten it"
    if not _TAKEN(name):
        return "it is neither .csv nor .jsonl, nor .gz or .zst of one; rename it, or take it away"
    if not entry.is_file(follow_symlinks=False):
        return "it is no plain file; put the file itself here"
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


def _move(source: Path, target: Path) -> None:
    """Move a file within a file system and never over another; safe to repeat.

    A hard link fails where the name is taken, as no rename of Python's does; where there are none, a look must do.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        if not source.samefile(target):
            raise
    except OSError:
        if target.exists():
            raise FileExistsError(17, "there is a file of that name", str(target)) from None
        source.rename(target)
        return
    source.unlink()
