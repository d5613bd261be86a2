"""A job as the model of a simulation knows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from ledger.keys import JobKeys
from ledger.row import Metadata, Outcome, Patch
from tests.simulation.service import Sender


@dataclass
class ModelJob:
    """A job's rows, and what was seen of them.

    `patches` are given in the order of the input, and kept as they are stored: those of the canary first, in shards of
    their own. A job that `plans` reads its rows and writes none.
    """

    job_id: str
    patches: list[Patch]
    shard_rows: int
    journal: bool
    undoes: str | None = None
    canary: int = 0
    plans: bool = False
    needs_approval: bool = False
    selects: list[Patch] | None = None
    """The rows that it gets once the list is read for it; None where it had its rows from the start."""
    begun: int = 0
    """Workers that began to read the list for it since a page was kept, and did not leave in order."""
    state: str = ""
    outcomes: bytes = b""
    times: list[int] = field(default_factory=list)
    before: dict[int, Metadata] = field(default_factory=dict)
    """What a completion held right before the first write of a row was applied."""
    images: dict[int, Metadata] = field(default_factory=dict)
    """The before-image with which the first write of a row left."""
    left: set[int] = field(default_factory=set)
    """Rows of which a write has left."""
    answered: dict[int, str] = field(default_factory=dict)
    """Rows whose write was answered to a worker that has not stored their outcome yet, and its lease's owner."""
    rescued: Counter[int] = field(default_factory=Counter)
    """Leases of each shard that ran out since one of its rows was settled."""
    requests: int = 0
    """Requests that its workers have begun."""
    read_back: set[int] = field(default_factory=set)
    """Rows that a read has shown as they were written."""
    resumed: bool = False
    """Whether somebody resumed it, who may so overrule its canary."""
    was_approved: bool = False
    """Whether somebody who may has asked to approve what it does."""

    def __post_init__(self) -> None:
        """Put the rows in the order in which they are stored."""
        first = [number * len(self.patches) // self.canary for number in range(self.canary)]
        rest = [row for row in range(len(self.patches)) if row not in first]
        self.patches = [self.patches[row] for row in (*first, *rest)]

    def have_rows(self) -> None:
        """Let it have the rows that it selects."""
        self.patches = self.selects or []
        self.__dict__.pop("shards", None)

    @cached_property
    def keys(self) -> JobKeys:
        """Its keys in Redis."""
        return JobKeys(self.job_id)

    @cached_property
    def shards(self) -> list[range]:
        """The rows of each of its shards."""
        parts = [range(self.canary), range(self.canary, len(self.patches))]
        return [part[at : at + self.shard_rows] for part in parts for at in range(0, len(part), self.shard_rows)]

    def shard_of(self, row: int) -> int:
        """Return the number of the shard that a row is in."""
        return next(number for number, rows in enumerate(self.shards) if row in rows)

    def row_of(self, sender: Sender) -> int:
        """Return the number of the row that a request is about."""
        return self.shards[sender.shard][sender.row]

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be done."""
        return self.state in {"finished", "cancelled"} and b"\0" not in self.outcomes

    def outcome(self, row: int) -> Outcome:
        """Return how the row ended, as last seen."""
        return Outcome(self.outcomes[row]) if row < len(self.outcomes) else Outcome.PENDING
