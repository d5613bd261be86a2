"""Recognises JSON that is not one row a line: arrays, pages of a list, objects over several lines, and other files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import PurePath
from typing import NamedTuple

from producer.rules import is_usual_id

ROW_FORM = '{"completion_id": "chatcmpl-...", "metadata": {"team": "search"}}'
"""A row as JSON Lines has it, for messages."""
BATCH_ID = "response.body.id"
"""The path of a completion's id in the output of the Batch API. Source: Batch API reference, request output object."""

_OUTPUT = "rows.jsonl"
_DOCUMENTS = r"(?:data|items|results?|rows|records|completions|objects|entries|value|docs|hits)\Z"
_is_usual_list = re.compile(_DOCUMENTS, re.IGNORECASE).match
_MOST_LEVELS = 4  # of objects around a list of rows

_field = re.compile(r'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*').match
_ID_FIELDS = ("completion_id", "id")
_opens_numbered = re.compile(r'\{\s*"\d+"\s*:').match
_opens_lists = re.compile(r"\[\s*\[").match
_opens_objects = re.compile(r"\[\s*\{").match
_opens_array_of_others = re.compile(r'\[\s*(?:["\[0-9tfn-])').match
_is_name = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z").match
_NOT_JSON = (
    (re.compile(r"[\[({\s]*\{\s*'").match, "this is Python text, not JSON; write it with json.dumps"),
    (re.compile(r"[\[\s]*\{\s*[A-Za-z_$][\w$]*\s*:").match, "the names have no quotes, so this is no JSON; quote them"),
    (
        re.compile(r"(?:data|event): ").match,
        "this is a stream of events as a server sends it, not rows; save the objects",
    ),
    (
        re.compile(r"(?:---\s+|- )(?:- )?[A-Za-z_]\w*:\s").match,
        "this looks like YAML, not JSON; write an object a line",
    ),
    (re.compile(r"//|/\*|#").match, "it begins with a comment, which JSON does not have; remove it"),
    (
        re.compile(r"[A-Za-z_][\w.]*(?:\[[\w.\[\]]*\])?\(").match,
        "this is Python text, not JSON; write model_dump_json()",
    ),
)
# a line of nothing but brackets, as only a document over several lines has it
_is_bracket = re.compile(r"\[\s*\{?|\{|\}\s*,?(?:\s*\{)?|\]\s*,?|\}\s*\]").fullmatch

_decoder = json.JSONDecoder(strict=False)


class Shape(NamedTuple):
    """What a JSON text is that is not one row a line: a sentence, and the program of jq that makes rows of it."""

    what: str
    program: str = ""

    def advice(self, path: str, compression: str) -> str:
        """Return the sentence with the command for a file; `path` is '' for standard input."""
        if not self.program:
            return self.what
        jq = f"jq -c {shlex.quote(self.program)}"
        if not path:
            return f"{self.what}; convert it with `{jq}` in front of relabel"
        file = shlex.quote(path)
        output = _OUTPUT if PurePath(path).name != _OUTPUT else f"new-{_OUTPUT}"  # the shell empties it before jq reads
        tool = {".gz": "gzip", ".zst": "zstd"}.get(compression)
        command = f"{tool} -dc {file} | {jq}" if tool else f"{jq} {file}"
        return f"{self.what}; convert it: `{command} > {output}`"


_SPREAD = Shape("an object goes over several lines, not one object a line", ".")
_TOGETHER = Shape("several objects stand in one line, not one object a line", ".")


def foreign_shape(head: str, *, id_named: bool) -> Shape | None:
    """Return what a JSON text is, by its beginning, where it is not JSON Lines; None where it is, or is no JSON.

    `id_named`: the user says where the id is, so that a file of the Batch API is read as it is.
    """
    text = head.lstrip(" \t\r\n")
    if text.startswith("\x1e"):
        return Shape("this is a JSON text sequence; take the mark off each line: `tr -d '\\036'`")
    for matches, sentence in _NOT_JSON:
        if matches(text):
            return Shape(sentence)
    if text.startswith("["):
        return _array(text)
    if text.startswith('"{'):
        return Shape("each line is a string that holds JSON", "fromjson")
    return _object(text, id_named=id_named) if text.startswith("{") else None


def _array(text: str) -> Shape:
    if text[1:].lstrip().startswith("]"):
        return Shape("this is an empty JSON array; there are no rows in it")
    if _opens_array_of_others(text):
        return Shape(f"this is a JSON array without objects; a row is an object: {ROW_FORM}")
    return Shape("this is a JSON array, not one object a line", ".[]")


