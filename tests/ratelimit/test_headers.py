"""What the API says of its own limit is read where it makes sense, and not believed where it does not."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratelimit.headers import LEFT, LIMIT, LONGEST_S, RENEWED_IN, RateLimitHeaders, Remaining, parse_duration
from ratelimit.headers import parse_remaining as read

_UNITS = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def headers(left="5", renewed_in="2s", limit=None):
    """An answer's headers."""
    given_ = {LEFT: left, RENEWED_IN: renewed_in, LIMIT: limit}
    return httpx.Headers({name: value for name, value in given_.items() if value is not None})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0), ("2ms", 0.002), ("12ms", 0.012), ("7.66s", 7.66), ("6m0s", 360), ("2m59.56s", 179.56),
        ("1h2m3s", 3723), ("1µs", 1e-6), ("17", 17), ("0.5", 0.5), (" 3 ", 3), (".5s", 0.5),
    ],
)  # fmt: skip
def test_durations_are_read_as_go_writes_them(text, seconds):
    """The samples of the contract: `6m0s` is six minutes, `12ms` is not twelve of them."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "-1", "-1s", "soon", "1 s", "6m 0s", "s", "1d", "1.2.3s", "1e9", "nan", "inf", "٣s", "1s" * 50]
)
def test_what_is_no_duration_is_nothing(text):
    """Negative values are ignored, as is whatever else a server may send."""
    assert parse_duration(text) is None


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(sorted(_UNITS))), min_size=1, max_size=4))
def test_the_parts_of_a_duration_add_up(parts):
    """Whatever the units."""
    text = "".join(f"{number}{unit}" for number, unit in parts)

    assert parse_duration(text) == pytest.approx(sum(number * _UNITS[unit] for number, unit in parts))


@given(st.text())
def test_no_text_breaks_the_parser(text):
    """None, or a number that can be counted with."""
    seconds = parse_duration(text)

    assert seconds is None or 0 <= seconds < 1e41


@pytest.mark.parametrize(
    ("sent", "allowance"),
    [
        (headers(), Remaining(5, 2)),
        (headers("0", "6m0s", "60"), Remaining(0, 360)),
        (headers("59", "12ms", "60"), Remaining(59, 0.012)),
        (headers("-1"), None),
        (headers("5", "-1"), None),
        (headers("5", "0"), None),
        (headers("5", "2s", "-1"), None),
        (headers("61", "2s", "60"), None),
        (headers("5", None), None),
        (headers(None), None),
    ],
)
def test_an_allowance_is_read_where_it_makes_sense(sent, allowance):
    """Both numbers, neither negative, and no more left than the limit is."""
    assert read(sent) == allowance


def test_what_was_heard_is_given_once_and_grows_old():
    """The time until renewal runs, and a word about a day is taken for a minute at most."""
    now = [100.0]
    rate_headers = RateLimitHeaders(lambda: now[0])
    assert rate_headers.take() is None

    rate_headers.observe(headers("9", "10s"))
    rate_headers.observe(headers("8", "10s"))
    now[0] += 4
    assert rate_headers.take() == Remaining(8, 6)
    assert rate_headers.take() is None

    rate_headers.observe(headers("8", "10s"))
    now[0] += 11
    assert rate_headers.take() is None
    rate_headers.observe(headers("8", "8h0m0s"))
    assert rate_headers.take() == Remaining(8, LONGEST_S)


def test_that_nothing_is_left_counts_only_where_something_was():
    """Azure says 0 with every answer; a real counter counts down."""
    rate_headers = RateLimitHeaders()
    rate_headers.observe(headers("0", "10"))
    assert rate_headers.take() is None

    rate_headers.observe(headers("1", "10"))
    rate_headers.observe(headers("0", "10"))
    taken = rate_headers.take()
    assert taken is not None
    assert taken.left == 0


def test_an_answer_without_such_headers_leaves_what_was_heard():
    """The normal case: one look at a name that is not there."""
    rate_headers = RateLimitHeaders()
    rate_headers.observe(headers("9", "10s"))
    rate_headers.observe(httpx.Headers({"content-type": "application/json"}))

    assert rate_headers.take() is not None
