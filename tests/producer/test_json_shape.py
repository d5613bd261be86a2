"""JSON of other shapes than one row a line: named, refused whole, with a command that really converts it."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess

import pytest

from ledger.row import Patch
from producer.errors import UnreadableFile
from producer.json_shape import foreign_shape
from producer.jsonl_rows import JsonlRows
from producer.source import open_source

IDS = ["chatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4", "chatcmpl-I0vPebowFBzavAbsO63BBh6XNaBNb"]
ROWS = [{"completion_id": completion_id, "metadata": {"a": "b"}} for completion_id in IDS]
COMPLETIONS = [
    {
        "object": "chat.completion",
        "id": completion_id,
        "metadata": {"a": "b"},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": 'hi: "x"\u2028 {'}}],
    }
    for completion_id in IDS
]
PAGE = {"object": "list", "data": COMPLETIONS, "first_id": IDS[0], "last_id": IDS[1], "has_more": False}
BATCH = {"id": "batch_req_0", "custom_id": "row-0", "response": {"body": COMPLETIONS[0]}, "error": None}
BY_ID = {completion_id: {"a": "b"} for completion_id in IDS}
BY_NAME = "'to_entries[] | {completion_id: .key, metadata: .value}'"
LONG = [COMPLETIONS[0] | {"note": "x" * 70_000}, COMPLETIONS[1]]  # goes on beyond what is looked at


def an_object_a_line(rows: list[dict[str, object]]) -> str:
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"


def lines(*objects: object) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


@pytest.mark.parametrize(
    ("content", "program"),
    [
        (an_object_a_line(ROWS), "'.[]'"),
        ("\ufeff" + an_object_a_line(ROWS), "'.[]'"),
        (json.dumps(ROWS), "'.[]'"),
        (json.dumps(ROWS, indent=2), "'.[]'"),
        (json.dumps(LONG), "'.[]'"),
        ("[" + json.dumps(ROWS[0]) + ",\n" + json.dumps(ROWS[1]) + "]", "'.[]'"),
        (json.dumps(PAGE), "'.data[]'"),
        (json.dumps(PAGE, indent=2), "'.data[]'"),
        (json.dumps(PAGE | {"data": LONG}, indent=2), "'.data[]'"),
        (lines(PAGE, PAGE | {"data": []}), "'.data[]'"),
        (json.dumps({"rows": ROWS}), "'.rows[]'"),
        (json.dumps({"my rows": ROWS, "count": 2}, indent=1), "'.\"my rows\"[]'"),
        (json.dumps({"result": {"page": 1, "hits": ROWS}}), "'.result.hits[]'"),
        ("\n".join(json.dumps(row, indent=2) for row in ROWS), "."),
        ("\n".join(json.dumps(row, indent=4) for row in LONG), "."),
        (json.dumps(ROWS[0]) + json.dumps(ROWS[1]), "."),
        (json.dumps(ROWS[0]) + "\n" + json.dumps(ROWS[1], indent=2), "."),
        (lines(*map(json.dumps, ROWS)), "fromjson"),
        (json.dumps({"0": ROWS[0], "1": ROWS[1]}), "'.[]'"),
        (json.dumps(BY_ID), BY_NAME),
        (json.dumps(BY_ID, indent=2), BY_NAME),
        (lines(*({each: pairs} for each, pairs in BY_ID.items())), BY_NAME),
    ],
    ids=[
        "array, an object a line", "with a BOM", "array in one line", "pretty array", "long array",
        "array around lines", "page", "pretty page", "long page", "pages", "rows", "a name to quote", "nested",
        "pretty", "pretty and long", "concatenated", "pretty from the second on", "strings", "row numbers",
        "ids as names", "ids as names, pretty", "ids as names, one a line",
    ],
)  # fmt: skip
@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_command_of_the_error_makes_rows_of_the_whole_file(tmp_path, content, program):
    """Nothing of the file is taken as it is, and all of it after the conversion that is named."""
    path = tmp_path / "all rows.json"
    path.write_bytes(content.encode())

    with pytest.raises(UnreadableFile) as refused, open_source(path) as source:
        list(JsonlRows(source))

    [command] = re.findall("`(.*)`", str(refused.value))
    assert f" {program} " in command
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    with open_source(tmp_path / "rows.jsonl") as source:
        patches = [row for row in JsonlRows(source) if isinstance(row, Patch)]
    assert [patch.completion_id for patch in patches] == IDS


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_command_for_a_compressed_file_decompresses_it(tmp_path):
    """jq reads plain text only."""
    path = tmp_path / "p.json.gz"
    path.write_bytes(gzip.compress(json.dumps(ROWS).encode()))

    with pytest.raises(UnreadableFile) as refused, open_source(path):
        pass

    [command] = re.findall("`(.*)`", str(refused.value))
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_the_command_never_writes_over_the_file_that_it_reads(tmp_path):
    """The shell empties the file of a redirection before the command reads."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS))

    with pytest.raises(UnreadableFile) as refused, open_source(path):
        pass

    [command] = re.findall("`(.*)`", str(refused.value))
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert json.loads(path.read_text()) == ROWS
    assert len((tmp_path / "new-rows.jsonl").read_text().splitlines()) == 2


