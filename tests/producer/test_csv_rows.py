"""Rows of a CSV file, good and bad."""

from __future__ import annotations

import random

import pytest

from ledger.row import Patch, Rejection

LONG = "x" * 600


def test_an_empty_cell_leaves_its_key_alone(read):
    """Only the cells that are filled become part of the patch."""
    assert read("p.csv", "id,team,note\nabc,,x\n") == [Patch(2, "abc", {"note": "x"})]


def test_blank_lines_pass_and_are_counted(read):
    """Empty lines and lines of white space are no rows."""
    rows = read("p.csv", "id,team\n\nabc,red\n   \n\r\ndef,blue\n\n")

    assert [row.line for row in rows] == [3, 6]


def test_line_numbers_stay_right_after_quoted_newlines(read):
    """A row is named by the line where it starts, and line ends within quotes are kept as they are."""
    rows = read("p.csv", 'id,note\nabc,"one\ntwo\r\nthree"\ndef,x\nghi\n')

    assert rows[:2] == [Patch(2, "abc", {"note": "one\ntwo\r\nthree"}), Patch(5, "def", {"note": "x"})]
    assert rows[2].line == 6


def test_every_row_keeps_its_place_in_a_long_file(read):
    """Rows over several lines and bad bytes are told apart wherever they stand: lines are read in blocks."""
    kinds = {
        b"%d,x\n": None,
        b'%d,"one\ntwo\r\nthree\n"\n': None,
        b'%d,"one\nt\xfco"\n': ("it is not UTF-8", 11),
        b"%d,a\0b\n": ("there is a NUL byte", 6),
    }
    chance = random.Random(3)
    content, line, expected = b"id,note\n", 2, []
    for number in range(1000, 7000):
        kind = chance.choice(list(kinds))
        fault = kinds[kind]
        expected.append((line, fault and f"{fault[0]} at byte offset {len(content) + fault[1]} of the file"))
        content += kind % number
        line += kind.count(b"\n")

    rows = read("p.csv", content)

    found = [(row.line, row.reason.partition(";")[0] if isinstance(row, Rejection) else None) for row in rows]
    assert found == expected


def test_a_stray_quote_is_named_in_its_line_of_a_long_file(refusal):
    """The rows around it, with doubled quotes after a comma and a blank, are sound."""
    rows = "".join(f'{number},"{{""a"": ""x"", ""b"": ""y""}}"\n' for number in range(1000, 3000))

    error = refusal("p.csv", f'id,note\n{rows}abc, "x"\n{rows}')

    assert (error.line, error.column) == (2002, 2)


def test_quotes_and_commas_inside_quotes_are_text(read):
    """Doubled quotes are one quote."""
    assert read("p.csv", 'id,note\nabc,"a ""b"", c"\n') == [Patch(2, "abc", {"note": 'a "b", c'})]


def test_a_metadata_column_holds_an_object(read):
    """Its null removes a key, as in JSONL."""
    content = 'id,metadata\nabc,"{""team"": ""red"", ""gone"": null}"\n'

    assert read("p.csv", content) == [Patch(2, "abc", {"team": "red", "gone": None})]


