"""What rehearsals of a deployment share: jobs whose end the API confirms, processes, commands that ended, and waits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.harness.sandbox_thread import Api

T = TypeVar("T")
END_S = 600.0


class Done(NamedTuple):
    """A command that ended: its exit code, what it wrote, and how long it took (seconds)."""

    code: int
    out: str
    err: str
    seconds: float


class Rows(NamedTuple):
    """Completions of one job: what they hold before, and what all of them are to get."""

    before: dict[str, dict[str, str]]
    patch: dict[str, str]

    def csv(self) -> bytes:
        """Return the file that a person would submit."""
        lines = [",".join(("completion_id", *self.patch))]
        lines += [",".join((completion_id, *self.patch.values())) for completion_id in self.before]
        return "\n".join(lines).encode() + b"\n"

    def after(self) -> dict[str, dict[str, str]]:
        """Return what they are to hold in the end."""
        return {completion_id: kept | self.patch for completion_id, kept in self.before.items()}


def new_rows(number: int, *, job: int) -> Rows:
    """Return rows of completions that no other job of the rehearsal has."""
    ids = [f"chatcmpl-CUL7L{job:04}{row:020}" for row in range(number)]
    return Rows({each: {"origin": "import", "team": "none"} for each in ids}, {"team": "blue", "batch": str(job)})


def check_done(api: Api, rows: Rows, status: Callable[[], Mapping[str, Any]]) -> str:
    """Wait for a job's end; check that the API holds what each row asked for, and that each counts once.

    Returns a line about it.
    """
    wait_for(lambda: api.metadata(rows.before) == rows.after(), what="all rows are written", within=END_S)
    facts = wait_for(lambda: ended(status()), what="the job has ended", within=END_S, every=2.0)
    assert facts is not None
    assert facts["state"] == "finished", facts
    counts = {name: number for name, number in facts["rows"].items() if number}
    assert counts.pop("total") == len(rows.before), facts["rows"]
    done = counts.pop("updated", 0) + counts.pop("unchanged", 0)
    assert (done, sum(counts.values())) == (len(rows.before), 0), facts["rows"]
    twice = sum(api.updates(rows.before).values()) - len(rows.before)
    return f"{len(rows.before):,} rows done, each as asked; {twice} written a second time"


def kill(process: int) -> None:
    """Send SIGKILL."""
    os.kill(process, signal.SIGKILL)


def processes_here() -> list[int]:
    """Return the numbers of all processes in these namespaces."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def parent_of(process: int) -> int:
    """Return the number of a process's parent; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def ended(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a job's facts once it is under way no longer."""
    return None if facts["state"] in {"queued", "running"} else facts


def wait_for(condition: Callable[[], T], *, what: str, within: float = 120.0, every: float = 0.2) -> T:
    """Return the condition's value once it is true; AssertionError where that takes too long."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(every)
    return value
