"""Which ids are sent, refused or warned about."""

from __future__ import annotations

import json

import pytest

from ledger.row import Patch


@pytest.mark.parametrize(
    "completion_id",
    [
        "chat_abc123",
        f"{'chatcmpl-' + 'aB3' * 9 + 'xy'}-0",
        f"azure-chatcmpl-{'aB3' * 10}",
        "a%2fb",
        "x&y=z",
        "resp_1",
        "ü-1",
        "...",
        "a",
        "x" * 255,
        "'=1",
    ],
)
def test_an_id_is_opaque(read, completion_id):
    """Other servers have other ids, and what has a meaning in an address is encoded when it is sent."""
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
        ("a/../b", "has '/' at character 2, as a path or a URL has"),
        ("x?y#z", "has '?' at character 2, as a path or a URL has"),
        ("x#y", "has '#' at character 2, as a path or a URL has"),
        ("https://example.com/1", "is a URL"),
        ("nan", "is 'nan', which stands for a missing value"),
        ("undefined", "is 'undefined', which stands for a missing value"),
        ("(null)", "is '(null)', which stands for a missing value"),
        ("\u200bx", "has the invisible character U+200B (Zero width space) at character 1"),
        ("ab\u00ad", "has the invisible character U+00AD (Soft hyphen) at character 3"),
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
    assert result.odd_ids == (4, [4, 5, 6], 0)


ID = "chatcmpl-" + "aB3" * 9 + "xy"


@pytest.mark.parametrize(
    ("written", "ends"),
    [
        (f"https://api.openai.com/v1/chat/completions/{ID}", "is a URL; the id seems to be chatcmpl-aB3a…B3xy"),
        (f"{ID}?x=1", "the id seems to be chatcmpl-aB3a…B3xy, its characters 1 to 38: leave only these"),
        (f"\ufeff{ID}", "its characters 2 to 39: leave only these"),
        (f"{ID} {ID[:-1]}z", "it holds 2 ids, which need a row each"),
        (f"{ID},{ID[:-1]}z", "it holds 2 ids, which need a row each"),
        (f"'{ID}", 'has "\'" at character 1; the id seems to be chatcmpl-aB3a…B3xy, its characters 2 to 39'),
        (f"\u201c{ID}\u201d", "has '\u201c' at character 1; the id seems to be chatcmpl-aB3a…B3xy"),
        (f"[{ID}](https://platform.openai.com/logs/{ID})", "the id seems to be chatcmpl-aB3a…B3xy"),
        (f"({ID})", "its characters 2 to 39: leave only these"),
        (f"{ID};", "has ';' at character 39; the id seems to be chatcmpl-aB3a…B3xy, its characters 1 to 38"),
        (f"id={ID}", "has '=' at character 3; the id seems to be"),
        ("../files", "as a path or a URL has"),
    ],
)
def test_the_id_that_was_meant_is_named_where_it_is_plain(read, written, ends):
    """By its place and its ends, as a reason never shows a whole id."""
    [row] = read("p.jsonl", json.dumps({"id": written, "metadata": {"a": "x"}}))

    assert row.reason.endswith(ends) or ends in row.reason
    assert ID not in row.reason


@pytest.mark.parametrize("written", [f"  {ID}  ", f"\u00a0{ID}", f"{ID}\n"])
def test_white_space_around_an_id_is_no_part_of_it(read, written):
    """Cells are copied with it."""
    [row] = read("p.jsonl", json.dumps({"id": written, "metadata": {"a": "x"}}))

    assert row.completion_id == ID
