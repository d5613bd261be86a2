"""A job as the model of a simulation knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ledger.keys import JobKeys
from ledger.row import Metadata, Outcome, Patch


@dataclass
class ModelJob:
    """A job's rows, and what was seen of them."""

    job_id: str
    patches: list[Patch]
    shard_rows: int
    journal: bool
    undoes: str | None = None
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
    requests: int = 0
    """Requests that its workers have begun."""

    @cached_property
    def keys(self) -> JobKeys:
        """Its keys in Redis."""
        return JobKeys(self.job_id)

    @property
    def shards(self) -> range:
        """The numbers of its shards."""
        return range(-(-len(self.patches) // self.shard_rows))

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be done."""
        return self.state in {"finished", "cancelled"} and b"\0" not in self.outcomes

    def outcome(self, row: int) -> Outcome:
        """Return how the row ended, as last seen."""
        return Outcome(self.outcomes[row]) if row < len(self.outcomes) else Outcome.PENDING
