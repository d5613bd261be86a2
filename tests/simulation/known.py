"""Schedules that are known to show a fault of `mutations.py`, each as short as a person could make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ledger.shards import PARK_AFTER
from tests.simulation.aimed import Blow, Meanwhile
from tests.simulation.machine import LedgerSimulation
from tests.simulation.network import Fate, Flight
from tests.simulation.people import AskedJob, Attempt, Expected


class Known(NamedTuple):
    """What happens once two jobs alike were submitted, each of so many rows, of shards of so many."""

    steps: Callable[[LedgerSimulation], object]
    rows: int = 3
    shard_rows: int = 3
    may_be_emptied: bool = False
    archives: bool = False
    needs_approval: bool = False


def run_known(name: str) -> None:
    """Run a known schedule.

    Raises:
        AssertionError: a promise is broken.

    """
    known = KNOWN[name]
    job = AskedJob(known.rows, known.shard_rows, True, 0, Expected.NOTHING, known.needs_approval)
    simulation = LedgerSimulation()
    simulation.begin(merges=True, first=job, second=job, may_be_emptied=known.may_be_emptied, archives=known.archives)
    try:
        known.steps(simulation)
    finally:
        simulation.teardown()


def _reach(simulation: LedgerSimulation, kind: str, *, about: tuple[str, int] | None = None) -> Flight:
    """Work until something of a kind is on its way, of this job and shard where they are given."""
    flight = simulation.world.until(kind, 300, about=about)
    assert flight, f"no {kind} was sent"
    return flight


def _hand_back_late(simulation: LedgerSimulation) -> None:
    """Pause a job while a row waits for its next try, which is handed back with it."""
    simulation.strike("read", Fate.LOST)
    simulation.ask(0, "pause")
    simulation.strike("read", Fate.LOST)
    simulation.hold_up_shard("hand_back", Blow.LATE, 8.3, Meanwhile.NOTHING, 20)


def _wake_with_answers(simulation: LedgerSimulation) -> None:
    """Stop a worker that goes on with the answer to a renewal and a connection for its write at hand."""
    world = simulation.world
    write = _reach(simulation, "connect")
    simulation.pass_time(1.0)
    while True:
        own = [flight for flight in world.flights if flight.process is write.process and flight is not write]
        renewals = [flight for flight in own if "renew" in flight.kinds]
        if renewals:
            break
        world.carry_out(own[0])
    world.freeze(write.process)
    world.carry_out(renewals[0])
    world.carry_out(write)
    simulation.pass_time(8.3)
    world.thaw(write.process)


def _all_look(simulation: LedgerSimulation) -> None:
    """Let every worker see which jobs are there."""
    simulation.work_for(60)
    for process in simulation.workers:
        simulation.start_rescue(process)
        simulation.work_for(30)
        simulation.pass_time(1.7)


def _lose_all(simulation: LedgerSimulation) -> None:
    simulation.ask(0, "pause")
    _all_look(simulation)
    simulation.empty_redis()


def _approve_cancelled(simulation: LedgerSimulation) -> None:
    """Cancel a job that waits for its approval, which then comes all the same."""
    simulation.work_for(60)
    simulation.ask(0, "cancel")
    simulation.work_for(30)
    simulation.approve(0, Attempt.RIGHT)
    simulation.work_for(10)


def _once_stored(act: Callable[[LedgerSimulation], None]) -> Known:
    """Let two jobs be stored that need approval, and something be done then."""

    def steps(simulation: LedgerSimulation) -> None:
        simulation.work_for(60)
        act(simulation)
        simulation.work_for(20)

    return Known(steps, needs_approval=True)


def _search_all(simulation: LedgerSimulation) -> None:
    simulation.work_for(80)
    for which in range(3):
        simulation.search(which)


def _read_list(act: Callable[[LedgerSimulation], object], rows: int = 3) -> Known:
    """Let somebody plan a change of the list once two jobs have ended, and something be done then."""

    def steps(simulation: LedgerSimulation) -> None:
        simulation.work_for(120)
        simulation.select(rows, 3)
        act(simulation)

    return Known(steps, rows=1, shard_rows=1)


def _hold_reader(at: str, meanwhile: Meanwhile = Meanwhile.RESCUE) -> Known:
    """Stop a reader until another has its lock, or the plan is cancelled."""
    return _read_list(lambda on: _outlive_lock(on, at, meanwhile))


def _outlive_lock(simulation: LedgerSimulation, at: str, meanwhile: Meanwhile) -> None:
    flight = _reach(simulation, at)
    simulation.world.freeze(flight.process)
    if meanwhile is Meanwhile.CANCEL:
        simulation.ask(2, "cancel")
        simulation.work_for(10)
    else:
        simulation.pass_time(31.3)
        simulation.rescue(1)
        _reach(simulation, at)
    simulation.world.thaw(flight.process)
    simulation.world.carry_out(flight)


def _resume_reading(simulation: LedgerSimulation) -> None:
    simulation.world.until("keep_page", 80)
    simulation.ask(2, "pause")
    simulation.work_for(30)
    simulation.ask(2, "resume")


def _lose_reader_message(simulation: LedgerSimulation) -> None:
    while not simulation.world.messages:
        assert simulation.world.work(), "no reader was asked for"
    simulation.world.messages.clear()


def _keep_twice(simulation: LedgerSimulation) -> None:
    """Let a page be sent twice, as a client does that tries again by itself where it lost the answer."""
    world = simulation.world
    page = _reach(simulation, "keep_page")
    world.network.carry_out(page.what, Fate.DONE)
    world.carry_out(page)


def _renew_late(simulation: LedgerSimulation) -> None:
    """Let a renewal that counts no request arrive behind a settlement that counts some, and others follow."""
    world = simulation.world
    renewal = _reach(simulation, "renew")
    world.carry_out(renewal, Fate.LATE)
    world.carry_out(_reach(simulation, "write", about=(renewal.job_id, 0)), Fate.LOST)
    settled = ""
    while settled != renewal.job_id:
        settling = _reach(simulation, "settle")
        world.carry_out(settling)
        settled = settling.job_id
    world.carry_out(renewal)


def _give_up_late(simulation: LedgerSimulation) -> None:
    """Let a claim be given up twice, the second time when another job has it."""
    world = simulation.world
    giving_up = _reach(simulation, "giving up")
    world.carry_out(giving_up, Fate.LATE)
    other = "job2" if giving_up.job_id == "job1" else "job1"
    _reach(simulation, "write", about=(other, 0))
    world.carry_out(giving_up)


def _die_archiving(simulation: LedgerSimulation) -> None:
    """Kill a worker that reads the rows of a report which it archives."""
    simulation.work_for(120)
    simulation.archive(0)
    simulation.world.crash(_reach(simulation, "LLEN").process)


def _die_before_count(simulation: LedgerSimulation) -> None:
    """Kill a worker that has closed a plan's first shard and not counted it."""
    simulation.work_for(120)
    simulation.plan(2, 1)
    simulation.world.crash(_reach(simulation, "count_shard").process)


