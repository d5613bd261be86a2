"""The times that the promises of docs/reliability.md are made of add up, whatever the machine does."""

from __future__ import annotations

from ledger.shards import LEASE_S, LOST_ANNOUNCEMENT_S
from ledger.workers import HEARTBEAT_KEEP_S
from worker.drain import DRAIN_S
from worker.fence import FENCE_S
from worker.lease_keeper import KEEP_EVERY_S
from worker.rescue import RESCUE_EVERY_S
from worker.shard_writer import HAND_BACK_S


def test_the_shards_of_a_dead_worker_are_announced_anew_within_15_s():
    """The lease runs out, and the next rescue sees it."""
    assert LEASE_S + RESCUE_EVERY_S <= 15


def test_a_message_lost_on_its_way_is_sent_again_within_60_s():
    assert LOST_ANNOUNCEMENT_S + RESCUE_EVERY_S <= 60


def test_a_lease_outlives_three_renewals_that_fail_and_ends_after_the_last_write():
    assert 3 * KEEP_EVERY_S < FENCE_S < LEASE_S


def test_a_worker_that_is_told_to_end_drains_within_10_s():
    assert HAND_BACK_S < DRAIN_S <= 10


def test_a_heartbeat_outlives_its_next_two():
    assert 2 * RESCUE_EVERY_S < HEARTBEAT_KEEP_S
