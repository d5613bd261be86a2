"""Which completions are selected, and what is asked of the API: its own filters are checked again here."""

from __future__ import annotations

import pytest

from selection.completion import Completion
from selection.errors import BadSelection, LeftOut
from selection.filters import read_filters
from selection.options import FilterOptions, LabelOptions, SelectOptions
from selection.selection import read_selection

DAY = 86_400
NOW = 1_795_003_200.0
"""2026-11-18 12:00 UTC."""
MIDNIGHT = NOW - DAY / 2


def filters(**options):
    return read_filters(FilterOptions(**options), now=NOW)


def selects(held, /, **options):
    return filters(**options).select(Completion("chatcmpl-abc", int(NOW), "gpt-4o-2024-08-06", held))


def test_metadata_is_asked_for_and_checked_again():
    """A service may show what no longer holds."""
    query = filters(metadata=("team=search", "k=a=b", "empty=")).query

    assert query.metadata == {"team": "search", "k": "a=b", "empty": ""}
    assert selects({"team": "search"}, metadata=("team=search",))
    assert not selects({"team": "docs"}, metadata=("team=search",))
    assert not selects({}, metadata=("team=",))


@pytest.mark.parametrize(
    ("asked", "sent", "model", "found"),
    [
        ("gpt-4o", None, "gpt-4o", True),
        ("gpt-4o", None, "gpt-4o-2024-08-06", True),
        ("gpt-4o", None, "gpt-4o-mini-2024-07-18", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", "gpt-4o", False),
        ("a.c", None, "abc", False),
    ],
)
def test_a_models_name_finds_its_snapshots(asked, sent, model, found):
    """Only a snapshot's own name is sent: what a service makes of the other is not known."""
    assert filters(model=asked).query.model == sent
    assert bool(filters(model=asked).select(Completion("chatcmpl-abc", int(NOW), model, {}))) is found


def test_a_model_that_is_not_shown_leaves_its_completion_out():
    """Named, as it might be the one that is asked for."""
    with pytest.raises(LeftOut, match="model not shown"):
        filters(model="gpt-4o").select(Completion("chatcmpl-abc", int(NOW), None, {}))


@pytest.mark.parametrize(
    ("options", "since", "until", "order"),
    [
        ({}, None, None, "desc"),
        ({"since": "2026-11-18"}, MIDNIGHT, None, "desc"),
        ({"since": "3d"}, NOW - 3 * DAY, None, "desc"),
        ({"until": "2026-11-18T00:00"}, None, MIDNIGHT, "asc"),
        ({"until": "20d"}, None, NOW - 20 * DAY, "asc"),
        ({"since": "28d", "until": "27d"}, NOW - 28 * DAY, NOW - 27 * DAY, "asc"),
        ({"since": "2d", "until": "1d"}, NOW - 2 * DAY, NOW - DAY, "desc"),
        ({"expiring": "3d"}, None, NOW - 27 * DAY, "asc"),
        ({"since": "3d", "where": 'created >= "1d"'}, NOW - DAY, None, "desc"),
        ({"until": "3d", "where": 'created < "20d"'}, None, NOW - 20 * DAY, "asc"),
    ],
)
def test_times_decide_where_the_reading_begins_and_ends(options, since, until, order):
    """At the end of the list that is nearer; a time of the expression counts as one of its own option."""
    found = filters(**options)

    assert (found.since, found.until, found.query.order) == (since, until, order)


def test_a_limit_takes_the_newest_and_with_expiring_the_oldest():
    """Whatever would be fewer pages."""

    def order(limit, **options):
        return read_selection(SelectOptions(FilterOptions(**options), limit=limit), now=NOW).filters.query.order

    assert (order(None, until="20d"), order(5, until="20d"), order(5, expiring="3d")) == ("asc", "desc", "asc")


def test_a_function_may_decide():
    """In Python."""
    assert selects({"n": "3"}, where=lambda completion: completion.metadata["n"] == "3")
    assert not selects({"n": "4"}, where=lambda completion: completion.metadata["n"] == "3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"since": "yesterday"}, "--since: 'yesterday' is no moment"),
        ({"until": "2026-13-01"}, "--until: "),
        ({"since": "1d", "until": "2d"}, "nothing can have been created"),
        ({"since": "2026-11-18", "until": "2026-11-18"}, "nothing can have been created"),
        ({"expiring": "3d", "until": "1d"}, "leave one out"),
        ({"expiring": "2026-11-18"}, "such as 3d"),
        ({"expiring": "31d"}, "such as 3d"),
        ({"expiring": "0d"}, "such as 3d"),
        ({"metadata": ("team",)}, "KEY=VALUE"),
        ({"metadata": ("team=a", "team=b")}, "two values of 'team'"),
        (
            {"where": "metadata.score > 0.8"},
            "--where, column 1: metadata values are text; write number(metadata.score)",
        ),
    ],
)
def test_filters_that_make_no_sense_are_refused(options, said):
    """With what to write instead."""
    with pytest.raises(BadSelection) as caught:
        filters(**options)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 1}, "--seed goes with --sample"),
        ({"limit": 5, "sample": "5"}, "--limit and --sample"),
        ({"limit": 0}, "--limit must be 1 or more"),
        ({"sample": "x"}, "no sample"),
        ({"filters": FilterOptions(where='metadata.a matches "\udcff"')}, "not UTF-8"),
        ({"labels": LabelOptions(set=("k=\udcff",))}, "not UTF-8"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, said):
    """As above."""
    with pytest.raises(BadSelection) as caught:
        read_selection(SelectOptions(**options), now=NOW)

    assert said in str(caught.value)


def test_other_options_have_another_fingerprint():
    """By which an interrupted selection is known again; a function is never known again."""
    options = [
        SelectOptions(),
        SelectOptions(FilterOptions(model="a")),
        SelectOptions(FilterOptions(where="has(metadata.a)")),
        SelectOptions(FilterOptions(metadata=("a=b",))),
        SelectOptions(labels=LabelOptions(set=("a=b",))),
        SelectOptions(labels=LabelOptions(keys=("a=b",))),
        SelectOptions(limit=1),
        SelectOptions(sample="1"),
    ]
    prints = [each.fingerprint("http://x") for each in options]
    function = SelectOptions(FilterOptions(where=bool))

    assert len({*prints, options[0].fingerprint("http://y")}) == len(options) + 1
    assert prints == [each.fingerprint("http://x") for each in options]
    assert function.fingerprint("http://x") != function.fingerprint("http://x")