def _park_late(simulation: LedgerSimulation) -> None:
    """Let a worker that is to park a shard do so once another one has leased the shard."""
    world, shard = simulation.world, None
    for _ in range(PARK_AFTER):
        request = _reach(simulation, "connect", about=shard)
        shard = request.shard
        world.crash(request.process)
        simulation.pass_time(8.3)
        simulation.start_rescue(simulation.running[0])
    parking = _reach(simulation, "close")
    world.freeze(parking.process)
    simulation.pass_time(1.7)
    simulation.start_rescue(simulation.running[0])
    _reach(simulation, "connect", about=shard)
    world.carry_out(parking)


KNOWN = {
    "keep a page twice": _read_list(_keep_twice),
    "count a late renewal's requests again": Known(_renew_late),
    "release another's claim": Known(_give_up_late, rows=1, shard_rows=1),
    "forget a job before its report is written": Known(_die_archiving, archives=True),
    "count no shard that a killed worker had closed": Known(_die_before_count),
    "close a shard that a worker is at": Known(_park_late, rows=1, shard_rows=1),
    "keep a page without the lock": _hold_reader("keep_page"),
    "keep a page of a reading that was cancelled": _hold_reader("keep_page", Meanwhile.CANCEL),
    "keep the pages for ever": _read_list(lambda on: on.strike("keep_page", Fate.DONE)),
    "give a job rows without the lock": _hold_reader("adopt_rows"),
    "give a cancelled job its rows": _hold_reader("adopt_rows", Meanwhile.CANCEL),
    "read without the lock": _hold_reader("begin_reading"),
    "count no worker that begins to read": _read_list(lambda on: on.die_at_list(5)),
    "give up the list too early": _read_list(lambda on: on.die_at_list(3)),
    "call no other reader": _read_list(_lose_reader_message),
    "run a reading for having been resumed": _read_list(_resume_reading),
    "open a job without its rows": _read_list(lambda on: on.work_for(1)),
    "leave half a page out": _read_list(lambda on: on.work_for(1)),
    "keep an image without the claim": Known(
        lambda on: on.hold_up_row("journal", Blow.FREEZES, 19.7, Meanwhile.NOTHING, 20), rows=2, shard_rows=1
    ),
    "leave no record of a write": Known(lambda on: on.work_for(1)),
    "free a claim before the row is settled": Known(lambda on: on.strike("settle", Fate.LOST)),
    "overwrite the first image": Known(lambda on: on.strike("write", Fate.ANSWER_LOST)),
    "free a claim while its write may run": Known(lambda on: on.strike("write", Fate.LATE)),
    "free a claim whose first write got no answer": Known(lambda on: on.strike("write", Fate.LATE)),
    "undo beside a stopped worker": Known(
        lambda on: on.hold_up_row("write", Blow.FREEZES_AFTER, 19.7, Meanwhile.UNDO, 120)
    ),
    "lose the images of a cancelled shard": Known(
        lambda on: on.hold_up_row("settle", Blow.DIES, 8.3, Meanwhile.CANCEL, 120)
    ),
    "write past the fence": Known(
        lambda on: on.stop_with_answer("connect", Blow.FREEZES_AFTER, 8.3, Meanwhile.NOTHING, 20)
    ),
    "count the fence from the answer": Known(_wake_with_answers, rows=1, shard_rows=1),
    "believe a clock that stands still": Known(
        lambda on: on.stop_with_answer("connect", Blow.SUSPENDED, 8.3, Meanwhile.NOTHING, 20)
    ),
    "believe a wall clock that was set back": Known(
        lambda on: on.stop_with_answer("connect", Blow.FREEZES_AFTER, 8.3, Meanwhile.SET_BACK, 0)
    ),
    "let a claim end before its request": Known(
        lambda on: on.stop_with_answer("connect", Blow.FREEZES_AFTER, 5.3, Meanwhile.NOTHING, 20)
    ),
    "lease a shard that is leased": Known(
        lambda on: on.hold_up_row("write", Blow.FREEZES_AFTER, 5.3, Meanwhile.REPEAT, 20)
    ),
    "park a shard too early": Known(lambda on: on.die_at_shard(3, 60), rows=1, shard_rows=1),
    "hand back without the lease": Known(_hand_back_late, rows=1, shard_rows=1),
    "miss the row in the middle": Known(_search_all),
    "sort no index": Known(_search_all),
    "let a job approve itself": _once_stored(lambda on: on.approve(0, Attempt.OWN_JOB)),
    "approve something else": _once_stored(lambda on: on.approve(0, Attempt.OTHER_DIGEST)),
    "run a job for having been resumed": _once_stored(lambda on: on.ask(0, "resume")),
    "open a job that needs approval": _once_stored(lambda _: None),
    "approve a job that was cancelled": Known(_approve_cancelled, needs_approval=True),
    "give a ledger another identity": Known(_all_look),
    "record a loss twice": Known(_lose_all, may_be_emptied=True),
    "record no reset": Known(_lose_all, may_be_emptied=True),
    "take an empty ledger for the one before": Known(_lose_all, may_be_emptied=True),
}
"""The schedule for each fault that has one; others are looked for from the first seed on."""