def test_numbers_in_a_metadata_column_pass_as_text_when_asked_for(read):
    """A number keeps the text that the file has."""
    content = 'id,metadata\nabc,"{""n"": 1.50, ""yes"": true}"\n'

    assert read("p.csv", content, stringify=True) == [Patch(2, "abc", {"n": "1.50", "yes": "true"})]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("abc", None, "the row has 1 cell; the header has 3"),
        ("abc,red,x,y", None, "the row has 4 cells; the header has 3"),
        (",red,", "id", "the id is empty"),
        ("  ,red,", "id", "the id is empty"),
        (f"abc,red,{LONG}", "metadata.note", "value of 'note' has 600 characters; the API allows 512"),
        ("a b,red,", "id", "the id has white space at character 2"),
        ('"a\nb",red,', "id", "the id has white space at character 2"),
        ("abc,re\0d,", None, "there is a NUL byte at byte offset 47 of the file"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_go_on(read, row, column, reason):
    """The rejection names line, column and reason; the rows around it are patches."""
    rows = read("p.csv", f"id,team,metadata.note\nbefore,red,1234567\n{row}\nafter,blue,\n")

    assert [type(row) for row in rows] == [Patch, Rejection, Patch]
    assert (rows[1].line, rows[1].column, rows[1].reason) == (3, column, reason)


def test_a_rejected_row_keeps_its_cells(read):
    """The report shows the row as it was read."""
    assert read("p.csv", 'id,team\n"a,b",red,x\n')[0].cells == ["a,b", "red", "x"]


def test_a_rejected_row_keeps_a_bounded_part_of_its_cells(read):
    """A row of a megabyte does not become a megabyte in the report; neither do endless commas."""
    rows = read("p.csv", b"id,team\n" + b"y" * 100_000 + b",x,x\n" + b"," * 900_000 + b"x\n")

    assert [len(cell) for cell in rows[0].cells] == [16 * 1024]
    assert sum(len(cell) + 1 for cell in rows[1].cells) <= 16 * 1024


def test_text_that_is_not_utf_8_is_named_by_its_byte(read):
    """Latin-1 in one row rejects that row; the byte counts from the start of the file, BOM included."""
    rows = read("p.csv", b"\xef\xbb\xbfid,team\nabc,gr\xfcn\ndef,blue\n")

    assert rows[0].reason == "it is not UTF-8 at byte offset 17 of the file; save the file as UTF-8"
    assert rows[1] == Patch(3, "def", {"team": "blue"})


def test_more_than_sixteen_pairs_are_rejected(read):
    """Sixteen filled cells pass, seventeen do not."""
    keys = ",".join(f"k{n}" for n in range(17))
    rows = read("p.csv", f"id,{keys}\nabc,{'x,' * 16}\ndef,{'x,' * 16}x\n")

    assert len(rows[0].metadata) == 16
    assert rows[1].reason == "it sets 17 pairs; the API allows 16"


def test_length_is_counted_in_characters(read):
    """512 characters of four bytes each are allowed."""
    assert len(read("p.csv", f"id,note\nabc,{'😀' * 512}\n")[0].metadata["note"]) == 512


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[1]", "the metadata is an array, not an object"),
        ("{a: 1}", "it is not valid JSON: expecting property name enclosed in double quotes at character 2"),
        ('"{""a"": 1}"', "value of 'a' is a number, not a string; use --stringify to send its text"),
        ('"{""a"": ""x"", ""a"": ""y""}"', "key 'a' stands in the object more than once"),
    ],
)
def test_a_bad_metadata_cell_is_rejected(read, cell, reason):
    """The column to blame is the metadata column."""
    [row] = read("p.csv", f"id,metadata\nabc,{cell}\n")

    assert (row.line, row.column, row.reason) == (2, "metadata", reason)


def test_text_after_a_closing_quote_rejects_its_row(read):
    """Where the quotes of the one line pair up, the rows around it are sure."""
    rows = read("p.csv", 'id,note\nabc,"x" y\ndef,z\n')

    reason = 'text stands after a closing quote; double each " inside the cell, or put the whole cell in quotes'
    assert rows[0] == Rejection(2, "note", reason, ['abc,"x" y'])
    assert rows[1] == Patch(3, "def", {"note": "z"})


def test_a_cell_beyond_the_csv_modules_limit_rejects_its_row(read):
    """One huge cell on one line is a bad row, not a bad file."""
    rows = read("p.csv", f"id,note\nabc,{'x' * 200_000}\ndef,z\n")

    assert rows[0].reason == "a cell is longer than 131,072 characters"
    assert rows[1] == Patch(3, "def", {"note": "z"})


@pytest.mark.parametrize(
    ("rows", "line", "column"),
    [
        ('abc,x\ndef,"open\nghi,y\n', 3, 2),
        ('abc,x\ndef,"open\n"ghi","y"\n', 3, 2),
        ('abc,x\n"a\nb","open\nghi,y\n', 4, 2),
        ('abc,x\ndef,"x"open"\nghi,y\n', 3, 2),
        ('abc,"open\n' + "ghi,y\n" * 30_000, 2, 2),
    ],
)
def test_an_unclosed_quote_refuses_the_file_and_names_where_it_was_opened(refusal, rows, line, column):
    """It would swallow the rows after it, so nothing in the file can be trusted."""
    error = refusal("p.csv", "id,note\n" + rows)

    assert "a quote is opened here" in str(error)
    assert (error.line, error.column) == (line, column)


def test_a_row_without_end_is_refused_before_it_fills_the_memory(refusal):
    """Quotes out of step can make one row of a whole file; the bound of a line holds for it too."""
    error = refusal("p.csv", 'id,note\n"' + '\n","' * 400_000)

    assert error.line == 2
    assert "1,048,576 characters" in str(error)


def test_bare_cr_line_ends_are_refused(refusal):
    """Two rows in one line cannot be told apart from one broken row."""
    error = refusal("p.csv", "id,note\nabc,x\ndef,y\rghi,z\n")

    assert error.line == 3
    assert "bare CR" in str(error)


def test_doubled_cr_line_ends_are_accepted(read):
    """A file that went through text mode twice on Windows ends its lines with CR CR LF."""
    assert read("p.csv", "id,note\r\r\nabc,x\r\r\n") == [Patch(2, "abc", {"note": "x"})]
