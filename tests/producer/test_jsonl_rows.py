"""Rows of a JSONL file, good and bad."""

from __future__ import annotations

import json

import pytest

from ledger.job_spec import Columns
from ledger.row import Patch, Rejection

ROW_FORM = '{"completion_id": "chatcmpl-...", "metadata": {"team": "search"}}'
NO_ID = "the id is missing; the line needs a field 'completion_id' or 'id'"
TWO_IDS = "'completion_id' and 'id' have different values; keep one of them"
TWO_MAPS = "field 'metadata' stands in the line more than once"


def line(**metadata: object) -> str:
    return json.dumps({"id": "abc", "metadata": metadata})


def test_null_asks_for_removal_and_other_fields_pass(read):
    """A report's own fields, or a whole export, do not disturb."""
    content = '{"x": {"a": [1]}, "completion_id": "abc", "metadata": {"team": "red", "gone": null}}\n'

    assert read("p.jsonl", content) == [Patch(1, "abc", {"team": "red", "gone": None})]


@pytest.mark.parametrize("value", ["10:30", 'say "x": y', "a\\b", "\u2028", "😀", ""])
def test_any_text_may_be_a_value(read, value):
    """Colons, quotes and separators in a value are text, whichever way the line is read."""
    assert read("p.jsonl", f"{line(note=value)}\n") == [Patch(1, "abc", {"note": value})]


def test_blank_lines_pass_and_are_counted(read):
    """Line numbers are those of an editor."""
    rows = read("p.jsonl", f"\n{line(a='x')}\r\n  \n{line(a='y')}\n")

    assert [row.line for row in rows] == [2, 4]


def test_both_id_fields_pass_when_they_agree(read):
    """Saying the same thing twice is no mistake."""
    content = '{"id": "abc", "completion_id": "abc", "metadata": {"a": "x"}}'

    assert read("p.jsonl", content) == [Patch(1, "abc", {"a": "x"})]


def test_ids_are_trimmed(read):
    """Spaces around an id come from copying it."""
    assert read("p.jsonl", '{"id": " abc\\t", "metadata": {"a": "x"}}')[0].completion_id == "abc"


def test_numbers_and_booleans_pass_as_their_json_text_when_asked_for(read):
    """Nothing is lost: the text is the file's, not a float's."""
    content = '{"id": "abc", "metadata": {"a": 1, "b": 1e400, "c": false, "d": 0.10, "e": null, "f": "x"}}'

    assert read("p.jsonl", content, stringify=True) == [
        Patch(1, "abc", {"a": "1", "b": "1e400", "c": "false", "d": "0.10", "e": None, "f": "x"})
    ]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"relabel": {"outcome": "rejected", "input": "[1, \\"x\\"]"}}', '[1, "x"]'),
        ('{"relabel": {"outcome": "rejected", "input": 7}}', None),
        ('{"relabel": {"outcome": "rejected"}}', None),
        ('{"relabel": "x"}', None),
        ('{"note": "x", "relabel": {"input": "y"}}', None),
    ],
)
def test_a_rejected_row_that_a_report_quotes_keeps_what_is_quoted(read, text, kept):
    """So that the next report quotes the row, and not the report."""
    [row] = read("p.jsonl", text + "\n")

    assert row.cells == [kept or text]


@pytest.mark.parametrize("value", [[1], {"a": "b"}, []])
def test_nested_values_stay_rejected_even_then(read, value):
    """There is no one text for an array or an object."""
    [row] = read("p.jsonl", line(a=value), stringify=True)

    assert row.reason == f"value of 'a' is an {'array' if isinstance(value, list) else 'object'}, not a string"


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ('{"id"', None, "it is not valid JSON: expecting ':' delimiter at character 6"),
        ("{'id': 'a'}", None, "it is Python text, not JSON; write it with json.dumps"),
        ('{"id": "abc"} x', None, "it is not valid JSON: extra data at character 15"),
        ('{"id": NaN}', None, "it is not valid JSON: NaN and Infinity are not allowed"),
        ("[" * 100_000, None, "the JSON is nested too deeply"),
        ("[]", None, "the line is not a JSON object"),
        ("null", None, "the line is not a JSON object"),
        ('"x"', None, "the line is not a JSON object"),
        ('{"metadata": {"a": "x"}}', "completion_id", NO_ID),
        ('{"id": null, "metadata": {"a": "x"}}', "completion_id", NO_ID),
        ('{"id": "", "metadata": {"a": "x"}}', "id", "the id is empty"),
        ('{"id": 7, "metadata": {"a": "x"}}', "id", "the id is a number, not a string"),
        ('{"id": ["x"], "metadata": {"a": "x"}}', "id", "the id is an array, not a string"),
        ('{"id": "a", "completion_id": "b", "metadata": {"a": "x"}}', "id", TWO_IDS),
        ('{"id": "a", "id": "b", "metadata": {"a": "x"}}', "id", "field 'id' stands in the line more than once"),
        ('{"id": "a", "\\u0069d": "b", "metadata": {"a": "x"}}', "id", "field 'id' stands in the line more than once"),
        ('{"id": "a", "metadata": {"a": "x"}, "metadata": {"b": "x"}}', "metadata", TWO_MAPS),
        ('{"id": "a", "metadata": {"a": "x", "a" : "y"}}', "metadata", "key 'a' stands in the object more than once"),
        ('{"id": "a"}', "metadata", f"there is no 'metadata' field; a row is {ROW_FORM}"),
        ('{"id": "a", "metadata": null}', "metadata", "the metadata is null, not an object"),
        ('{"id": "a", "metadata": "x"}', "metadata", "the metadata is a string, not an object"),
        (line(a=1), "metadata", "value of 'a' is a number, not a string; use --stringify to send its text"),
        (line(a=True), "metadata", "value of 'a' is a boolean, not a string; use --stringify to send its text"),
        (line(a=[]), "metadata", "value of 'a' is an array, not a string"),
        (line(**{"": "x"}), "metadata", "a metadata key is empty"),
        (line(**{"k" * 65: "x"}), "metadata", f"key '{'k' * 64}…' has 65 characters; the API allows 64"),
        (line(a="x" * 513), "metadata", "value of 'a' has 513 characters; the API allows 512"),
        (line(**{f"k{n}": "x" for n in range(17)}), "metadata", "it sets 17 pairs; the API allows 16"),
        (line(a="x\ud800"), "metadata", "value of 'a' has half of a surrogate pair at character 2"),
        (line(**{"\udc00": "x"}), "metadata", "key '\\udc00' has half of a surrogate pair at character 1"),
        ('{"id": "\\ud800", "metadata": {"a": "x"}}', "id", "the id has half of a surrogate pair at character 1"),
        (line(a="x\0"), "metadata", "value of 'a' has a NUL character at character 2"),
        ('{"id": "a\0"}', None, "there is a NUL byte at byte offset 47 of the file"),
        ('{"id": "\r", "metadata": {}}', None, "it is not valid JSON: invalid control character at character 9"),
    ],
)  # fmt: skip
def test_a_bad_line_is_rejected_and_the_others_go_on(read, text, column, reason):
    """The rejection names line, field and reason; the lines around it are patches."""
    rows = read("p.jsonl", f"{line(a='x')}\n{text}\n{line(a='y')}\n")

    assert [type(row) for row in rows] == [Patch, Rejection, Patch]
    assert (rows[1].line, rows[1].column, rows[1].reason) == (2, column, reason)
    assert rows[1].cells == [text[: 16 * 1024]]


