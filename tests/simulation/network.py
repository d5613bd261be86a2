"""What becomes of commands and requests on their way between processes, Redis and the service."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from redis.exceptions import ConnectionError as Disconnected

from tests.simulation.link import Command, Wire
from tests.simulation.process import Process
from tests.simulation.scripts import name_of
from tests.simulation.service import Metadata, Request, Service

STALE_S = 8.0
"""Longest that a read lags behind an update; a claim that a dead worker left lives longer than that."""
OWNER = re.compile(rb"\bw\d+(?:'\d+)?:1:\d{8}\b")
"""The owner of a lease, as `Process` names each of its turns."""
CLAIMS_TO_GIVE_UP = 4
"""The place of their number among the arguments of `claim_rows`."""
BY_READER = {"begin_reading", "keep_page", "leave_reading", "adopt_rows"}
"""The scripts of who reads the list; each names the owner of the lock first."""
JOB = re.compile(rb"\bjob\d+\b")


class Fate(enum.Enum):
    """What becomes of a command or a request on its way."""

    DONE = "done"
    ANSWER_LOST = "done, its answer is lost"
    LOST = "lost on its way"
    LATE = "its sender sees a broken connection, but it is still on its way"
    STALE = "done; a read shows the state before the last update"


class Flight(NamedTuple):
    """A command or a request on its way, and who sent it."""

    process: Process
    what: Command | Request

    @property
    def is_awaited(self) -> bool:
        """Whether its sender lives and waits for it."""
        return self.process.runs and not self.what.answer.done()

    @property
    def owner(self) -> str:
        """The owner of the lease that a command names, or of the lock of a reading; '' where it names none."""
        if isinstance(self.what, Command) and not BY_READER.isdisjoint(self.kinds):
            return self.what.argument(0).decode()
        return self._named(OWNER)

    @property
    def job_id(self) -> str:
        """The job that it is about; '' where it is about none."""
        return self.what.sender.job_id if isinstance(self.what, Request) else self._named(JOB)

    @property
    def shard(self) -> tuple[str, int] | None:
        """The job and the shard that a request is about; None for a command."""
        return (self.what.sender.job_id, self.what.sender.shard) if isinstance(self.what, Request) else None

    @property
    def kinds(self) -> set[str]:
        """What it is: `connect`, `read` or `write`, or the names of commands and scripts."""
        what = self.what
        if isinstance(what, Request):
            return {"connect" if what.left_at is None else "write" if what.is_write else "read"}
        names = set(map(name_of, what.names))
        return names | {"giving up"} if "claim_rows" in names and what.argument(CLAIMS_TO_GIVE_UP) != b"0" else names

    def _named(self, pattern: re.Pattern[bytes]) -> str:
        found = pattern.search(self.what.packed) if isinstance(self.what, Command) else None
        return found.group().decode() if found else ""


class Witness(Protocol):
    """Who sees what becomes of requests; each method raises AssertionError where it must not be."""

    def applied(self, request: Request) -> None:
        """Judge a write that the service has just applied."""

    def answered(self, request: Request) -> None:
        """Record that the answer to a write has reached its sender."""

    def shown(self, request: Request, metadata: Metadata) -> None:
        """Record that the answer to a read shows this."""


class Network:
    """Carries out what is on its way. `now` returns the time of the world."""

    def __init__(self, wire: Wire, service: Service, witness: Witness, now: Callable[[], float]) -> None:
        self._wire = wire
        self._service = service
        self._witness = witness
        self._now = now
        self._last_write: dict[str, tuple[float, bool]] = {}

    def carry_out(self, what: Command | Request, fate: Fate) -> None:
        """Let a command or a request have its fate."""
        if isinstance(what, Command):
            self._carry_out_command(what, fate)
        elif what.left_at is None:
            answer(what, None)
        else:
            self._carry_out_request(what, fate)

    def disconnect(self) -> None:
        """Close the way to Redis, which died."""
        self._wire.close()

    def may_be_stale(self, flight: Flight) -> bool:
        """Return whether it is a read that may show an older state: an unseen write leaves no record to know it by."""
        return isinstance(flight.what, Request) and self._may_be_stale(flight.what)

    def _may_be_stale(self, request: Request) -> bool:
        at, is_seen = self._last_write.get(request.completion_id, (float("-inf"), False))
        return not request.is_write and is_seen and self._now() - at < STALE_S

    def _carry_out_command(self, command: Command, fate: Fate) -> None:
        if fate is Fate.LATE or fate is Fate.LOST:
            fail(command)
            return
        replies = self._wire.carry_out(command)
        if fate is Fate.ANSWER_LOST:
            fail(command)
        else:
            answer(command, replies)

    def _carry_out_request(self, request: Request, fate: Fate) -> None:
        if fate is Fate.LATE or fate is Fate.LOST:
            answer(request, None)
            return
        completion_id = request.completion_id
        if fate is Fate.STALE and self._may_be_stale(request):
            stale = self._service.states[completion_id][-2]
            self._witness.shown(request, stale)
            answer(request, self._service.show(completion_id, stale))
            return
        response = self._service.apply(request)
        is_seen = fate is Fate.DONE and not request.answer.done()
        if request.is_write:
            self._last_write[completion_id] = (self._now(), is_seen)
            self._witness.applied(request)
            if is_seen:
                self._witness.answered(request)
        elif is_seen:
            self._witness.shown(request, self._service.held(completion_id))
        answer(request, response if fate is not Fate.ANSWER_LOST else None)


def answer(what: Command | Request, reply: object) -> None:
    """Let a sender that still waits have this reply."""
    if not what.answer.done():
        what.answer.set_result(reply)  # type: ignore[arg-type]


def fail(command: Command) -> None:
    """Let the sender of a command see a broken connection."""
    if not command.answer.done():
        command.answer.set_exception(Disconnected("the connection broke"))
        command.answer.exception()  # its sender may be dead
