"""The console for people, beside what programs read from standard output."""

from __future__ import annotations

import sys

from rich.console import Console


def stderr_console() -> Console:
    """Give a console on standard error; it breaks lines on a terminal only: in a log, a sentence stays one line."""
    return Console(stderr=True, soft_wrap=not sys.stderr.isatty())
