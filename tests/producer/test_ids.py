"""Which ids are sent, refused or warned about."""

from __future__ import annotations

import json

import pytest

from ledger.row import Patch


@pytest.mark.parametrize(
    "completion_id",
    ["chat_abc123", "a/../b", "a%2fb", "x?y#z", "resp_1", "ü-1", "...", "a", "x" * 255, "'=1", "\u200bx"],
)
def test_an_id_is_opaque(read, completion_id):
    """Other servers have other ids, and what is dangerous in an address is encoded when it is sent."""
    content = json.dumps({"id": completion_id, "metadata": {"a": "x"}})

    assert read("p.jsonl", content) == [Patch(1, completion_id, {"a": "x"})]


@pytest.mark.parametrize(
    ("completion_id", "problem"),
    [
        (" ", "is empty"),
        (".", "is '.', which would name another address"),
        ("..", "is '..', which would name another address"),
        ("a b", "has white space at character 2"),
        ("a\u00a0b", "has white space at character 2"),
        ("a\nb", "has white space at character 2"),
        ("ab\x7f", "has a control character at character 3"),
        ("\x01ab", "has a control character at character 1"),
        ("x" * 256, "has 256 characters; 255 are allowed"),
    ],
)
def test_an_id_that_could_reach_another_address_is_refused(read, completion_id, problem):
    """The reason says what is wrong, not which id it was."""
    [row] = read("p.jsonl", json.dumps({"id": completion_id, "metadata": {"a": "x"}}))

    assert (row.column, row.reason) == ("id", f"the id {problem}")


def test_odd_ids_are_counted_with_the_lines_of_the_first(checked):
    """They are sent all the same: formats change, only the person can tell a paste error."""
    usual = ["chatcmpl-" + "aB3" * 9 + "xy", "chatcmpl-123e4567-e89b-12d3-a456-426614174000"]
    odd = ["chat_abc", "chatcmpl-" + "aB3" * 9 + "xy-0", "chatcmpl-short", "x"]

    result = checked("p.csv", "id,a\n" + "".join(f"{name},x\n" for name in usual + odd))

    assert result.total == 6
    assert result.odd_ids == (4, [4, 5, 6])
