"""Makes up completions by the million, the same ones for the same seed, to list, select and change."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from sandbox.completion import DEFAULT_MODEL, Completion, new_id

DAYS = 30
"""Days over which creation is spread: as long as completions are kept."""
MOST_COMPLETIONS = 5_000_000
"""More would not fit into the memory of a small machine: a million takes about 400 MB."""
TOGETHER = 3
"""Completions that are created in one second: more than half of a page's neighbours are (contract section 0)."""
_KINDS = 4096
"""Different maps of metadata, which completions share: a million would not fit into memory otherwise."""
_MODELS = (DEFAULT_MODEL, DEFAULT_MODEL, "gpt-4o-2024-08-06", "gpt-4.1-2025-04-14")
_TEAMS = ("search", "support", "billing", "growth")


def generate(count: int, *, seed: int, now: int, days: float = DAYS) -> Iterator[Completion]:
    """Yield so many completions, the oldest first and the newest made `now`, `TOGETHER` in a second."""
    draw = random.Random(seed)
    kinds = [_metadata(draw, number) for number in range(min(count, _KINDS))]
    seconds = max(1, -(-count // TOGETHER))
    for number in range(count):
        created = now - round((seconds - 1 - number // TOGETHER) * days * 86_400 / seconds)
        letters = hashlib.blake2b(b"%d-%d" % (seed, number), digest_size=12).hexdigest()
        kind = number * 2_654_435_761 % len(kinds)
        yield Completion(new_id(created, letters), created, kinds[kind], _MODELS[number % len(_MODELS)])


def _metadata(draw: random.Random, number: int) -> dict[str, str]:
    metadata = {
        "team": draw.choice(_TEAMS),
        "score": f"{draw.random():.2f}",
        "session": f"s-{number // 8:04d}",
    }
    if draw.random() < 0.15:
        metadata["dataset"] = draw.choice(("train", "test", "eval-2026"))
    if draw.random() < 0.05:
        metadata["score"] = draw.choice(("n/a", ""))
    return metadata
