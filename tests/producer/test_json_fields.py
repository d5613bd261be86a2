"""JSONL whose id and keys are where the options say: Batch output, flat objects, names of other programs."""

from __future__ import annotations

import json

import pytest

from config.input_options import KeyColumn, key_columns
from ledger.job_spec import Columns
from ledger.row import Patch

ID = "chatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4"
BATCH_ID = "response.body.id"
TWO_VALUES = "'team' is a field of the line and a key of its metadata, with other values; keep one of them"
A_NUMBER = "value of 'team' is a number, not a string; use --stringify to send its text"
TEAM, RENAMED = KeyColumn("team", "team"), KeyColumn("quality", "Quality")


def twice(**fields: object) -> str:
    """Write the line two times: the first of a file is read carefully, the second at once where it can be."""
    return f"{json.dumps(fields)}\n" * 2


def batch(**body: object) -> dict[str, object]:
    response = {"status_code": 200, "body": {"object": "chat.completion", "id": ID, "choices": [{"index": 0}], **body}}
    return {"id": "batch_req_0", "custom_id": "row-0", "response": response, "error": None}


@pytest.mark.parametrize(
    ("fields", "options", "metadata"),
    [
        # --id-column
        ({"Id": ID, "metadata": {"a": "b"}}, {"id_column": "Id"}, {"a": "b"}),
        ({"a.b": ID, "metadata": {"a": "b"}}, {"id_column": "a.b"}, {"a": "b"}),
        (batch(metadata={"a": "b"}), {"id_column": BATCH_ID}, {"a": "b"}),
        (batch(metadata={"a": "b"}) | {"metadata": {"c": "d"}}, {"id_column": BATCH_ID}, {"c": "d"}),
        # --columns of flat objects, of metadata, by a path, and as the whole metadata
        (
            {"id": ID, "team": "red", "Quality": "good", "x": 1},
            {"columns": (TEAM, RENAMED)},
            {"team": "red", "quality": "good"},
        ),
        ({"id": ID, "team": "red"}, {"columns": (TEAM,)}, {"team": "red"}),
        ({"id": ID, "team": None}, {"columns": (TEAM,)}, {"team": None}),
        ({"id": ID, "metadata": {"team": "red", "x": "y"}}, {"columns": (TEAM,)}, {"team": "red"}),
        ({"id": ID, "metadata": '{"team": "red", "x": "y"}'}, {"columns": (TEAM,)}, {"team": "red"}),
        ({"id": ID, "team": "red", "metadata": {"team": "red"}}, {"columns": (TEAM,)}, {"team": "red"}),
        ({"id": ID, "labels": {"team": "red"}}, {"columns": (KeyColumn("team", "labels.team"),)}, {"team": "red"}),
        ({"id": ID, "team": "red"}, {"columns": (KeyColumn("metadata.team", "team"),)}, {"team": "red"}),
        ({"id": ID, "labels": {"team": "red"}}, {"columns": (KeyColumn("metadata", "labels"),)}, {"team": "red"}),
        (
            batch(metadata={"a": "b"}),
            {"id_column": BATCH_ID, "columns": (KeyColumn("model", "response.body.object"),)},
            {"model": "chat.completion"},
        ),
        ({"id": ID, "score": 0.1}, {"columns": (KeyColumn("score", "score"),), "stringify": True}, {"score": "0.1"}),
        # --null
        ({"id": ID, "metadata": {"a": "NULL", "b": "x"}}, {"null": frozenset({"NULL"})}, {"a": None, "b": "x"}),
        ({"id": ID, "metadata": {"a": "", "b": "x"}}, {"null": frozenset({""})}, {"a": None, "b": "x"}),
        ({"id": ID, "team": "NULL"}, {"columns": (TEAM,), "null": frozenset({"NULL"})}, {"team": None}),
    ],
)
def test_the_options_say_where_the_id_and_the_keys_are(read, fields, options, metadata):
    """Read at once or carefully, a line says the same."""
    assert read("p.jsonl", twice(**fields), **options) == [Patch(1, ID, metadata), Patch(2, ID, metadata)]


