"""A nightly run: its date, how it stands, and what became of each file."""

from __future__ import annotations

import enum

import msgspec


class NightState(enum.StrEnum):
    """Where a run stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    SKIPPED = "skipped"

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the run any more."""
        return self in {NightState.FINISHED, NightState.SKIPPED}


class FileState(enum.StrEnum):
    """Where a file of a run stands. One that was `left` stays in the inbox for another night."""

    TAKEN = "taken"
    SUBMITTED = "submitted"
    DONE = "done"
    REJECTED = "rejected"
    LEFT = "left"


class NightFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the inbox. `size` and `changed_ns` are those it had when it was listed; `taken_at` is when that was.

    `place` is where it goes, relative to the inbox; `own` tells whether the job was made of this file, and not of an
    earlier one with the same content. `inode` is the file's number when it was listed, 0 where release one listed it;
    `mode` and `group` are who may read it, taken from the file as it was read, and what lies beside it gets the same.
    """

    name: str
    state: FileState
    size: int
    changed_ns: int
    taken_at: float
    job_id: str | None = None
    own: bool = True
    place: str | None = None
    reason: str = ""
    inode: int = 0
    mode: int = 0o600
    group: int = -1


class NightFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a run beside its files. `inbox` is the mark of the folder, '' before its files were listed."""

    date: str
    state: NightState
    started_at: float
    ended_at: float | None = None
    reason: str = ""
    asked_by: str = ""
    inbox: str = ""


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it stands now; `entries` are its files by name. Times are seconds since the epoch by Redis."""

    facts: NightFacts
    entries: list[NightFile]

    @property
    def date(self) -> str:
        """The local date that the run is for."""
        return self.facts.date

    @property
    def state(self) -> NightState:
        """Where the run stands."""
        return self.facts.state

    @property
    def reason(self) -> str:
        """Why it waits or was skipped."""
        return self.facts.reason

    @property
    def started_at(self) -> float:
        """When it was asked for."""
        return self.facts.started_at

    @property
    def ended_at(self) -> float | None:
        """When its last file was filed away, or it was skipped."""
        return self.facts.ended_at

    @property
    def files(self) -> int:
        """Files that were taken."""
        return len(self.entries) - len(self.of(FileState.LEFT))

    @property
    def jobs(self) -> int:
        """Jobs that were made."""
        return sum(entry.job_id is not None and entry.own for entry in self.entries)

    @property
    def rejected(self) -> int:
        """Files that ended in `rejected/`."""
        return len(self.of(FileState.REJECTED))

    def of(self, state: FileState) -> list[NightFile]:
        """Give the files in this state, by name."""
        return [entry for entry in self.entries if entry.state is state]
