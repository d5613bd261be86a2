"""A digest says the same to everybody: lines of canonical JSON, SHA-256 a shard, SHA-256 over what the job is for."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.job_spec import Mode
from ledger.row import Outcome, Patch
from ledger.row_reader import ReportedRow
from report.digest import BeforeAfter, before_and_after, job_digest, row_line, shard_digest

BASE_URL = "https://api.openai.com/v1"


def line_by_hand(completion_id, before, after, outcome):
    """A row's line as Python's own library writes it; its order of keys is that of RFC 8785 up to U+FFFF."""
    values = [completion_id, before, after, outcome]
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def row(outcome, patch, before, completion_id="chatcmpl-1"):
    return ReportedRow(Patch(2, completion_id, patch), outcome, None, before)


def test_a_row_is_one_line_of_canonical_json():
    values = BeforeAfter({"team": "search", "new": None}, {"team": "assist", "new": 'a "quoted"\tvalue'})

    line = row_line("chatcmpl-1", values, Outcome.UPDATED)

    expected = (
        b'["chatcmpl-1",{"new":null,"team":"search"},{"new":"a \\"quoted\\"\\tvalue","team":"assist"},"updated"]\n'
    )
    assert expected == line


def test_keys_are_in_the_order_of_their_utf_16_units_as_the_rfc_asks():
    """The example of RFC 8785, section 3.2.3: an emoji stands before U+FB33, though its code point is the larger."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]

    line = row_line("x", BeforeAfter(dict.fromkeys(keys), {}), Outcome.UPDATED)

    assert list(json.loads(line)[1]) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(st.dictionaries(st.text(st.characters(max_codepoint=0xD7FF)), st.text() | st.none()))
def test_any_text_that_can_be_stored_has_the_line_that_json_dumps_gives(values):
    line = row_line("chatcmpl-1", BeforeAfter(values, None), Outcome.UPDATED)

    assert line_by_hand("chatcmpl-1", values, None, "updated") == line


MERGE, REPLACE = Mode.MERGE, Mode.REPLACE
BEFORE = {"team": "search", "kept": "k"}


@pytest.mark.parametrize(
    ("outcome", "mode", "patch", "before", "expected"),
    [
        (Outcome.UPDATED, MERGE, {"team": "a", "kept": "k"}, BEFORE, ({"team": "search"}, {"team": "a"})),
        (
            Outcome.UPDATED,
            MERGE,
            {"team": None, "new": "n"},
            BEFORE,
            ({"team": "search", "new": None}, {"team": None, "new": "n"}),
        ),
        (Outcome.UPDATED, REPLACE, {"team": "a"}, BEFORE, (BEFORE, {"team": "a"})),
        (Outcome.UPDATED, MERGE, {"team": "a"}, None, (None, None)),
        (Outcome.UPDATED, REPLACE, {"team": "a"}, None, (None, None)),
        (Outcome.UNCHANGED, MERGE, {"team": "search"}, BEFORE, ({}, {})),
        (Outcome.UNCHANGED, MERGE, {"team": "search"}, None, ({}, {})),
        (Outcome.UNCHANGED, REPLACE, BEFORE, None, (BEFORE, BEFORE)),
        (Outcome.FAILED, MERGE, {"team": "a"}, BEFORE, (None, None)),
        (Outcome.DRIFTED, REPLACE, {"team": "a"}, BEFORE, (None, None)),
        (Outcome.CANCELLED, MERGE, {"team": "a"}, BEFORE, (None, None)),
    ],
)
def test_a_row_says_what_it_changed(outcome, mode, patch, before, expected):
    assert expected == before_and_after(outcome, patch, before, mode)


def test_a_shard_is_the_sha_256_of_its_lines_in_order():
    rows = [
        row(Outcome.UPDATED, {"team": "é"}, {"team": "b"}),
        row(Outcome.UNCHANGED, {"team": "é"}, {"team": "é"}, "chatcmpl-2"),
        row(Outcome.FAILED, {"team": "é"}, None, "chatcmpl-3"),
    ]
    text = (
        '["chatcmpl-1",{"team":"b"},{"team":"é"},"updated"]\n'
        '["chatcmpl-2",{},{},"unchanged"]\n'
        '["chatcmpl-3",null,null,"failed"]\n'
    )

    assert hashlib.sha256(text.encode()).hexdigest() == shard_digest(rows, Mode.MERGE)
    assert shard_digest(rows, Mode.MERGE) != shard_digest(rows[::-1], Mode.MERGE)


def test_a_job_is_the_sha_256_of_what_it_is_for_and_of_its_shards_in_order():
    first, second = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    text = f'["https://api.openai.com/v1","merge"]\n{first}\n{second}\n'

    assert hashlib.sha256(text.encode()).hexdigest() == job_digest(BASE_URL, Mode.MERGE, [first, second])


@pytest.mark.parametrize(
    ("target", "mode", "order"),
    [("https://eu.api.openai.com/v1", Mode.MERGE, 1), (BASE_URL, Mode.REPLACE, 1), (BASE_URL, Mode.MERGE, -1)],
)
def test_another_api_another_mode_and_another_order_are_another_job(target, mode, order):
    shards = ["a" * 64, "b" * 64]

    assert job_digest(BASE_URL, Mode.MERGE, shards) != job_digest(target, mode, shards[::order])
