"""Where a report or a receipt goes: standard output, or a file that is there whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cli.errors import CliError
from cli.exit_codes import DONE
from config.text import printable
from report.whole_file import Write, whole_file, write_all


@contextmanager
def report_file(path: Path | None) -> Iterator[Write]:
    """Open a file for a report, standard output where there is no path; gives the function that writes.

    Raises:
        CliError: it cannot be written.

    """
    if path is None:
        yield _to_standard_output()
    elif _is_special(path):  # a device or a pipe: nothing to replace
        with _explained(path):
            fd = os.open(path, os.O_WRONLY)
        try:
            yield _writer(fd, path)
        finally:
            os.close(fd)
    else:
        with _replaced(Path(os.path.realpath(path))) as write:
            yield write


def _to_standard_output() -> Write:
    sys.stdout.flush()
    fd = sys.stdout.fileno()
    write = _writer(fd, None)
    if not os.isatty(fd):
        return write
    # what stands in a row must not reach the terminal as an escape sequence
    return lambda data: write(b"".join(map(_shown, re.findall(r"[^\n]*\n|[^\n]+", data.decode()))))


def _shown(line: str) -> bytes:
    ended = line.endswith("\n")
    return (printable(line.rstrip("\r\n")) + "\n" * ended).encode()


@contextmanager
def _replaced(path: Path) -> Iterator[Write]:
    with _explained(path), whole_file(path) as write:
        yield write


def _writer(fd: int, path: Path | None) -> Write:
    def write(content: bytes) -> None:
        with _explained(path):
            write_all(fd, content)

    return write


@contextmanager
def _explained(path: Path | None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # the reader has seen enough, which is no error; click by itself would call it one
        raise click.exceptions.Exit(DONE) from None
    except OSError as error:
        where, left = (path, "nothing is left of it") if path else ("standard output", "what is there is not whole")
        raise CliError(
            f"{where} cannot be written ({error.strerror}); {left}. Choose another place, or make room."
        ) from error


def _is_special(path: Path) -> bool:
    """Check for a device or a pipe. A link that the kernel does not follow, as in /tmp, is an error here, too."""
    with _explained(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
