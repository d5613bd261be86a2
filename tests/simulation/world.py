"""The scheduler: what is on its way between processes, Redis and the service, and the time that passes for all."""

from __future__ import annotations

from typing import Protocol

from tests.simulation.link import Command, Wire
from tests.simulation.listing import LIST
from tests.simulation.network import Fate, Flight, Network, Witness, fail
from tests.simulation.process import Process
from tests.simulation.scripts import name_of
from tests.simulation.server import BEGIN, ClockedRedis
from tests.simulation.service import TIMEOUT_S, Request, Service

QUIET_TIMERS = 2_000
"""Timers that may fire one after the other without anything being sent, until a run counts as stuck."""

READING = {"EXISTS", "GET", "GETRANGE", "HGET", "HMGET", "LLEN", "LRANGE"}
READING |= {"PING", "PTTL", "SMEMBERS", "TIME", "ZRANGE", "ZRANGEBYSCORE"}
QUIET = READING | {"acquire", "find_rows", "report", "snapshot"}
"""Commands and scripts that change nothing of jobs and claims, so that nothing is looked at after them."""


def what_of(message: tuple[str, int]) -> str:
    """Return what a message asks for."""
    job_id, number = message
    return f"the list for {job_id}" if number == LIST else f"shard {number} of {job_id}"


class Judge(Witness, Protocol):
    """Who looks at what happens; each method raises AssertionError where it must not."""

    def leaves(self, process: Process, request: Request, others: list[Request]) -> None:
        """Judge a write that leaves, beside the other writes to its completion that may still be applied."""

    def lose_all(self, at: float) -> None:
        """Expect nothing more of the jobs that are there: Redis comes back empty."""

    def begins(self, request: Request) -> None:
        """Count a request that a worker begins."""

    def look(self, by: str = "") -> None:
        """Judge the ledger after a step of the lease owner `by`, '' where it names none."""


