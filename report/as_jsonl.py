"""A report as JSONL: the id, the metadata, and the outcome of the row under `relabel`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from config.text import escaped_json
from ledger.job_spec import Columns
from ledger.row import Patch, Rejection
from producer.csv_names import REPORT_FIELD, REPORT_INPUT
from report.as_csv import raw_text
from report.rows import RowStatus

_REPLACEMENT = "\ufffd"  # stands for bytes that were not UTF-8

_encode = msgspec.json.Encoder().encode
_space = re.compile(r"[ \t\r\n]*").match


class JsonlReport:
    """Rows as JSON objects, one a line."""

    def __init__(self, columns: Columns, fields: Sequence[str]) -> None:
        self._fields = fields
        self._columns = columns

    def head(self) -> bytes:
        """Return no bytes: JSONL has no header."""
        return b""

    def row(self, patch: Patch, status: RowStatus) -> bytes:
        """Return the line of a row that was or will be sent."""
        row = {
            self._columns.id_column: patch.completion_id,
            "metadata": patch.metadata,
            REPORT_FIELD: self._facts(status),
        }
        return escaped_json(_encode(row)) + b"\n"

    def rejected(self, rejection: Rejection, status: RowStatus) -> bytes:
        """Return the line of a rejected row: its own text where that is an object, else the text as `relabel.input`."""
        members = None
        if self._columns.format == "jsonl" and _REPLACEMENT not in rejection.cells[0]:
            members = members_of(rejection.cells[0])
        if members is None:
            said = self._facts(status) | {REPORT_INPUT: raw_text(rejection.cells)}
            return escaped_json(_encode({REPORT_FIELD: said})) + b"\n"
        own = [text for name, text in members if name != REPORT_FIELD]
        added = f'"{REPORT_FIELD}":{_encode(self._facts(status)).decode()}'
        return escaped_json(("{" + ", ".join([*own, added]) + "}").encode()) + b"\n"

    def _facts(self, status: RowStatus) -> dict[str, Any]:
        return {field: getattr(status, field) for field in self._fields}


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant).raw_decode


def members_of(text: str) -> list[tuple[str, str]] | None:
    """Return the members of a JSON object as written, each with its name; None where the text is not an object.

    A repeated name, which may be why the row was rejected, is kept each time.
    """
    try:
        decoded, end = _scan(text.strip())
    except (ValueError, RecursionError):
        return None
    text = text.strip()
    if not isinstance(decoded, dict) or end != len(text):
        return None
    return list(_members(text)) if decoded else []


def _members(text: str) -> Any:
    at = 1
    while text[at - 1] != "}":
        start = _after_space(text, at)
        name, at = _scan(text, start)
        at = _after_space(text, _after_space(text, at) + 1)
        _, at = _scan(text, at)
        yield name, text[start:at]
        at = _after_space(text, at) + 1


def _after_space(text: str, at: int) -> int:
    match = _space(text, at)
    return match.end() if match else at