def _object(text: str, *, id_named: bool) -> Shape | None:
    fields = _fields(text, 0)
    if not id_named and (other := _not_rows(fields)):
        return other
    if by_name := _by_name(text, fields):
        return by_name
    if path := _list_path(text, 0, ()):
        program = "." + ".".join(map(_quoted, path)) + "[]"
        page = text.startswith('"list"', fields.get("object", len(text)))
        what = "a page of a list" if page else "one object with a list"
        return Shape(f"this is {what}, its rows in {'.'.join(path)!r}, not one object a line", program)
    return _SPREAD if _goes_on(text) else None


def _by_name(text: str, fields: dict[str, int]) -> Shape | None:
    """Return what one object for many rows is: by the names of their ids, or of their columns, or by their numbers."""
    if fields and all(map(is_usual_id, fields)):
        what, at = "this is an object whose names are the ids, not one row a line", next(iter(fields.values()))
        program = "to_entries[] | {completion_id: .key, metadata: .value}"
        return Shape(what, program) if text.startswith("{", at) else Shape(f"{what}; a row is {ROW_FORM}")
    within = (
        _fields(text, of_first) if text.startswith("{", of_first := next(iter(fields.values()), 0)) and fields else {}
    )
    values = [(name, text[at : at + 1]) for name, at in fields.items()]
    if values and all(name.isdigit() and value == "{" for name, value in values):
        return Shape("this is an object whose names are row numbers, not one row a line", ".[]")
    of_ids = next((at for name, at in fields.items() if name in _ID_FIELDS), None)
    in_columns = of_ids is not None and (
        _opens_numbered(text, of_ids) or (len(values) > 1 and {value for _, value in values} == {"["})
    )
    if (
        in_columns
        or (within and all(map(is_usual_id, within)))
        or ("columns" in fields and _opens_lists(text, fields.get("data", len(text))))
    ):
        return Shape(
            "this is an object of columns, not one row a line; write rows, as to_json(..., orient='records', "
            "lines=True) does"
        )
    return None


def _not_rows(fields: dict[str, int]) -> Shape | None:
    """Return what a file is whose lines are about other things than completions with metadata."""
    if "custom_id" in fields and "response" in fields:
        return Shape(f"this is the output of a batch, whose 'id' is a request's; set --id-column {BATCH_ID}")
    if "custom_id" in fields and "body" in fields:
        return Shape("this is the input of a batch, which names no completions; take the batch's output file")
    if "messages" in fields and not _names_id(fields):
        return Shape(f"this is training data (messages), which names no completions; a row is {ROW_FORM}")
    if set(fields) == {"error"}:
        return Shape("this is an error that a server answered with, not rows; download the file again")
    return None


def _list_path(text: str, start: int, above: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the path to the first list of rows in an object that is no row itself."""
    fields = _fields(text, start)
    if _names_id(fields) or "custom_id" in fields or "metadata" in fields or len(above) == _MOST_LEVELS:
        return None
    for name, at in fields.items():
        if opening := _opens_objects(text, at):
            if _is_usual_list(name) or _names_id(_fields(text, opening.end() - 1)):
                return (*above, name)
        elif text.startswith("{", at) and (path := _list_path(text, at, (*above, name))):
            return path
    return None


def _names_id(fields: dict[str, int]) -> bool:
    return not fields.keys().isdisjoint(_ID_FIELDS)


def _fields(text: str, start: int) -> dict[str, int]:
    """Return the fields of the object that begins at `start`, each with the place of its value.

    Ends where the text does, as it may be the beginning of a long one.
    """
    fields: dict[str, int] = {}
    at = start + 1
    while found := _field(text, at):
        try:
            fields[_decoder.decode(found[1])] = found.end()
            _, at = _decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError):
            break
    return fields


def _goes_on(text: str) -> bool:
    """Return whether the object in the first line is not complete there, and the next line goes on with it."""
    line, _, rest = text.partition("\n")
    following = rest.lstrip()
    return _is_cut(line) and bool(following) and not following.startswith("{")


def _is_cut(line: str) -> bool:
    """Return whether a line is JSON as far as it goes, and more is to come."""
    line = line.rstrip()
    try:
        _decoder.raw_decode(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line)
    except (ValueError, RecursionError):
        return False
    return False


def _quoted(name: str) -> str:
    return name if _is_name(name) else json.dumps(name)


def shape_around(line: str) -> Shape | None:
    """Return what a line that is no row shows of its file: a document over several lines, or several objects in one."""
    text = line.strip()
    if _is_bracket(text):
        return _SPREAD._replace(
            what="this line is a part of JSON that goes over several lines", program=_any_rows(text)
        )
    try:
        _, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    rest = text[end:].lstrip()
    if rest == ",":
        return Shape(
            "a comma stands after the object, as in a JSON array; remove it from each line: `sed 's/,[[:space:]]*$//'`"
        )
    return _TOGETHER if rest.lstrip(" ,").startswith("{") and text.startswith("{") else None


def _any_rows(text: str) -> str:
    return ".[]" if "[" in text or "]" in text else "."
