"""What a CSV header may say."""

from __future__ import annotations

import pytest

from ledger.job_spec import Columns
from ledger.row import Patch, Rejection


@pytest.mark.parametrize("id_column", ["completion_id", "id"])
@pytest.mark.parametrize("key", ["team", "metadata.team"])
def test_columns_are_named_plainly_or_with_a_prefix(read, id_column, key):
    """Both names of the id column and both spellings of a key give the same patch."""
    assert read("p.csv", f"{key},{id_column}\nred,abc\n") == [Patch(2, "abc", {"team": "red"})]


def test_spaces_around_names_are_no_part_of_them(read):
    """Spaces after commas are habit, not meaning."""
    assert read("p.csv", "id, team \nabc,red\n") == [Patch(2, "abc", {"team": "red"})]


def test_blank_lines_before_the_header_pass(read):
    """Line numbers still count them."""
    assert read("p.csv", "\n\r\nid,team\nabc,red\n") == [Patch(4, "abc", {"team": "red"})]


@pytest.mark.parametrize(
    ("header", "says", "column"),
    [
        ("team,note", "there is no id column", None),
        ("id", "there is no metadata column", None),
        ("id,completion_id,team", "a 'completion_id' and an 'id' column", 2),
        ("id,team,,note", "names no column", 3),
        ("id,team,note,team", "column 'team' stands in column 2 too", 4),
        ("id,id,team", "column 'id' stands in column 1 too", 2),
        ("id,team,metadata.team", "key 'team' has column 2 already", 3),
        ("id,metadata,team", "column 'team' is unknown beside a 'metadata' column", 3),
        ("id,metadata.team,metadata", "column 'metadata.team' is unknown", 2),
        ("id,metadata.", "did you mean 'metadata'?", 2),
        ("id,team," + "k" * 65, "has 65 characters; the API allows 64", 3),
    ],
)
def test_a_header_that_says_nothing_sure_is_refused(refusal, header, says, column):
    """A wrong column would be wrong in every row, so the file is refused with line and column."""
    error = refusal("p.csv", f"{header}\nabc,red\n")

    assert says in str(error)
    assert (error.line, error.column) == (1, column)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"id,t\xe4m", "not UTF-8 at byte offset 4"),
        (b"id,te\0am", "NUL byte at byte offset 5"),
        (b'id,"team', "a quote is never closed"),
        (b'id,"te"am', "text stands after a closing quote"),
        (b"id,team\rabc,red\rdef,blue", "bare CR"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(refusal, header, says):
    """The error names the first line and the reason."""
    error = refusal("p.csv", header + b"\nabc,red\n")

    assert says in str(error)
    assert error.line == 1


def test_a_header_alone_is_a_file_without_rows(read):
    """Whether that is refused is not the header's business (`producer.check`)."""
    assert read("p.csv", "id,team\n") == []


def test_the_columns_are_kept_for_the_report(checked):
    """A report can be written in the input's own columns, in their order."""
    columns = checked("p.csv", "team,id,metadata.note\nred,abc,x\n").columns

    assert columns == Columns("csv", "id", ["team", "id", "metadata.note"])


def test_a_report_can_be_fed_back_in(read):
    """Its outcome columns are passed over and the guard against formulas is taken off."""
    content = "id,relabel.outcome,'=key,relabel.reason\n'-abc,failed,''=1+1,no\nshort\n"

    assert read("p.csv", content) == [
        Patch(2, "-abc", {"=key": "'=1+1"}),
        Rejection(3, None, "the row has 1 cell; the header has 4", ["short"]),
    ]


def test_a_rejected_row_that_a_report_shows_as_text_keeps_that_text(read):
    """However often it is fed back; once its own columns are filled in, they count."""
    content = (
        'id,team,relabel.outcome,relabel.input\n,,rejected,"a,""b"",c"\na,,rejected,"a"\na,b,rejected,"a"\n,b,x,a\n'
    )

    kept, unchanged, corrected, wrong = read("p.csv", content)

    assert (kept.column, kept.cells) == ("relabel.input", ['a,"b",c'])
    assert kept.reason.startswith("the row was rejected before; correct the text")
    assert (unchanged, corrected) == (Patch(3, "a", {}), Patch(4, "a", {"team": "b"}))
    assert (wrong.column, wrong.cells) == ("id", ["", "b"])


def test_a_report_whose_own_columns_are_gone_is_noticed(checked):
    """Its guards would become part of the values; of a report that has one of them left, they are taken off."""
    rows = "completion_id,delta,phone,note{}\na,'-5,'+49 30 1,{}\nb,5,x,it's{}\nc,,'@x,{}\nd,'quoted',-5,''=1{}\n"

    gone = checked("p.csv", rows.format(*[""] * 5))
    kept = checked("p.csv", rows.format(",relabel.at", *[","] * 4))

    (notice,) = gone.reading.notices
    assert notice.startswith("3 rows have values that begin with ' and a sign")
    assert "(first in line 2, 4, 5)" in notice
    assert (kept.reading.notices, kept.rejected) == ((), 0)


def test_a_rejected_row_of_a_report_keeps_only_its_own_cells(read):
    """So that the next report does not stack outcome columns."""
    [row] = read("p.csv", "relabel.outcome,id,relabel.reason,team\nfailed,,no,'=red\n")

    assert (row.column, row.cells) == ("id", ["", "=red"])


def test_a_plain_file_keeps_its_leading_quotes(read):
    """Only a report was escaped, so only a report is unescaped."""
    assert read("p.csv", "id,team\nabc,'=1\n") == [Patch(2, "abc", {"team": "'=1"})]
