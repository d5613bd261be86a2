"""How many completions of a job are gone before it gets to them, as they are kept for 30 days."""

from __future__ import annotations

import pytest

from relabel.expiry import OLDEST_FIRST_HINT, Expiry, MinutesLeft, expiry_note, expiry_of
from tests.harness.rows import dated_id

NOW = 1_764_000_000.0
DAY, HOUR = 86_400, 3_600


@pytest.mark.parametrize(
    ("age_s", "seconds", "expected"),
    [
        (31 * DAY, HOUR, Expiry(expired=1)),
        (30 * DAY, HOUR, Expiry(expired=1)),
        (30 * DAY - 60, HOUR, Expiry(expiring=1)),
        (30 * DAY - HOUR, HOUR, Expiry(expiring=1)),
        (30 * DAY - HOUR - 61, HOUR, Expiry()),
        (0, 30 * DAY, Expiry(expiring=1)),
        (0, float("inf"), Expiry(expiring=1)),
        (-DAY, HOUR, Expiry()),
    ],
)
def test_a_completion_expires_30_days_after_it_was_created(age_s, seconds, expected):
    assert expiry_of([dated_id(NOW - age_s)], now=NOW, seconds=seconds) == expected


def test_ids_that_show_no_age_are_counted_apart():
    ids = ["chatcmpl-1", dated_id(NOW - 29 * DAY), "chatcmpl-AyPN-" + "x" * 24]

    assert expiry_of(ids, now=NOW, seconds=DAY) == Expiry(expiring=1, unknown=2)


def test_one_count_answers_for_any_end():
    """And takes as much memory for many completions as for one."""
    left = MinutesLeft(NOW)
    for hours in range(1, 101):
        left.add([dated_id(NOW - 30 * DAY + hours * HOUR)] * 3)

    assert [left.expiry(hours * HOUR).expiring for hours in (0, 1, 50, 100, 1_000)] == [0, 3, 150, 300, 300]


def test_what_is_to_be_known_is_one_sentence_for_each_kind():
    both = expiry_note(Expiry(expired=12, expiring=412), 90_000, hint=OLDEST_FIRST_HINT)

    assert both == (
        "412 of 90,000 completions reach 30 days before the estimated end (--oldest-first takes the oldest first). "
        "12 of 90,000 completions are older than 30 days by their ids, and may be gone."
    )
    assert expiry_note(Expiry(expired=1, expiring=1), 1) == (
        "1 of 1 completion reaches 30 days before the estimated end. "
        "1 of 1 completion is older than 30 days by its id, and may be gone."
    )
    assert expiry_note(Expiry(unknown=5), 5) == ""
