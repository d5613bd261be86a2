"""Finds the files of an input: names, folders and patterns become one list in name order."""

from __future__ import annotations

import glob
import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from producer.errors import UnreadableFile
from producer.identify import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_FILES = 1000
"""Files of one job: each job keeps the names of its own."""
STDIN = "-"
"""The name that stands for standard input."""

_BESIDE = (".", "_")  # hidden files, and what Spark writes beside its parts: _SUCCESS, .part-0.crc


class FoundFile(NamedTuple):
    """A file of an input: its path, and its name in messages and reports where it is one of several.

    `opened` is the file itself where the caller opened it, such as an upload; its path then only says what it is
    called, and `-` that nobody named it.
    """

    path: str
    name: str
    opened: BinaryIO | None = None


def find_files(arguments: Sequence[str], *, any_name: bool = False) -> list[FoundFile]:
    """Return the files that arguments name, in name order, each once.

    A folder stands for the files in it, and a pattern such as `x*.csv` for what it matches. `any_name` takes files of a
    folder whatever they are called, as the user says of which format they are.

    Raises:
        UnreadableFile: an argument names no file, or there are too many.

    """
    if list(arguments) == [STDIN]:
        return [FoundFile(STDIN, "")]
    if STDIN in arguments:
        raise UnreadableFile("- is standard input, which cannot be read together with files; leave one of them out")
    paths = list(islice(_paths(arguments, any_name=any_name), MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        raise UnreadableFile(f"these are more than {MAX_FILES:,} files; join some, or submit them as several jobs")
    paths = sorted(_each_once(paths))
    if len(paths) == 1:
        return [FoundFile(paths[0], "")]
    names = [path if path.startswith("/dev/") else Path(path).name for path in paths]
    return list(map(FoundFile, paths, names if len(set(names)) == len(names) else paths))


def _paths(arguments: Iterable[str], *, any_name: bool) -> Iterator[str]:
    for argument in arguments:
        if not argument:
            raise UnreadableFile("the name of a file is empty; was a variable of the shell not set?")
        for path in _matches(argument):
            if os.path.isdir(path):  # noqa: PTH112 - a Path loses the slash that somebody typed
                yield from _files_in(path, any_name=any_name)
            else:
                yield path


def _matches(argument: str) -> Iterable[str]:
    """Return what a pattern matches; an argument that is there, or is no pattern, stands for itself."""
    if "\0" in argument or not glob.has_magic(argument) or os.path.lexists(argument):
        return [argument]
    found = glob.iglob(argument, recursive=True)  # noqa: PTH207 - a Path takes no absolute pattern
    first = next(found, None)
    if first is None:
        raise UnreadableFile(f"{argument}: no file matches this pattern; check it")
    return [first, *islice(found, MAX_FILES)]


def _files_in(folder: str, *, any_name: bool) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            shown = (entry.name for entry in entries if not entry.name.startswith(_BESIDE))
            inside = sorted(islice(shown, MAX_FILES + 1))
    except OSError as error:
        raise UnreadableFile(f"{folder}: the folder cannot be listed ({error.strerror}); check its mode") from error
    if not inside:
        raise UnreadableFile(f"{folder}: there is no file in this folder; check the path")
    for name in inside:
        path = os.path.join(folder, name)  # noqa: PTH118 - as above
        if os.path.isdir(path):  # noqa: PTH112 - as above
            raise UnreadableFile(
                f"{path}: this is a folder in a folder; name the folders, or a pattern such as '**/*.csv'"
            )
        if not any_name and named(path).layout is None:
            raise UnreadableFile(
                f"{path}: the name of this file does not show the format; set --input-format if all files of the "
                "folder have the same, or name a pattern such as '*.csv'"
            )
        yield path


def _each_once(paths: Iterable[str]) -> Iterator[str]:
    """Return each file at its first path: rows of one that is named twice would be folded into themselves."""
    seen = set[tuple[int, int]]()
    for path in paths:
        try:
            found = Path(path).stat()
        except (OSError, ValueError):
            yield path  # opening it says what is wrong
            continue
        key = (found.st_dev, found.st_ino)
        if key not in seen or not stat.S_ISREG(found.st_mode):
            yield path
        seen.add(key)


def input_name(arguments: Sequence[str]) -> str:
    """Return what a job of these arguments is called: the file, the folder or the pattern, or the first of several."""
    first = "stdin" if arguments[0] in {STDIN, "/dev/stdin"} else Path(arguments[0]).name or arguments[0]
    return first if len(arguments) == 1 else f"{first} and {len(arguments) - 1:,} more"
