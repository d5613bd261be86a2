"""Patches as varied as real ones, made of each completion's id so that a server without a memory can answer them.

A patch sets a quality (5 words), a team (12 names) and a ticket (its own for each row); a completion held another team,
a customer (its own for each row) and a source (4 words) before.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path

CHARS = string.ascii_letters + string.digits
QUALITIES = ("good", "bad", "unclear", "needs-review", "excellent")
TEAMS = (
    "search", "support", "billing", "growth", "onboarding", "trust-and-safety",
    "platform", "mobile", "docs", "sales-eu", "sales-us", "research",
)  # fmt: skip
SOURCES = ("import-2025-11", "playground", "api", "agent-eval")
COLUMNS = ("completion_id", "quality", "team", "ticket")


def word_for(char: str, words: tuple[str, ...]) -> str:
    """Return the word that a character of an id stands for."""
    return words[CHARS.index(char) % len(words)]


def patch_of(completion_id: str) -> dict[str, str]:
    """Return what is to be set: the 1st, 2nd and 3rd to 8th characters after `chatcmpl-` choose it."""
    first, second = completion_id[9], completion_id[10]
    return {
        "quality": word_for(first, QUALITIES),
        "team": word_for(second, TEAMS),
        "ticket": f"OPS-{completion_id[11:17]}",
    }


def ids(rows: int) -> Iterator[str]:
    """Yield as many ids, always the same."""
    chance = random.Random(7)
    for _ in range(rows):
        yield "chatcmpl-" + "".join(chance.choices(CHARS, k=29))


def write_csv(path: Path, rows: int) -> Path:
    """Write a file of as many patches and give its path."""
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for completion_id in ids(rows):
            file.write(",".join([completion_id, *patch_of(completion_id).values()]) + "\n")
    return path