@pytest.mark.parametrize(
    ("line", "options", "column", "reason"),
    [
        ('{"id": "x"}', {"id_column": "Id"}, "Id", "the line has no field 'Id'"),
        ('{"Id": 7}', {"id_column": "Id"}, "Id", "the id is a number, not a string"),
        ('{"Id": null}', {"id_column": "Id"}, "Id", "the id is missing"),
        ('{"Id": "a", "Id": "b"}', {"id_column": "Id"}, "Id", "field 'Id' stands in the line more than once"),
        ('{"a": {"b": "x", "b": "y"}}', {"id_column": "a.b"}, "b", "field 'b' stands in the line more than once"),
        ('{"a": {}, "a": {"b": "x"}}', {"id_column": "a.b"}, "a", "field 'a' stands in the line more than once"),
        ('{"id": "abc", "team": 1}', {"columns": (TEAM,)}, "team", A_NUMBER),
        (
            '{"id": "abc", "team": {"a": "b"}}',
            {"columns": (TEAM,)},
            "team",
            "value of 'team' is an object, not a string",
        ),
        ('{"id": "abc", "team": "a", "metadata": {"team": "b"}}', {"columns": (TEAM,)}, "team", TWO_VALUES),
    ],
)
def test_a_line_without_them_is_rejected(read, line, options, column, reason):
    """With the field that was looked for."""
    good = json.dumps({"Id": ID, "id": ID, "a": {"b": ID}, "team": "red", "metadata": {"team": "red"}})

    row = read("p.jsonl", f"{good}\n{line}\n", **options)[1]

    assert (row.line, row.column, row.reason) == (2, column, reason)


def test_a_field_that_no_line_has_refuses_the_file(refusal):
    """A key that is mistyped would be set nowhere, and nobody would notice."""
    columns = key_columns("team,qualty")

    assert "no line has a field 'qualty'" in str(refusal("p.jsonl", twice(id=ID, team="red"), columns=columns))


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({"id": 1, "chat": ID, "metadata": {"a": "b"}}, "'chat' looks like one: --id-column chat"),
        ({"Id": ID, "metadata": {"a": "b"}}, "'Id' looks like one: --id-column Id"),
        (
            {"completion": {"id": ID}, "metadata": {"a": "b"}},
            "'completion.id' looks like one: --id-column completion.id",
        ),
        ({"id": ID, "team": "red", "note": "x", "y": 1, "z": "z"}, "--columns team,note,y"),
        ({"id": ID, "object": "chat.completion", "created": 1, "model": "m", "team": "red"}, "--columns team"),
        ({"id": ID, "Metadata": {"a": "b"}}, "did you mean 'Metadata'? Then set --columns metadata=Metadata"),
        ({"id": ID}, 'a row is {"completion_id": "chatcmpl-...", "metadata": {"team": "search"}}'),
    ],
)
def test_a_row_in_another_form_is_told_the_option_or_the_right_form(read, fields, advice):
    """What stands in the line is what the next step is made of."""
    for row in read("p.jsonl", twice(**fields)):
        assert advice in row.reason


def test_a_report_writes_the_id_where_it_is_read_without_options(checked):
    """So it can be submitted as it is, or with the options of its file."""
    result = checked("p.jsonl", twice(**batch(metadata={"a": "b"})), id_column=BATCH_ID)
    report = json.dumps({"completion_id": ID, "metadata": {"a": "b"}})

    assert result.columns == Columns("jsonl", "completion_id", [])
    assert checked("report.jsonl", report).total == 1
    assert checked("report.jsonl", report, id_column=BATCH_ID).total == 1


def test_a_delimiter_is_for_csv(refusal):
    """An option that does nothing is refused."""
    assert "--delimiter" in str(refusal("p.jsonl", twice(id=ID, metadata={"a": "b"}), delimiter=";"))
