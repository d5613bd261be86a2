"""What an expression means, row by row of its table; it is checked before anything is sent, and named by its column."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selection.completion import Completion
from selection.errors import BadExpression
from selection.expression import MOST_DEPTH, compile_where
from selection.grammar import MOST_CHARS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
NOVEMBER_20 = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp())
DAY = 86_400


def holds(expression, metadata=None, *, created=NOVEMBER_20, model="gpt-4o-mini-2024-07-18"):
    """Whether an expression holds of a completion."""
    completion = Completion("chatcmpl-abc", created, model, metadata or {})
    return compile_where(expression, now=NOW).matches(completion)


def missing(expression, metadata):
    """Why a completion is left out, '' where it simply does not match."""
    where = compile_where(expression, now=NOW)
    completion = Completion("chatcmpl-abc", NOVEMBER_20, "gpt-4o", metadata)
    return "" if where.matches(completion) else where.missing(completion)


TABLE = [
    ('metadata.team == "search"', {"team": "search"}, True),
    ('metadata.team == "search"', {"team": "docs"}, False),
    ('metadata.team == "search"', {}, False),
    ("metadata.team == 'search'", {"team": "search"}, True),
    ('"search" == metadata.team', {"team": "search"}, True),
    ('metadata["cost-center"] in ["a","b"]', {"cost-center": "b"}, True),
    ('metadata["cost-center"] in ["a","b"]', {"cost-center": "c"}, False),
    ('metadata["cost-center"] in ["a","b"]', {}, False),
    ('metadata.team not in ["a"]', {"team": "b"}, True),
    ('metadata.team not in ["a"]', {}, True),
    ("has(metadata.reviewed)", {"reviewed": ""}, True),
    ("has(metadata.reviewed)", {}, False),
    ("not has(metadata.reviewed)", {}, True),
    ("not has(metadata.reviewed)", {"reviewed": "yes"}, False),
    ('metadata.reviewed != "yes"', {"reviewed": "no"}, True),
    ('metadata.reviewed != "yes"', {"reviewed": "yes"}, False),
    ('metadata.reviewed != "yes"', {}, True),
    ("number(metadata.score) >= 0.8", {"score": "0.8"}, True),
    ("number(metadata.score) >= 0.8", {"score": " 1e0 "}, True),
    ("number(metadata.score) >= 0.8", {"score": "0.79"}, False),
    ("number(metadata.score) >= 0.8", {"score": "high"}, False),
    ("number(metadata.score) >= 0.8", {"score": "nan"}, False),
    ("number(metadata.score) >= 0.8", {"score": "infinity"}, False),
    ("number(metadata.score) >= 0.8", {"score": "1_000"}, False),
    ("number(metadata.score) >= 0.8", {"score": "1e999999999999"}, False),
    ("number(metadata.score) >= 0.8", {}, False),
    ("number(metadata.score) != 0.8", {"score": "high"}, True),
    ("not number(metadata.score) >= 0.8", {}, True),
    ("0.8 <= number(metadata.score)", {"score": "0.9"}, True),
    ("number(metadata.score) == -1.5e2", {"score": "-150"}, True),
    ("number(metadata.score) in [1, 2.0]", {"score": "2"}, True),
    ("number(metadata.score) in [1, 2.0]", {"score": "3"}, False),
    ("number(metadata.account) == 12345678901234567890", {"account": "12345678901234567891"}, False),
    ("number(metadata.a) < number(metadata.b)", {"a": "9", "b": "10"}, True),
    ("number(metadata.a) < number(metadata.b)", {"a": "9"}, False),
    ('metadata.note matches "^dup"', {"note": "duplicate"}, True),
    ('metadata.note matches "^dup"', {"note": "a dup"}, False),
    ('metadata.note matches "dup"', {"note": "a dup"}, True),
    ('metadata.note matches "^dup"', {}, False),
    (r'metadata.note matches "^\d+$"', {"note": "123"}, True),
    ('metadata.note matches "é$"', {"note": "café"}, True),
    ('model startsWith "gpt-4o"', {}, True),
    ('model startsWith "gpt-5"', {}, False),
    ('metadata.note startsWith "a"', {}, False),
    ('metadata.version < "b"', {"version": "a"}, True),
    ('metadata.version < "b"', {}, False),
    ('metadata.version > "b"', {}, False),
    ("metadata.a == metadata.b", {"a": "x", "b": "x"}, True),
    ("metadata.a == metadata.b", {}, False),
    ("metadata.a != metadata.b", {}, True),
    ("metadata.a != metadata.b", {"a": "x"}, True),
    (r'metadata.note == "a \"b\" \\ c"', {"note": r'a "b" \ c'}, True),
    ('metadata["a.b"] == "x"', {"a.b": "x"}, True),
    ('id == "chatcmpl-abc"', {}, True),
    ('metadata.a == "x" or metadata.b == "y" and metadata.c == "z"', {"a": "x"}, True),
    ('(metadata.a == "x" or metadata.b == "y") and metadata.c == "z"', {"a": "x"}, False),
    ('not metadata.a == "x" and metadata.b == "y"', {"b": "y"}, True),
    ('not (metadata.a == "x" and metadata.b == "y")', {"a": "x", "b": "y"}, False),
    ('metadata.a == "x"\n  and metadata.b == "y"\n  and metadata.c == "z"', {"a": "x", "b": "y", "c": "z"}, True),
]


@pytest.mark.parametrize(("expression", "metadata", "expected"), TABLE)
def test_an_expression_holds_or_does_not(expression, metadata, expected):
    """Each row of the table; a missing key is null, and never an error."""
    assert holds(expression, metadata) is expected


TIMES = [
    ('created >= "2026-11-20"', NOVEMBER_20, True),
    ('created >= "2026-11-20"', NOVEMBER_20 - 1, False),
    ('created > "2026-11-20"', NOVEMBER_20, False),
    ('created < "2026-11-20"', NOVEMBER_20 - 1, True),
    ('created <= "2026-11-20T00:00:30Z"', NOVEMBER_20 + 30, True),
    ('created >= "2026-11-20T02:00+02:00"', NOVEMBER_20, True),
    ('"2026-11-20" <= created', NOVEMBER_20, True),
    ('created >= "3d"', int(NOW) - 3 * DAY, True),
    ('created >= "3d"', int(NOW) - 3 * DAY - 1, False),
    ('created >= "2026-11-20"', None, False),
]


@pytest.mark.parametrize(("expression", "created", "expected"), TIMES)
def test_created_is_compared_with_times(expression, created, expected, monkeypatch):
    """A date is its first moment in UTC, whatever the zone of this machine; `3d` is 3 days ago."""
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    try:
        assert holds(expression, created=created) is expected
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_model_that_is_not_shown_is_null():
    """As a missing key."""
    assert not holds('model startsWith "gpt"', model=None)
    assert holds('model != "gpt-4o"', model=None)


FAULTS = [
    ("metadata.score > 0.8", 1, "metadata values are text; write number(metadata.score) > 0.8"),
    ("0.8 < metadata.score", 7, "metadata values are text; write 0.8 < number(metadata.score)"),
    (
        'has(metadata.a) and metadata["x y"] in [1]',
        21,
        'metadata values are text; write number(metadata["x y"]) in [1]',
    ),
    ('number(metadata.score) > "0.8"', 26, "without quotes"),
    ("number(metadata.a) == metadata.b", 23, "write number(metadata.a) == number(metadata.b)"),
    ("model == 4", 10, 'model is text; write "4"'),
    ('team == "a"', 1, "metadata.team"),
    ('metadata.a.b == "c"', 1, 'metadata["a.b"]'),
    ("metadata.a == null", 15, "not has(metadata.team)"),
    ("metadata.reviewed", 1, "has(metadata.reviewed)"),
    ("not metadata.reviewed", 5, "has(metadata.reviewed)"),
    ("number(metadata.a)", 1, "compare it"),
    ("has(model)", 5, "every completion has model"),
    ('has(metadata.a) == "x"', 1, "not compared"),
    ('"a" == "b"', 1, "constants"),
    ("size(metadata.a)", 1, "has(...) and number(...)"),
    ('created == "2026-11-20"', 1, "<, <=, > or >="),
    ('created in ["2026-11-20"]', 1, "<, <=, > or >="),
    ("created > 5", 11, "3d"),
    ('created > "yesterday"', 11, "yesterday"),
    ('metadata.a matches "a("', 20, "missing )"),
    ("metadata.a matches metadata.b", 20, "quotes"),
    ("metadata.a in []", 15, "empty"),
    ('metadata.a = "x"', 12, "write =="),
    ('metadata.a == "x" && metadata.b == "y"', 19, "write and"),
    ('metadata.a == "x" AND metadata.b == "y"', 19, "write and"),
    ('metadata.cost-center == "x"', 14, 'metadata["..."]'),
    ('metadata.in == "x"', 10, 'metadata["..."]'),
    ('metadata.a == "x', 15, "not closed"),
    ("metadata.a == \u201cx\u201d", 15, "straight quotes"),
    ('metadata.a contains "x"', 12, "matches"),
    ("1 < number(metadata.a) < 2", 24, "join two comparisons with and"),
    ('metadata.a in "x"', 15, "takes a list"),
    ('(metadata.a == "x"', 19, "missing"),
    ('metadata.a == "x")', 18, "')'"),
    ("", 1, "empty"),
    ("number(metadata.a) == 1e9999999", 23, "number"),
    ("x" * (MOST_CHARS + 1), MOST_CHARS + 1, "16,384"),
    ("not " * (MOST_DEPTH + 2) + "has(metadata.a)", 4 * (MOST_DEPTH + 1) + 1, "deep"),
]


@pytest.mark.parametrize(("expression", "column", "said"), FAULTS)
def test_what_is_wrong_with_an_expression_is_named_by_its_column(expression, column, said):
    """With what to write instead."""
    with pytest.raises(BadExpression) as caught:
        compile_where(expression, now=NOW)

    assert caught.value.column == column
    assert said in caught.value.what


def test_parentheses_alone_are_no_depth():
    """They leave nothing behind that is called for each completion."""
    assert holds("(" * 5000 + "has(metadata.a)" + ")" * 5000, {"a": "x"})


LEFT_OUT = [
    ("number(metadata.score) >= 0.8", {}, "metadata.score missing or no number"),
    ("number(metadata.score) >= 0.8", {"score": "high"}, "metadata.score missing or no number"),
    ("number(metadata.score) >= 0.8", {"score": "0.1"}, ""),
    ("number(metadata.score) >= 0.8 and has(metadata.team)", {}, ""),
    ("has(metadata.team) and number(metadata.score) >= 0.8", {}, ""),
    ("number(metadata.score) >= 0.8 and has(metadata.team)", {"team": "a"}, "metadata.score missing or no number"),
    ("number(metadata.score) >= 0.8 or has(metadata.team)", {}, "metadata.score missing or no number"),
    ("not number(metadata.score) != 5", {}, "metadata.score missing or no number"),
    ("number(metadata.a) < number(metadata.b)", {"a": "1"}, "metadata.b missing or no number"),
    ('metadata.team == "a"', {}, ""),
]


@pytest.mark.parametrize(("expression", "metadata", "reason"), LEFT_OUT)
def test_a_completion_that_lacks_a_number_is_counted_where_that_decides(expression, metadata, reason):
    """Wherever the number stands in the expression; one that would not match anyway is not counted."""
    assert missing(expression, metadata) == reason


@pytest.mark.parametrize(
    ("expression", "bounds"),
    [
        ('created >= "2026-11-20" and has(metadata.a)', (NOVEMBER_20, None)),
        ('created < "2026-11-20"', (None, NOVEMBER_20)),
        ('created <= "2026-11-20"', (None, NOVEMBER_20 + 1)),
        ('"2026-11-20" > created', (None, NOVEMBER_20)),
        ('created >= "2026-11-20" and (created > "1d" and has(metadata.a))', (NOW - DAY, None)),
        ('created >= "2026-11-20" or has(metadata.a)', (None, None)),
        ('not created >= "2026-11-20"', (None, None)),
    ],
)
def test_a_time_that_must_hold_bounds_what_is_read(expression, bounds):
    """So that the reading starts at the right end and stops early."""
    where = compile_where(expression, now=NOW)

    assert (where.since, where.until) == bounds


TEXTS = st.sampled_from(["a", "b", "ab", "0.8", "1", "high", ""])
METADATA = st.dictionaries(st.sampled_from(["x", "y", "z"]), TEXTS)
KEYS = st.sampled_from(["x", "y", "z"])
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def compared(left, sign, right):
    """Python's comparison of two values, None for a missing one."""
    if left is None or right is None:
        return sign == "!="
    return {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[sign]


def as_number(text):
    """The number that a text of `TEXTS` is."""
    return float(text) if text in {"0.8", "1"} else None


def with_text(key, sign, text):
    return f'metadata.{key} {sign} "{text}"', lambda m: compared(m.get(key), sign, text)


def with_key(key, sign, other):
    return f"metadata.{key} {sign} metadata.{other}", lambda m: compared(m.get(key), sign, m.get(other))


def with_number(key, sign, number):
    return f"number(metadata.{key}) {sign} {number}", lambda m: compared(as_number(m.get(key)), sign, number)


def beginning(key, text):
    return f'metadata.{key} startsWith "{text}"', lambda m: key in m and m[key].startswith(text)


def one_of(key, texts):
    listed = ", ".join(f'"{text}"' for text in texts)
    return f"metadata.{key} in [{listed}]", lambda m: m.get(key) in texts


ATOMS = st.one_of(
    st.builds(with_text, KEYS, SIGNS, TEXTS),
    st.builds(with_key, KEYS, SIGNS, KEYS),
    st.builds(with_number, KEYS, SIGNS, st.sampled_from([0.8, 1, 2])),
    st.builds(beginning, KEYS, TEXTS),
    st.builds(one_of, KEYS, st.lists(TEXTS, min_size=1)),
    KEYS.map(lambda key: (f"has(metadata.{key})", lambda m: key in m)),
)


def both(one, other):
    return f"({one[0]} and {other[0]})", lambda m: one[1](m) and other[1](m)


def either(one, other):
    return f"({one[0]} or {other[0]})", lambda m: one[1](m) or other[1](m)


def neither(one):
    return f"not ({one[0]})", lambda m: not one[1](m)


EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.builds(both, inner, inner), st.builds(either, inner, inner), st.builds(neither, inner)),
    max_leaves=8,
)