@pytest.mark.parametrize("text", ['{"team": "red", "gone": null}', ' {"team":"red","gone":null} '])
def test_metadata_that_is_json_text_counts_as_what_it_holds(read, text):
    """A column of JSON is exported as a string by databases and by pandas."""
    content = json.dumps({"id": "abc", "metadata": text})

    assert read("p.jsonl", content) == [Patch(1, "abc", {"team": "red", "gone": None})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": "x"', "it is not valid JSON: expecting ',' delimiter at character 10"),
        ('{"a": "x", "a": "y"}', "key 'a' stands in the object more than once"),
        ('{"a": 1}', "value of 'a' is a number, not a string; use --stringify to send its text"),
        ("{'a': 'x'}", "it is Python text, not JSON; write it with json.dumps"),
        ('["a"]', "the metadata is a string, not an object"),
    ],
)
def test_json_text_as_metadata_is_read_strictly(read, text, reason):
    """Nothing is guessed that would not be in an object either."""
    [row] = read("p.jsonl", json.dumps({"id": "abc", "metadata": text}))

    assert (row.column, row.reason) == ("metadata", reason)


def test_sixteen_pairs_beside_removals_pass(read):
    """Removing a key takes no room."""
    metadata = {f"k{n}": "x" for n in range(16)} | {"gone": None}

    assert read("p.jsonl", line(**metadata)) == [Patch(1, "abc", metadata)]


@pytest.mark.parametrize(
    "bad", [b'{"id":"abc","metadata":{"a":"\xff"}}', b'{"id":"abc","x":"\xff","metadata":{"a":"x"}}']
)
def test_text_that_is_not_utf_8_is_named_by_its_byte(read, bad):
    """Also in a field that is otherwise passed over."""
    [row] = read("p.jsonl", b"\n\n" + bad)

    assert row.reason == f"it is not UTF-8 at byte offset {2 + bad.index(0xFF)} of the file; save the file as UTF-8"
    json.dumps(row.cells).encode()


def test_lines_ended_by_bare_cr_are_refused(refusal):
    """Several rows in what looks like one line would be lost as one."""
    error = refusal("p.jsonl", f"{line(a='x')}\r{line(a='y')}\r")

    assert error.line == 1
    assert "bare CR" in str(error)


@pytest.mark.parametrize("field", ["id", "completion_id"])
def test_the_name_of_the_id_field_is_kept_for_the_report(checked, field):
    """The first good row tells it."""
    content = f'bad\n{{"{field}": "abc", "metadata": {{"a": "x"}}}}\n'

    assert checked("p.jsonl", content).columns == Columns("jsonl", field, [])


def test_reasons_show_no_values_and_no_whole_ids(read):
    """Metadata is customer data, and reasons end up in logs."""
    canary = "canary" * 100
    content = "\n".join(
        [
            line(a=canary),
            line(a=[canary]),
            '{"id": "abc", "metadata": {"a": "' + canary,
            json.dumps({"id": canary, "metadata": {"a": "x"}}),
            json.dumps({"id": f"{canary[:20]} {canary[:20]}", "metadata": {"a": "x"}}),
        ]
    )

    rows = read("p.jsonl", content)

    assert [type(row) for row in rows] == [Rejection] * 5
    assert not any("canary" in row.reason for row in rows)
