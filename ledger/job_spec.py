"""What a job was asked for: its kind, its mode, how its input was laid out, how its rows are cut into shards."""

from __future__ import annotations

import enum

import msgspec

from config.text import sanitize
from ledger.input_files import InputFile

KEPT_KEYS = 64
"""Metadata keys that a job keeps the names of; of a file with more, the first ones."""
NAME_CHARS = 255
"""Characters of a job's name: those of any file's name."""


class Mode(enum.StrEnum):
    """What a patch means: added to what is there (`merge`), or all that is to be there (`replace`)."""

    MERGE = "merge"
    REPLACE = "replace"


class Kind(enum.StrEnum):
    """What a job does, and where its rows come from: a file, or another job's rows.

    An undo takes those back, a retry tries them again, an apply carries out what a plan shows. A plan and a verify only
    read: a plan computes what would change, a verify compares with what another job left.
    """

    FILE = "file"
    UNDO = "undo"
    RETRY = "retry"
    PLAN = "plan"
    APPLY = "apply"
    VERIFY = "verify"

    @property
    def only_reads(self) -> bool:
        """Whether the job's rows are read and never written."""
        return self in {Kind.PLAN, Kind.VERIFY}


ALL_KINDS = frozenset(Kind)
CHANGING_KINDS = frozenset(kind for kind in Kind if not kind.only_reads)
"""Kinds of jobs that change completions, so that they can be undone, retried and verified."""


class Priority(enum.StrEnum):
    """A job's share of the workers where several jobs run: high gets twice what normal gets, low half of it."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def weight(self) -> int:
        """The share as a number."""
        return {"high": 4, "normal": 2, "low": 1}[self.value]


class Columns(msgspec.Struct, frozen=True):
    """How the input was laid out, so that a report can be laid out the same.

    `format` is `csv` or `jsonl`; `id_column` is `completion_id` or `id`; `header` holds a CSV file's columns in order.
    `files` are those of an input of several.
    """

    format: str
    id_column: str
    header: list[str]
    files: list[InputFile] = []


class JobSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; it never changes. `target` is the base URL of the API that the job is meant for.

    `rows` counts those that workers carry out; `unchanged` rows name nothing to change, so nothing is sent for them.
    `parent` is the id of the job whose rows these are, where they come from no file. `max_failures` is what
    `config.failure_limit.FailureLimit` reads. `by` is who submitted it (user@host, '' where not known), `nightly` the
    date of the nightly run that made it ('' for none). `keys` are the
    metadata keys that its rows name, sorted, the first `KEPT_KEYS` of them where there are `more_keys`; None where they
    were not kept. `exact` rows are carried out only where all that they expect is held, as somebody reviewed that.
    `canary` rows are spread over the input and stored first, in shards of their own: no other shard is given out before
    they were read back. With `oldest_first` rows are in the order of their completions' age, else in that of the input.
    """

    job_id: str
    name: str
    mode: Mode
    journal: bool
    target: str
    columns: Columns
    rows: int
    shards: int
    shard_rows: int
    rejected: int
    folded: int
    fingerprint: str
    keep_s: float
    kind: Kind = Kind.FILE
    parent: str | None = None
    max_failures: str | None = None
    priority: Priority = Priority.NORMAL
    by: str = ""
    nightly: str = ""
    keys: list[str] | None = None
    more_keys: bool = False
    unchanged: int = 0
    canary: int = 0
    oldest_first: bool = False
    exact: bool = False

    @property
    def files(self) -> list[InputFile]:
        """The files of the input where it had several; lines are numbered through them."""
        return self.columns.files

    @property
    def canary_shards(self) -> int:
        """The number of shards that hold the canary; they are the first ones."""
        return -(-self.canary // self.shard_rows)

    def first_row(self, shard: int) -> int:
        """Return the number within the job of the shard's first row."""
        behind = shard - self.canary_shards
        return shard * self.shard_rows if behind < 0 else self.canary + behind * self.shard_rows

    def rows_in(self, shard: int) -> int:
        """Return the number of rows in the shard: all are full but the last one, and the last one of the canary."""
        end = self.canary if shard < self.canary_shards else self.rows
        return min(self.shard_rows, end - self.first_row(shard))

    def stored_row(self, place: int) -> int:
        """Return the number of a row within the job by its place in the input, both from 0."""
        before = -(-place * self.canary // self.rows)  # rows of the canary, which are evenly spread
        is_canary = before < self.canary and before * self.rows // self.canary == place
        return before if is_canary else self.canary + place - before

    def input_order(self, row: int) -> tuple[int, int]:
        """Return what rows are sorted by to be in the order of the input; rows beside the canary have their rank."""
        return (row - self.canary, 1) if row >= self.canary else (row * self.rows // self.canary - row, 0)

    def place_of(self, row: int) -> tuple[int, int]:
        """Return the shard of a row by its number within the job, and its number within that shard."""
        if row < self.canary:
            return divmod(row, self.shard_rows)
        shard, place = divmod(row - self.canary, self.shard_rows)
        return self.canary_shards + shard, place


def job_name(text: str) -> str:
    """Return what a job is called, of a file's name or what somebody chose: one printable line."""
    return sanitize(text, NAME_CHARS)