@given(EXPRESSIONS, METADATA)
def test_an_expression_means_what_python_means(expression, metadata):
    """Whatever is joined, negated and nested; and what it lacks is named only where it does not match."""
    text, oracle = expression
    where = compile_where(text, now=NOW)
    completion = Completion("chatcmpl-abc", NOVEMBER_20, "gpt-4o", metadata)

    assert where.matches(completion) == oracle(metadata)
    if not oracle(metadata) and where.missing(completion):
        numbers = [key for key in "xyz" if f"number(metadata.{key})" in text]
        assert any(as_number(metadata.get(key)) is None for key in numbers)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_named_fault(text):
    """Nothing else is raised, and the column lies within the text or right behind it."""
    fault = None
    try:
        compile_where(text, now=NOW)
    except BadExpression as error:
        fault = error

    assert fault is None or 1 <= fault.column <= len(text) + 1


def test_a_pattern_takes_linear_time():
    """One for which a backtracking engine tries every way to divide the text."""
    assert not holds('metadata.a matches "^(a+)+$"', {"a": "a" * 511 + "b"})


def test_times_count_back_from_the_moment_of_the_selection():
    """Not from that of the check, so that a selection that goes on means what it meant."""
    assert compile_where('created >= "1d"', now=NOW + 9 * DAY).since == NOW + 8 * DAY
