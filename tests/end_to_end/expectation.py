"""What a file asks for, read and worked out anew: no line of `producer/` or `worker/` has a part in it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import string
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Metadata = dict[str, str]
Patch = dict[str, str | None]
Rows = list[tuple[str, Patch]]

_LETTERS = string.digits + string.ascii_letters
_WORDS = ("blue", "a, b", 'say "hi"', "two\nlines", "été", "=1+1", " spaced ", "日本語", "0012")


class Expected(NamedTuple):
    """How the server is to stand in the end, and how each row is to have ended."""

    held: dict[str, Metadata]
    outcomes: dict[str, str]
    folded: int

    def count(self, outcome: str) -> int:
        """Rows that end so."""
        return sum(ended == outcome for ended in self.outcomes.values())


def expect(
    rows: Iterable[tuple[str, Patch]],
    held: Mapping[str, Metadata],
    *,
    mode: str,
    refused: Iterable[str] = (),
    reads: bool = True,
) -> Expected:
    """Work out what the rows come to; without `reads` nobody can tell that a row was as it should be already."""
    wanted: dict[str, Patch] = {}
    number = 0
    for completion_id, patch in rows:
        number += 1
        wanted[completion_id] = wanted.get(completion_id, {}) | patch if mode == "merge" else patch
    after = {completion_id: dict(metadata) for completion_id, metadata in held.items()}
    outcomes = {}
    for completion_id, patch in wanted.items():
        if completion_id not in after:
            outcomes[completion_id] = "failed"
            continue
        there = after[completion_id] if mode == "merge" else {}
        target = {key: value for key, value in (there | patch).items() if value is not None}
        if target == after[completion_id] and reads:
            outcomes[completion_id] = "unchanged"
        elif completion_id in refused:
            outcomes[completion_id] = "failed"
        else:
            after[completion_id] = target
            outcomes[completion_id] = "updated"
    return Expected(after, outcomes, number - len(wanted))


def new_ids(number: int, *, seed: int = 0) -> list[str]:
    """Ids that look like those of the API."""
    draw = random.Random(seed)
    return ["chatcmpl-CUL7L" + "".join(draw.choices(_LETTERS, k=24)) for _ in range(number)]


def simple_csv(ids: Iterable[str], value: str = "blue") -> str:
    """A CSV file that gives every id the same team."""
    return "completion_id,team\n" + "".join(f"{completion_id},{value}\n" for completion_id in ids)


def varied_rows(ids: list[str], *, seed: int, removals: bool) -> Rows:
    """A patch for each id, and one in ten a second time further down."""
    draw = random.Random(seed)
    rows: Rows = []
    for completion_id in [*ids, *draw.sample(ids, len(ids) // 10)]:
        patch: Patch = {"team": draw.choice(_WORDS)}
        if draw.random() < 0.5:
            patch["note"] = draw.choice(_WORDS)
        if removals and draw.random() < 0.3:
            patch["draft"] = None
        rows.append((completion_id, patch))
    return rows


def as_csv(rows: Rows) -> bytes:
    """The rows as a spreadsheet would save them: BOM, CRLF, quotes where needed."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["completion_id", "team", "metadata.note"])
    writer.writeheader()
    for completion_id, patch in rows:
        writer.writerow({"completion_id": completion_id, "team": patch["team"], "metadata.note": patch.get("note")})
    return text.getvalue().encode("utf-8-sig")


def as_jsonl_gz(rows: Rows) -> bytes:
    """The rows as compressed JSON lines."""
    lines = (json.dumps({"id": completion_id, "metadata": patch, "other": 1}) for completion_id, patch in rows)
    return gzip.compress("\n".join(lines).encode())


def read_csv(raw: bytes) -> Rows:
    """Read a file of one column a key; an empty cell leaves its key alone."""
    rows: Rows = []
    for row in csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")):
        completion_id = row.pop("completion_id")
        rows.append((completion_id, {key.removeprefix("metadata."): value for key, value in row.items() if value}))
    return rows


def read_jsonl_gz(raw: bytes) -> Rows:
    """Read compressed JSON lines."""
    lines = map(json.loads, gzip.decompress(raw).splitlines())
    return [(line["id"], line["metadata"]) for line in lines]
