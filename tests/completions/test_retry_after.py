"""When to try again: the official SDK's ladder, with the SDK itself as the judge where it and we agree."""

from __future__ import annotations

import email.utils
import math
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from completions.retry_after import LONGEST_DELAY_S, LONGEST_RETRY_AFTER_S, backoff, retry_after

NOW = 1_763_900_000.0


@pytest.fixture(scope="module")
def official():
    """The SDK's client: loaded for the tests that use it, because that takes a second."""
    from openai import OpenAI

    with OpenAI(api_key="sk-test", max_retries=100) as client:
        yield client


def asked(now=NOW, **headers):
    """What is read from these headers, at a fixed moment."""
    return retry_after(httpx.Headers({name.replace("_", "-"): text for name, text in headers.items()}), now=lambda: now)


def date_in(seconds):
    """An HTTP date so many seconds after the fixed moment."""
    return email.utils.formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after_ms": "soon", "retry_after": "7"}, 7.0),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": " 1.5 "}, 1.5),
        ({"retry_after": date_in(30)}, 30.0),
    ],
)
def test_the_most_exact_word_of_the_server_counts(headers, seconds):
    """Milliseconds go before seconds, seconds before a date."""
    assert asked(**headers) == seconds


@pytest.mark.parametrize("text", ["121", "86400", "1e308", date_in(86_400), date_in(10**9)])
def test_a_huge_wait_is_capped(text):
    """Azure was seen to ask for a day; two minutes are the most that is followed."""
    assert asked(retry_after=text) == LONGEST_RETRY_AFTER_S


@pytest.mark.parametrize(
    "text",
    ["", "-1", "-0.5", "nan", "inf", "-inf", "soon", "1 1 1", "0", "0.0", date_in(-1), date_in(-(10**8)), date_in(0)],
)
def test_what_says_nothing_of_use_is_not_followed(text):
    """As in the SDK, garbage, zero and moments in the past leave the wait to our own numbers, never to none at all."""
    assert asked(retry_after=text) is None
    assert asked(retry_after_ms=text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 2024 99999999999:00:00 +0000",
        "Mon, 01 Jan 2024 00:00:00 -9999999999999999999999",
        "Mon, 01 Jan 2024 00:00:00 +2500",
        "Mon, 31 Feb 2024 00:00:00 GMT",
    ],
)
def test_an_impossible_date_is_garbage_and_not_an_error(text):
    """A header of the server can never bring a worker down."""
    assert asked(retry_after=text) is None


def test_a_date_without_a_zone_is_in_gmt(monkeypatch):
    """HTTP knows an old form of date that names no zone; the machine's own zone has no say in it."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        text = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(NOW + 30))

        assert asked(retry_after=text) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_no_header_says_nothing():
    """Without a word of the server there is nothing to follow."""
    assert asked() is None


@given(text=st.text(max_size=40) | st.floats().map(str) | st.integers().map(str) | st.datetimes().map(str))
def test_any_header_gives_a_sane_wait_or_none(text):
    """Whatever stands in the header: more than zero and at most two minutes, or nothing."""
    seconds = retry_after({"retry-after": text, "retry-after-ms": text})

    assert seconds is None or 0 < seconds <= LONGEST_RETRY_AFTER_S


@given(
    millis=st.none() | st.integers(-5, 130_000).map(str) | st.just("x"),
    wait=st.none()
    | st.integers(-5, 130).map(str)
    | st.integers(-100, 100).map(lambda seconds: (seconds,))
    | st.sampled_from(["x", "nan"]),
)
def test_the_official_client_reads_the_same(official, millis, wait):
    """We follow the word of the server where the SDK does, but for two choices of ours.

    We cap what the SDK will not wait for, and an unusable `retry-after-ms` does not hide a good `retry-after`.
    """
    if isinstance(wait, tuple):
        wait = email.utils.formatdate(time.time() + wait[0], usegmt=True)
    headers = httpx.Headers({k: v for k, v in (("retry-after-ms", millis), ("retry-after", wait)) if v is not None})
    before = time.time()
    theirs = official._parse_retry_after_header(headers)

    ours = retry_after(headers, now=lambda: before)

    hidden = millis is not None and millis.lstrip("-").isdigit() and int(millis) <= 0
    if theirs is not None and theirs > 0:
        assert ours == pytest.approx(min(theirs, LONGEST_RETRY_AFTER_S), abs=1.1)
    elif not hidden:
        assert ours is None or theirs is None or theirs == pytest.approx(ours, abs=1.1)


@given(failures=st.integers(1, 2000), jitter=st.floats(0, 1, exclude_max=True))
def test_backoff_stays_within_the_official_bounds(failures, jitter):
    """min(0.5 * 2^n, 8) seconds, less up to a quarter."""
    whole = min(0.5 * 2.0 ** min(failures - 1, 100), LONGEST_DELAY_S)

    seconds = backoff(failures, jitter=lambda: jitter)

    assert 0.75 * whole <= seconds <= whole


@pytest.mark.parametrize("failures", [1, 2, 3, 5, 8, 60])
def test_backoff_is_that_of_the_official_client(official, failures):
    """Without a word of the server, the SDK waits the same at the same try."""
    from openai._models import FinalRequestOptions

    options = FinalRequestOptions(method="post", url="/")
    theirs = [official._calculate_retry_timeout(100 - (failures - 1), options) for _ in range(200)]

    assert backoff(failures, jitter=lambda: 0) >= max(theirs)
    assert backoff(failures, jitter=lambda: 1) <= min(theirs)
    assert math.isclose(backoff(failures, jitter=lambda: 0), max(theirs), rel_tol=0.05)
