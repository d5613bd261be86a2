"""A worker that slept sends nothing late: the fence, its clocks, and what asks it."""

from __future__ import annotations

import asyncio

import pytest

from ledger.clock import Clocks
from ledger.errors import LeaseLost
from ratelimit.limiter import HandBack
from worker.fence import FENCE_S, ClaimLost, LeaseFence, WriteGate


class CliProcess:
    """Two clocks that are set by hand."""

    def __init__(self):
        self.running, self.wall = 100.0, 1_000_000.0
        self.clocks = Clocks(lambda: self.running, lambda: self.wall)
        self.fence = LeaseFence(self.clocks)

    def renew(self):
        """Send a renewal that is confirmed at once."""
        self.fence.confirm(self.clocks.read())

    def passes(self, running, wall):
        """Let time pass by each clock."""
        self.running += running
        self.wall += wall


@pytest.fixture
def machine():
    """A machine whose lease was renewed just now."""
    machine = CliProcess()
    machine.renew()
    return machine


@pytest.mark.parametrize(
    ("running", "wall", "holds"),
    [
        (FENCE_S - 0.1, FENCE_S - 0.1, True),
        (FENCE_S + 0.1, FENCE_S + 0.1, False),  # stopped, or suspended: CLOCK_BOOTTIME goes on
        (5.5, 6.2, False),  # the larger one counts
        (6.2, 5.5, False),
        (1.0, 3.0, False),  # they disagree: the wall clock was set, or the machine's other clock stood still
        (1.0, 0.5, True),  # slewed by NTP
        (1.0, -3600.0, False),  # set back: never an extension
        (20.0, 5.9, False),
        (0.0, 30.0, False),  # a paused VM that learns the time when it wakes
    ],
)
def test_a_renewal_is_believed_for_six_seconds_by_both_clocks(machine, running, wall, holds):
    """By the one that went further, while they agree to a second."""
    machine.passes(running, wall)

    assert machine.fence.holds is holds


def test_a_wall_clock_that_was_set_back_extends_nothing_after_the_next_renewal_either(machine):
    """The next confirmed renewal opens the fence, for six seconds from then."""
    machine.passes(1.0, -3600.0)
    machine.renew()
    assert machine.fence.holds

    machine.passes(FENCE_S + 0.1, FENCE_S + 0.1)

    assert not machine.fence.holds


def test_a_renewal_counts_from_when_it_was_sent(machine):
    """Its answer lay in the socket while the worker slept."""
    sent = machine.clocks.read()
    machine.passes(60.0, 60.0)

    machine.fence.confirm(sent)

    assert not machine.fence.holds


def test_nothing_passes_before_the_first_renewal():
    """A shard that was leased some time ago, too."""
    assert not CliProcess().fence.holds


async def test_whoever_comes_late_waits_for_a_renewal(machine):
    """One that was sent long ago opens nothing."""
    old = machine.clocks.read()
    machine.passes(60.0, 60.0)
    waiting = [asyncio.create_task(machine.fence.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    machine.fence.confirm(old)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)

    machine.renew()

    await asyncio.wait_for(asyncio.gather(*waiting), 10)


async def test_whoever_waits_learns_that_the_lease_is_lost(machine):
    """And nobody passes any more."""
    machine.passes(60.0, 60.0)
    waiting = asyncio.create_task(machine.fence.wait())
    await asyncio.sleep(0)

    machine.fence.lose()

    with pytest.raises(LeaseLost):
        await waiting
    machine.renew()
    assert not machine.fence.holds


async def test_a_write_leaves_only_with_its_claim(machine):
    """The lease alone is not enough."""
    gate = WriteGate(machine.fence, holds_claim=lambda: False, is_stopped=lambda: False)

    assert not gate.is_open()
    with pytest.raises(ClaimLost):
        await gate.wait()


async def test_a_write_that_waited_is_handed_back_where_the_job_was_put_down_meanwhile(machine):
    """Paused, and perhaps undone, while its worker slept."""
    machine.passes(60.0, 60.0)
    gate = WriteGate(machine.fence, holds_claim=lambda: True, is_stopped=lambda: True)
    waiting = asyncio.create_task(gate.wait())
    await asyncio.sleep(0)

    machine.renew()

    with pytest.raises(HandBack):
        await waiting
