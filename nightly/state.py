"""A nightly run: its date, its state, and the state of each of its files."""

from __future__ import annotations

import enum

import msgspec

from ledger.losses import NIGHT_LOST


class NightState(enum.StrEnum):
    """The state of a run.

    One that `needs attention` has ended but for files that are held. One is `lost` where Redis came back empty while it
    was open (`ledger.losses`).
    """

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    NEEDS_ATTENTION = "needs attention"
    SKIPPED = "skipped"
    LOST = NIGHT_LOST

    @property
    def ended(self) -> bool:
        """Whether the run has reached a final state."""
        return self not in {NightState.WAITING, NightState.RUNNING}


class FileState(enum.StrEnum):
    """The state of a file of a run. One that was `left` stays in the inbox for another night.

    One that is `held` stays there until somebody resumes or cancels its job, as its content raises questions.
    """

    TAKEN = "taken"
    SUBMITTED = "submitted"
    HELD = "held"
    DONE = "done"
    REJECTED = "rejected"
    LEFT = "left"


class NightFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the inbox. `size` and `changed_ns` are those it had when it was listed; `taken_at` is when that was.

    `place` is where it goes, relative to the inbox; `own` is whether the job was made of this file, not of an
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


class Night(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run as it stands. `date` is the local date that it is for; times are seconds since the epoch by Redis.

    `reason` is why it waits or was skipped, `inbox` the id of the folder, '' before its files were listed, and
    `ended_at` when its last file was filed away, or it was skipped. `entries` are its files by name, each stored in a
    field of its own.
    """

    date: str
    state: NightState
    started_at: float
    ended_at: float | None = None
    reason: str = ""
    asked_by: str = ""
    inbox: str = ""
    entries: list[NightFile] = []

    @property
    def files(self) -> int:
        """The number of files that were taken."""
        return len(self.entries) - len(self.of(FileState.LEFT))

    @property
    def jobs(self) -> int:
        """The number of jobs that were made."""
        return sum(entry.job_id is not None and entry.own for entry in self.entries)

    @property
    def rejected(self) -> int:
        """The number of files that ended in `rejected/`."""
        return len(self.of(FileState.REJECTED))

    @property
    def held(self) -> int:
        """The number of files that wait for somebody's yes."""
        return len(self.of(FileState.HELD))

    def of(self, state: FileState) -> list[NightFile]:
        """Return the files in this state, by name."""
        return [entry for entry in self.entries if entry.state is state]
