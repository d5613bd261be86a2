"""Writes what was measured into bench/RESULTS.md, and leaves what people wrote around it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")


def record(name: str, measure: Callable[[], None]) -> None:
    """Run a part, and put what it prints, with the day and the load, into its section of the file."""
    load, printed = os.getloadavg()[0], _Tee()
    with contextlib.redirect_stdout(printed):
        measure()
    when = f"Measured on {time.strftime('%Y-%m-%d')}; load before: {load:.1f}."
    write(name, f"{when}\n\n{printed.getvalue().strip()}\n")


def write(name: str, text: str) -> None:
    """Replace the section of this name; one that is not there yet is added at the end, under its name."""
    opened, closed = f"<!-- {name}: written by make bench -->\n", f"<!-- /{name} -->"
    whole = FILE.read_text(encoding="utf-8")
    if opened not in whole:
        whole = f"{whole.rstrip()}\n\n## {name}\n\n{opened}{closed}\n"
    pattern = f"{re.escape(opened)}.*?{re.escape(closed)}"
    FILE.write_text(re.sub(pattern, lambda _: f"{opened}{text}{closed}", whole, flags=re.DOTALL), encoding="utf-8")


class _Tee(io.StringIO):
    """Keeps what is printed, and shows it at once."""

    def write(self, text: str) -> int:
        sys.__stdout__.write(text)  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        return super().write(text)
