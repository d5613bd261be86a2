"""Figures that the docs quote, read from bench/RESULTS.md, so that nobody has to write them twice.

A quote stands in the text as `<!-- figure: NAME -->0.32<!-- /figure -->`; `python -m docs.generate` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "RESULTS.md"
QUOTING = (ROOT / "README.md", ROOT / "docs" / "comparison.md")
REPLACE, MERGE = "relabel, replace, no undo, 64 in flight", "relabel, merge with journal, 64 in flight"
SDK, CELERY = "official SDK, asyncio, 64 in flight", "a Celery task a row, httpx"
CPU = "CPU µs a row"

_QUOTE = re.compile(r"<!-- figure: (\w+) -->.*?<!-- /figure -->")


class Results:
    """The tables of bench/RESULTS.md."""

    def __init__(self, text: str) -> None:
        self._text = text

    def number(self, part: str, row: str, column: str) -> float:
        """Return the first number in a cell.

        Raises:
            LookupError: there is no such cell.

        """
        lines = [_cells(line) for line in self._section(part).splitlines() if line.startswith("|")]
        for place, head in enumerate(lines):
            if column in head:
                found = next((cells for cells in lines[place:] if cells[0] == row), None)
                if found and (number := re.search(r"\d[\d,]*(?:\.\d+)?", found[head.index(column)])):
                    return float(number[0].replace(",", ""))
        raise LookupError(f"{RESULTS.name} has no number for {row!r}, {column!r} in {part}")

    def _section(self, part: str) -> str:
        _, _, rest = self._text.partition(f"<!-- {part}: written by make bench -->")
        return rest.partition(f"<!-- /{part} -->")[0]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _millis(row: str, digits: int) -> Callable[[Results], str]:
    return lambda results: f"{results.number('cost', row, CPU) / 1000:.{digits}f}"


def _times_the_sdk(results: Results) -> str:
    return f"{results.number('cost', SDK, CPU) / results.number('cost', REPLACE, CPU):.0f}"


FIGURES: dict[str, Callable[[Results], str]] = {
    "replace_ms": _millis(REPLACE, 2),
    "merge_ms": _millis(MERGE, 2),
    "sdk_ms": _millis(SDK, 1),
    "celery_ms": _millis(CELERY, 1),
    "sdk_times": _times_the_sdk,
}
"""What the docs may quote, by name."""


def quoted(page: str, results: Results) -> str:
    """Return the text of a page with each of its quotes written anew."""
    return _QUOTE.sub(lambda quote: f"<!-- figure: {quote[1]} -->{FIGURES[quote[1]](results)}<!-- /figure -->", page)
