"""An input that was read to its end: its counts, its rejections, and its patches cut into shards."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, Self

from ledger.codec import completion_ids
from ledger.input_files import place_of
from ledger.row import Rejection, UnsentRow
from producer.errors import UnreadableFile
from producer.staging import RowsByLine, Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.job_spec import Columns
    from producer.profile import Profile, Reading

_IDS_TOGETHER = 1000


class OddIds(NamedTuple):
    """The number of ids that look unlike those of the API, for a warning, and the lines of the first ones.

    `rejected` counts the rows that were rejected for their id; they are not among the others.
    """

    number: int
    lines: list[int]
    rejected: int


class EncodedShard(NamedTuple):
    """Patches ready to be stored: `body` is one msgpack array of `rows` patches."""

    rows: int
    body: bytes


class Checked:
    """An input that was read to its end: its counts and its shards.

    `total` counts completions to change, after folding; `unchanged` the rows that name nothing to change; `folded` the
    rows that went into an earlier row of the same id, of which `conflicting` gave a key another value; `rejected` the
    rows that can never be sent. `cleared` counts the completions that are to hold no metadata at all (`{}` in `replace`
    mode), `seen` those of which a selection saw the metadata. `profile` is what the valid rows do, and `reading` how
    the input was read. `fingerprint` is a SHA-256 in hex of the rows as they were understood, so that it does not
    depend on compression, the BOM or line ends. A context manager: its end deletes the temporary files.
    """

    def __init__(
        self,
        *,
        columns: Columns,
        folded: int,
        conflicting: int,
        cleared: int,
        seen: int,
        odd_ids: OddIds,
        profile: Profile,
        reading: Reading,
        fingerprint: str,
        patches: Spool,
        rejected: RowsByLine[Rejection],
        unsent: RowsByLine[UnsentRow],
        oldest_first: bool = False,
    ) -> None:
        self.columns = columns
        self.oldest_first = oldest_first
        self.folded = folded
        self.conflicting = conflicting
        self.cleared = cleared
        self.seen = seen
        self.unchanged = len(unsent) - folded
        self.rejected = len(rejected)
        self.total = len(patches)
        self.odd_ids = odd_ids
        self.profile = profile
        self.reading = reading
        self.fingerprint = fingerprint
        self._patches = patches
        self._rejected = rejected
        self._unsent = unsent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the temporary files; may be called twice."""
        self._patches.close()
        self._rejected.close()
        self._unsent.close()

    def rejections(self) -> Iterator[Rejection]:
        """Return the rejected rows, in order of their lines; may be called again."""
        return iter(self._rejected)

    def unsent(self) -> Iterator[UnsentRow]:
        """Return the unchanged and the folded rows, in order of their lines; may be called again."""
        return iter(self._unsent)

    def require_valid_row(self, name: str) -> None:
        """Raise UnreadableFile where all rows are rejected; `name` is that of the file."""
        if self.rejected and not self.total and not self.unchanged:
            first = next(self.rejections())
            place = place_of(first.line, self.columns.files)
            column = f", column {first.column}" if first.column else ""
            what = "the only row is" if self.rejected == 1 else f"all {self.rejected:,} rows are"
            raise UnreadableFile(
                f"{name}: {what} rejected, so there is no job; correct the file. "
                f"{str(place).capitalize() if not place.file else place}{column}: {first.reason}",
                line=place.line,
                column=first.column,
            )

    def shards(self, rows: int, *, canary: int = 0) -> Iterator[EncodedShard]:
        """Cut the patches into shards of `rows` each; may be called again.

        The first shards hold so many rows as a canary, evenly spread over the input; the others follow in order.
        """
        chosen = spread(canary, self.total)
        takes = (chosen.__contains__, lambda row: row not in chosen) if canary else (None,)
        for number, bodies in chain.from_iterable(self._patches.groups(rows, take=take) for take in takes):
            yield EncodedShard(number, _array_head(number) + bodies)

    def completion_ids(self) -> Iterator[str]:
        """Return the ids of the completions to change; may be called again."""
        return (completion_id for shard in self.shards(_IDS_TOGETHER) for completion_id in completion_ids(shard.body))


def spread(rows: int, total: int) -> frozenset[int]:
    """Return so many numbers from 0 on below the total, evenly spread; the first is 0."""
    return frozenset(number * total // rows for number in range(rows))


def _array_head(length: int) -> bytes:
    """Begin a msgpack array. Source: msgpack specification, array 32, which suits any length."""
    return b"\xdd" + length.to_bytes(4, "big")