def test_standard_input_is_converted_in_the_pipe():
    """There is no file that a command could name."""
    stdin = io.BytesIO(json.dumps(ROWS).encode())

    with pytest.raises(UnreadableFile, match=r"`jq -c '\.\[\]'` in front of relabel"), open_source("-", stdin=stdin):
        pass


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines(BATCH), "--id-column response.body.id"),
        (lines(BATCH | {"response": None, "error": {"code": "x"}}), "--id-column response.body.id"),
        (lines({"custom_id": "row-0", "method": "POST", "url": "/v1/chat/completions", "body": {}}), "input of a bat"),
        (lines({"messages": [{"role": "user", "content": "hi"}]}), "training data"),
        (json.dumps({"error": {"message": "Incorrect API key"}}, indent=2), "download the file again"),
        ("".join(f"\x1e{json.dumps(row)}\n" for row in ROWS), "JSON text sequence"),
        (lines({"completion_id": {"0": IDS[0]}, "q": {"0": "a"}}), "orient='records', lines=True"),
        (lines({"q": dict.fromkeys(IDS, "a"), "r": dict.fromkeys(IDS, "b")}), "orient='records', lines=True"),
        (lines({"completion_id": IDS, "q": ["a", "b"]}), "orient='records', lines=True"),
        (lines({"columns": ["completion_id", "q"], "index": [0], "data": [[IDS[0], "a"]]}), "orient='records', lines"),
        (lines(dict.fromkeys(IDS, "good")), "names are the ids"),
        ('data: {"id":"x"}\n\ndata: [DONE]\n', "a stream of events"),
        ("- completion_id: x\n  metadata:\n    a: b\n", "YAML"),
        ("jq: error (at <stdin>:1): Cannot iterate\n", "a row is {"),
        ("[]", "no rows"),
        (json.dumps(IDS), "without objects"),
        (json.dumps([["id", "team"], [IDS[0], "red"]]), "without objects"),
        ("// exported today\n" + lines(*ROWS), "comment"),
        ("/* exported today */\n" + lines(*ROWS), "comment"),
        ("# exported today\n" + lines(*ROWS), "comment"),
        (str(ROWS), "Python text"),
        ("\n".join(map(str, ROWS)), "Python text"),
        ("SyncCursorPage[ChatCompletion](data=[ChatCompletion(id='chatcmpl-0')])", "Python text"),
        ("[{completion_id: 'x', metadata: {a: 'b'}}]", "no quotes"),
        ("{completion_id: \"x\"}", "no quotes"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_named(refusal, content, said):
    """Where no conversion helps, the error says what the file is and what to do."""
    assert said in str(refusal("p.jsonl", content))


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("line", ["[", "{", "]", "},", "} ]", "[{", json.dumps(ROWS[0]) + ",", json.dumps(ROWS[0]) * 2])
def test_a_part_of_another_document_anywhere_refuses_the_file(refusal, line, at):
    """Rows around it would be applied alone."""
    rows = lines(*ROWS).splitlines()
    content = "\n".join([*rows[:at], line, *rows[at:]])

    error = refusal("p.jsonl", content)

    assert "p.jsonl" in str(error)
    assert at == 0 or error.line == 2


@pytest.mark.parametrize(
    "content", [lines(*ROWS), lines(*COMPLETIONS), "\n\n" + lines(*ROWS), '{"a":1}\n', "{}\n", "null\n"]
)
def test_json_lines_are_not_taken_for_another_shape(content):
    """Whole completions, rows without an id and odd values stay rows, good or rejected."""
    assert foreign_shape(content, id_named=False) is None


def test_the_output_of_a_batch_is_read_where_the_id_is_named():
    """The option is the answer to the error."""
    assert foreign_shape(lines(BATCH), id_named=True) is None


def test_a_deep_or_wide_object_is_no_other_shape():
    """What stands in the head of a hostile file is looked at within bounds."""
    deep = '{"a":' * 20_000
    wide = "{" + ",".join(f'"k{n}":{{"x":[{{}}]}}' for n in range(4000))

    assert foreign_shape(deep, id_named=False) is None
    assert foreign_shape(wide, id_named=False) is None