class World:
    """Everything that a schedule moves."""

    def __init__(self, server: ClockedRedis, wire: Wire, service: Service, judge: Judge) -> None:
        self.judge = judge
        self.now = BEGIN
        self.server_behind_s = 0.0
        self.service = service
        self.processes: list[Process] = []
        self._dead: list[Process] = []
        self._is_over = False
        self._broken: list[AssertionError] = []
        self.messages: list[tuple[str, int]] = []
        self.taken: list[tuple[str, int]] = []
        """The messages that workers have taken."""
        self.flights: list[Flight] = []
        self.history: list[str] = []
        self.steps = 0
        self._server = server
        self.network = Network(wire, service, judge, lambda: self.now)
        self._clock_set_to: float | None = None
        self.show_time()

    def start_process(self, name: str) -> Process:
        """Start a process."""
        process = Process(name, lambda: self.now, self._send, self.announce, self.service.held)
        self.processes.append(process)
        return process

    def note(self, what: str) -> None:
        """Add to the history, and count a step."""
        self.steps += 1
        self.history.append(f"+{self.now - BEGIN:8.3f} s  {what}")

    def carry_out(self, flight: Flight, fate: Fate = Fate.DONE) -> None:
        """Let a command or a request have its fate, and let its sender go on."""
        what = flight.what
        self.note(f"{flight.process.name}: {self._words(what)}{'' if fate is Fate.DONE else f' ({fate.value})'}")
        if fate is not Fate.LATE or (isinstance(what, Request) and what.left_at is None):
            self.flights.remove(flight)
        self.show_time()
        self.network.carry_out(what, fate)
        if isinstance(what, Command) and not QUIET.issuperset(map(name_of, what.names)):
            self.judge.look(flight.owner)
        self._go_on()

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody; requests that are too old by then are dropped."""
        self.now += seconds
        self.flights = [
            flight
            for flight in self.flights
            if not (isinstance(flight.what, Request) and flight.what.left_at is not None)
            or self.now < flight.what.left_at + TIMEOUT_S
        ]
        self._go_on()

    def next_timer(self) -> float | None:
        """When something is due next in a process that runs."""
        timers = [(process, process.loop.next_timer()) for process in self.processes if process.runs]
        return min((due + process.stood_still_s for process, due in timers if due is not None), default=None)

    def work(self, pick: int = 0, *, only_send: bool = False) -> bool:
        """Take one step as it happens where nothing goes wrong; return False where nothing is left to be done.

        A free worker takes the oldest message; else something on its way arrives, the oldest unless `pick` names
        another; else time passes until a timer sends something, which arrives in the same step unless `only_send`.
        """
        free = [process for process in self.processes if process.is_free and process.name.startswith("w")]
        if free and self.messages:
            self.deliver(free[pick % len(free)], self.messages.pop(0))
            return True
        for _ in range(QUIET_TIMERS):
            awaited = [flight for flight in self.flights if flight.is_awaited]
            if awaited:
                self.carry_out(awaited[pick % len(awaited)])
                return True
            due = self.next_timer()
            if due is None:
                return False
            self.pass_time(max(0.0, due - self.now) + 1e-6)
            if only_send:
                return True
        raise AssertionError("timers fire without end, and nothing is sent")

    def until(self, kind: str, most: int, *, about: tuple[str, int] | None = None) -> Flight | None:
        """Work until something of a kind is awaited, for so many steps at most; return it, None where there is none.

        The kind is one of `Flight.kinds`, or `stale read`; `about` is the job and the shard that it has to be of.
        """
        for _ in range(most):
            for flight in self.flights:
                is_of_kind = self.network.may_be_stale(flight) if kind == "stale read" else kind in flight.kinds
                if flight.is_awaited and is_of_kind and about in {None, flight.shard}:
                    return flight
            if not self.work(only_send=True):
                return None
        return None

    def deliver(self, process: Process, message: tuple[str, int]) -> None:
        """Let a free worker take a message."""
        self.note(f"{process.name}: takes {what_of(message)}")
        self.taken.append(message)
        process.take_turn(*message)
        self.settle()

    def freeze(self, process: Process, *, is_suspended: bool = False) -> None:
        """Stop a process where it is; where its machine is suspended, its running clock stands still, too."""
        self.note(f"{process.name}: {'is suspended' if is_suspended else 'freezes'}")
        process.is_frozen = True
        if is_suspended:
            process.suspended_at = self.now

    def thaw(self, process: Process) -> None:
        """Let a stopped process go on."""
        self.note(f"{process.name}: goes on")
        process.is_frozen = False
        if process.suspended_at is not None:
            process.stood_still_s += self.now - process.suspended_at
            process.suspended_at = None
        self.settle()

    def crash(self, process: Process) -> Process:
        """Kill a process, and start another in its place; what it sent is still on its way."""
        self.note(f"{process.name}: dies")
        process.is_alive = False
        self.processes.remove(process)
        self._dead.append(process)
        name, _, life = process.name.partition("'")
        return self.start_process(f"{name}'{int(life or 0) + 1}")

    def restart_redis(self) -> None:
        """Kill Redis and start it again: commands on their way are lost."""
        self.note("Redis dies and comes back")
        self._server.kill()
        self.network.disconnect()
        self._server.start()
        self._lose_commands()
        self.settle()

    def empty_redis(self) -> None:
        """Kill Redis, and start it again without what it had."""
        self.note("Redis dies and comes back empty")
        self._server.kill()
        self._server.forget()
        self.network.disconnect()
        self._server.start()
        self.judge.lose_all(self.now)
        self._lose_commands()
        self.settle()

    def end(self) -> None:
        """End all processes."""
        self._is_over = True
        for process in (*self._dead, *self.processes):
            process.end()

    def show_time(self) -> None:
        """Let the server's clock show the time of the world, as far as it is right."""
        now = self.now - self.server_behind_s
        if now != self._clock_set_to:
            self._server.set_clock(now)
            self._clock_set_to = now

    def settle(self) -> None:
        """Let every process go on until it waits, and judge what has become of it."""
        self._go_on()
        self.judge.look()

    def _go_on(self) -> None:
        for process in list(self.processes):
            if process.runs:
                process.loop.run_ready()
                for broken in self._broken:
                    raise broken
                for error in process.errors():
                    raise AssertionError(f"{process.name} met {error!r}") from error
        self.show_time()

    def _send(self, process: Process, what: Command | Request) -> None:
        if self._is_over:
            what.answer.cancel()
            return
        if isinstance(what, Request) and what.left_at is not None:
            what.left_at = self.now
        if isinstance(what, Request) and what.is_write == (what.left_at is None):
            self.judge.begins(what)
        if isinstance(what, Request) and what.is_write and what.left_at is not None:
            self.show_time()
            self.note(f"{process.name}: {what.words} leaves")
            try:
                self.judge.leaves(process, what, self._writes_under_way(what.completion_id))
            except AssertionError as broken:
                self._broken.append(broken)  # not raised here, where the worker might catch it
        self.flights.append(Flight(process, what))

    def _lose_commands(self) -> None:
        """Let the senders of all commands on their way see that Redis died."""
        lost = [flight.what for flight in self.flights if isinstance(flight.what, Command)]
        self.flights = [flight for flight in self.flights if isinstance(flight.what, Request)]
        for command in lost:
            fail(command)

    def _writes_under_way(self, completion_id: str) -> list[Request]:
        requests = [flight.what for flight in self.flights if isinstance(flight.what, Request)]
        return [
            request
            for request in requests
            if request.is_write and request.left_at is not None and request.completion_id == completion_id
        ]

    def announce(self, job_id: str, number: int) -> None:
        self.messages.append((job_id, number))

    def _words(self, what: Command | Request) -> str:
        if isinstance(what, Request):
            return what.words
        return " ".join(map(name_of, what.names))
