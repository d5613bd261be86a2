"""Shapes of CSV that people's tools write: each is read for what it is, or refused with what to do about it."""

from __future__ import annotations

import gzip

import pytest

from config.input_options import KeyColumn
from ledger.row import Patch, Rejection

ONE, TWO = "chatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4", "chatcmpl-I0vPebowFBzavAbsO63BBh6XNaBNb"
RED = Patch(2, ONE, {"q": "a"})


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        # delimiters
        (f"completion_id;q\n{ONE};a\n", [RED]),
        (f"completion_id\tq\n{ONE}\ta\n", [RED]),
        (f"completion_id|q\n{ONE}|a\n", [RED]),
        (f"completion_id;q\r\n{ONE};a, b and c\r\n", [Patch(2, ONE, {"q": "a, b and c"})]),
        (f"completion_id;q, or so\n{ONE};a\n", [Patch(2, ONE, {"q, or so": "a"})]),
        (f'"completion_id";"q;r"\n"{ONE}";"a"\n', [Patch(2, ONE, {"q;r": "a"})]),
        (f"completion_id,a;b\n{ONE},x\n{TWO},y;z\n", [Patch(2, ONE, {"a;b": "x"}), Patch(3, TWO, {"a;b": "y;z"})]),
        (f"completion_id;q;relabel.outcome;relabel.reason, in words\n{ONE};a;failed;\n", [RED]),
        (f"\n\ncompletion_id;q\n{ONE};a\n", [Patch(4, ONE, {"q": "a"})]),
        # a line for Excel
        (f"sep=;\ncompletion_id;q\n{ONE};a\n", [Patch(3, ONE, {"q": "a"})]),
        (f"\ufeffSEP=;\r\ncompletion_id;q\r\n{ONE};a\r\n", [Patch(3, ONE, {"q": "a"})]),
        (f'"sep=;"\ncompletion_id;q\n{ONE};a\n', [Patch(3, ONE, {"q": "a"})]),
        (f"sep=\t\ncompletion_id\tq\n{ONE}\ta\n", [Patch(3, ONE, {"q": "a"})]),
        (f"sep=^\ncompletion_id^q\n{ONE}^a\n", [Patch(3, ONE, {"q": "a"})]),
        # names by their meaning
        (f"completion_id,\u00a0q \n{ONE},a\n", [RED]),
        (f"\ufeff\ufeffcompletion_id,q\n{ONE},a\n", [RED]),
        (f'\ufeff"completion_id","q"\n"{ONE}","a"\n', [RED]),
        (f"completion_id,metadata. q\n{ONE},a\n", [RED]),
        (f"completion_id,metadata.ID\n{ONE},a\n", [Patch(2, ONE, {"ID": "a"})]),
        (f"completion_id,👨‍👩‍👧\n{ONE},a\n", [Patch(2, ONE, {"👨‍👩‍👧": "a"})]),
        # columns and rows that nobody filled
        (f"completion_id,q,,\n{ONE},a,,\n{TWO},b\n", [RED, Patch(3, TWO, {"q": "b"})]),
        (f"completion_id,q\n{ONE},a,, \n,,,\n", [RED]),
        (f"completion_id;q;;\n{ONE};a;;\n;;;\n;;;\n", [RED]),
        (
            f"completion_id,key,value\n{ONE},a,b\n{TWO},c,d\n",
            [Patch(2, ONE, {"key": "a", "value": "b"}), Patch(3, TWO, {"key": "c", "value": "d"})],
        ),
        # quotes that are part of a text
        (f'completion_id,q\n{ONE},5" pipe\n', [Patch(2, ONE, {"q": '5" pipe'})]),
        (f'completion_id,q\n{ONE},"a, ""b"""\n', [Patch(2, ONE, {"q": 'a, "b"'})]),
        (f'completion_id,q\n{ONE},"ends with, "\n', [Patch(2, ONE, {"q": "ends with, "})]),
        (f'completion_id,q\n{ONE},"C:\\dir\\"\n', [Patch(2, ONE, {"q": "C:\\dir\\"})]),
    ],
)
def test_what_is_plain_is_read(read, content, rows):
    """Without an option."""
    assert read("p.csv", content) == rows


@pytest.mark.parametrize("ending", ["tsv", "TSV", "tsv.gz"])
def test_a_file_of_tabs_has_a_name_of_its_own(read, ending):
    """It is CSV that is separated otherwise."""

    content = f"completion_id\tq\n{ONE}\ta\n".encode()

    assert read(f"p.{ending}", gzip.compress(content) if ending.endswith("gz") else content) == [RED]


@pytest.mark.parametrize(
    ("content", "line", "column", "words"),
    [
        # what separates the columns is not plain
        (f"completion_id,a;b\n{ONE},x;y\n", 1, None, ["commas and semicolons", "--delimiter ',' or --delimiter ';'"]),
        (f"completion_id:q\n{ONE}:a\n", 1, None, ["one column, 'completion_id:q'", "':' separates", "--delimiter"]),
        (f"completion_id q\n{ONE} a\n", 1, None, ["' ' separates", "--delimiter"]),
        (f'"completion_id;q"\n"{ONE};a"\n', 1, None, ["stand within quotes as a whole"]),
        (f" completion_id | q\n---------------+---\n {ONE} | a\n(1 row)\n", 1, None, ["a table drawn", "psql --csv"]),
        (
            f"+----+---+\n| id | q |\n+----+---+\n| {ONE} | a |\n+----+---+\n",
            1,
            None,
            ["a table drawn", "mysql --batch"],
        ),
        (f"| id | q |\n|:---|---|\n| {ONE} | a |\n", 1, None, ["a table drawn"]),
        (f'"completion_id" "q"\n"{ONE}" "a"\n', 1, None, ["' ' separates", "--delimiter ' '"]),
        (f"sep=,\ncompletion_id;q\n{ONE};a\n", 2, None, ["read as separated by commas", "--delimiter ';'"]),
        (f"┌───┬───┐\n│ id │ q │\n├───┼───┤\n│ {ONE} │ a │\n", 1, None, ["a table drawn", "psql --csv"]),
        (f"-[ RECORD 1 ]-+---\ncompletion_id | {ONE}\nq | a\n", 1, None, ["a table drawn"]),
        (f"{'*' * 27} 1. row {'*' * 27}\ncompletion_id: {ONE}\n", 1, None, ["a table drawn"]),
        (f"completion_id = {ONE}\n            q = a\n", 1, None, ["a table drawn"]),
        (f"   completion_id q\n0  {ONE}  a\n", 1, None, ["a table drawn", "index=False"]),
        (f'"{ONE}","say \\"hi\\""\n', 1, 2, ["escaped with a backslash"]),
        # the header is not there, or elsewhere
        (f"INSERT INTO t VALUES('{ONE}','a');\n", 1, None, ["no header but data"]),
        (f",q,q\n,mean,max\ncompletion_id,,\n{ONE},1,2\n", 1, None, ["goes over lines 1 to 3", "one row"]),
        (f"complet\u200bion_id,q\n{ONE},a\n", 1, None, ["U+200B", "nobody sees; delete it"]),
        (f"'completion_id','q'\n'{ONE}','a'\n", 1, None, ["straight double quotes"]),
        (f"\u201ccompletion_id\u201d,\u201cq\u201d\n{ONE},a\n", 1, None, ["straight double quotes"]),
        # the rows are not those of the header
        (f"completion_id\tq\n1\t{ONE}\ta\n2\t{TWO}\tb\n", 1, None, ["one cell more", "row.names=FALSE"]),
        (f"id,chat_id,q\n1,{ONE},a\n2,{TWO},b\n", 1, None, ["seem to be in 'chat_id'", "--id-column chat_id"]),
        (f"completion_id,{ONE},{TWO}\nq,a,b\nr,c,d\n", 1, 2, ["named by an id", "swap them"]),
        (f"completion_id,key,value\n{ONE},q,a\n{ONE},r,b\n", 1, None, ["a row for each key", "a column for each"]),
        (f"completion_id,q\n{ONE},a\n\ncompletion_id,r\n{TWO},b\n", 4, None, ["a header of other columns", "line 1"]),
        (f"completion_id,q,r\n{ONE},a,b\ncompletion_id,r,q\n", 3, None, ["a header of other columns"]),
        (f"completion_id,q,r\n{ONE},a,b\nr,completion_id,q\nb,{TWO},a\n", 3, None, ["a header of other columns"]),
        (f"completion_id,q\n{ONE},a\nid,note\n1,x\n", 3, None, ["a header of other columns"]),
        (f"id,q\n{ONE},a\ncompletion_id,q\n{TWO},x\n", 3, None, ["a header of other columns"]),
        (f"{ONE},a\n{TWO},b\n", 1, None, ["the first row is no header but data"]),
        (f"Report: labels\nExported 2026-11-01\n\ncompletion_id,q\n{ONE},a\n", 1, None, ["seems to be line 4"]),
        (f"Report, by me\n\nId;Quality\n{ONE};a\n", 1, None, ["seems to be line 3"]),
        (f"Id,Quality\n{ONE},good\n", 1, None, ["'Id', 'Quality'", "did you mean 'Id'?", "--id-column Id"]),
        (f"Completion Id,q\n{ONE},a\n", 1, None, ["did you mean 'Completion Id'?", "--id-column 'Completion Id'"]),
        (f"response,q\n{ONE},a\n", 1, None, ["did you mean 'response'?"]),
        ("completionid_,q\nx,a\n", 1, None, ["did you mean 'completionid_'?"]),
        ("team,note\nx,a\n", 1, None, ["no id column", "'team', 'note'", "--id-column"]),
        (",".join(f"k{n}" for n in range(20)) + "\n", 1, None, ["'k11' and 8 more"]),
        # a name that is nearly one with a meaning
        (
            f'completion_id,Metadata\n{ONE},"{{""a"":""b""}}"\n',
            1,
            2,
            ["did you mean 'metadata'?", "'metadata.Metadata'"],
        ),
        (f"completion_id,Metadata.team\n{ONE},a\n", 1, 2, ["did you mean 'metadata.team'?"]),
        (f"completion_id,metadata[team]\n{ONE},a\n", 1, 2, ["did you mean 'metadata.team'?"]),
        (f"completion_id,metadata/x\n{ONE},a\n", 1, 2, ["did you mean 'metadata.x'?", "set --columns x=metadata/x"]),
        (f"completion_id,metadata_team\n{ONE},a\n", 1, 2, ["did you mean 'metadata.team'?"]),
        (f"completion_id,METADATA : team\n{ONE},a\n", 1, 2, ["did you mean 'metadata.team'?"]),
        (f"completion_id,q,ID\n{ONE},a,b\n", 1, 3, ["did you mean 'id'?", "'metadata.ID'", "--columns"]),
        (f"id,Completion-ID,q\n{ONE},a,b\n", 1, 2, ["did you mean 'completion_id'?"]),
        (f"id,q,Relabel Outcome\n{ONE},a,b\n", 1, 3, ["did you mean 'relabel.Outcome'?"]),
        # names that hide something
        (f"completion_id,te\u200bam\n{ONE},a\n", 1, 2, ["U+200B", "Zero width space", "character 3"]),
        (f"completion_id,a\u00a0b\n{ONE},a\n", 1, 2, ["white space other than a blank", "U+00A0", "character 2"]),
        (f'completion_id,"a\nb"\n{ONE},a\n', 1, 2, ["U+000A"]),
        (f"completion_id,q\u202e\n{ONE},a\n", 1, 2, ["U+202E"]),
        # columns that are too many
        (f",completion_id,q\n0,{ONE},a\n", 1, 1, ["names no column", "index=False", "row.names=FALSE", "--columns"]),
        (f'"","completion_id","q"\n"1","{ONE}","a"\n', 1, 1, ["names no column", "row.names=FALSE"]),
        (f"completion_id,q,q\n{ONE},a,b\n", 1, 3, ["stands in column 2 too"]),
        (f"completion_id,metadata,note\n{ONE},x,y\n", 1, 3, ["beside a 'metadata' column", "--columns metadata"]),
        # quotes that do not begin their cell
        (f'completion_id, "q"\n{ONE}, "a"\n', 1, 2, ["a quote stands after a space", "delete the space"]),
        (f'completion_id,q,r\n{ONE},x, "a, b"\n', 2, 3, ["a quote stands after a space"]),
        (f'completion_id,q\n{ONE},"a"\n{TWO}, ""\n', 3, 2, ["a quote stands after a space"]),
        (f'completion_id,q\n{ONE},"a\nb"\n "{TWO}",x\n', 4, 1, ["a quote stands after a space"]),
        (f'completion_id,q\n{ONE},\u00a0"a"\n', 2, 2, ["a quote stands after other characters"]),
        (f'completion_id,q\n{ONE},\u200b"a"\n', 2, 2, ["a quote stands after other characters"]),
        (f'completion_id,q\n{ONE},="007"\n', 2, 2, ["a quote stands after other characters"]),
        (f'completion_id;q\n{ONE}; "a;b"\n', 2, 2, ["a quote stands after a space"]),
        (f'completion_id\tq\n{ONE}\t "a"\n', 2, 2, ["a quote stands after a space"]),
        # quotes with a backslash, as Spark and MySQL write them
        (
            f'completion_id,metadata\n{ONE},"{{\\"a\\": \\"b\\"}}"\n',
            2,
            2,
            ["a quote is escaped with a backslash", '""'],
        ),
        (f'completion_id,q\n{ONE},"say \\"hi\\", you"\n', 2, 2, ["a quote is escaped with a backslash"]),
        (f'completion_id,q\n{ONE},\\"hi\\"\n', 2, 2, ["a quote is escaped with a backslash"]),
        (f'completion_id,q\n{ONE},"ends \\""\n{TWO},x\n', 2, 2, ["a quote is escaped with a backslash"]),
    ],
)
def test_what_is_not_plain_is_refused_with_what_to_do(refusal, content, line, column, words):
    """At its line and column, before anything is stored."""
    error = refusal("p.csv", content)

    assert (error.line, error.column) == (line, column), error
    for word in words:
        assert word in str(error)


def test_a_header_that_is_data_is_not_quoted(refusal):
    """Cells are customers' data, and a message may be stored."""
    message = str(refusal("p.csv", f"{ONE},secret\n{TWO},secret\n"))

    assert "secret" not in message
    assert ONE not in message


PYTHON = "it is Python text, not JSON; write it with json.dumps"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("{'team': 'search'}", PYTHON),
        ('"{""a"": None}"', PYTHON),
        ('"{""a"": True}"', PYTHON),
        ('"{""a"": \'x\'}"', PYTHON),
        ("{team=search}", "it is a map as SQL shows it, not JSON"),
        ("\"{'team': search}\"", "it is a struct as SQL shows it, not JSON"),
        ('\'{"team":"search"}\'', "it is JSON within single quotes"),
        ('"{\u201cteam\u201d: \u201csearch\u201d}"', "it has typographic quotes"),
        ('"Row(team=""search"")"', 'it is not a JSON object such as {"team": "search"}'),
        ("good", 'it is not a JSON object such as {"team": "search"}'),
        ("NULL", 'it is not a JSON object such as {"team": "search"}; --null NULL takes it for no value'),
        ("\\N", 'it is not a JSON object such as {"team": "search"}; --null \'\\N\' takes it'),
    ],
)
def test_metadata_of_other_languages_is_rejected(read, cell, reason):
    """As a whole: a part of it might be valid."""
    [row] = read("p.csv", f"completion_id,metadata\n{ONE},{cell}\n")

    assert row.column == "metadata"
    assert row.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "column", "reason"),
    [
        (f"completion_id,q\n{ONE},a\n(1 row)\n", None, "the row has 1 cell; the header has 2"),
        (f"completion_id,q\n{ONE},a\n\ufeffcompletion_id, q\n", None, "the row repeats the header"),
        (f"completion_id;q\n{ONE};a\ncompletion_id;q\n", None, "the row repeats the header"),
        (f"completion_id,q\n{ONE},a\n-------------,-\n", None, "the row is a line that is drawn under the header"),
        (f'completion_id,q\n{ONE},a\n"{TWO},b"\n', None, "the row has 1 cell; the header has 2; it stands within"),
        (f"completion_id,q\n{ONE},a\n{TWO},b\\, c\n", None, "the row has 3 cells; the header has 2; a backslash"),
        (f"completion_id,q\n{ONE},a\n{TWO},\u201cb, c\u201d\n", None, "the row has 3 cells; the header has 2; only"),
        (f'completion_id,q\n{ONE},a\n{TWO},"b" \n', "q", "a space stands after a closing quote; delete it"),
    ],
)
def test_a_row_that_is_none_is_rejected_and_the_others_are_read(read, content, column, reason):
    """With its reason."""
    good, bad = read("p.csv", content)

    assert good == RED
    assert isinstance(bad, Rejection)
    assert (bad.line, bad.column) == (3, column)
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (f"completion_id,q;x\n{ONE},a;b\n", {"delimiter": ","}),
        (f",completion_id,q\n0,{ONE},a\n", {"columns": (KeyColumn("q", "q"),)}),
        (f"Unnamed: 0,completion_id,q\n0,{ONE},a\n", {"columns": (KeyColumn("q", "q"),)}),
        (f"Id,Quality\n{ONE},a\n", {"id_column": "Id", "columns": (KeyColumn("q", "Quality"),)}),
        (f"completion_id,Metadata\n{ONE},a\n", {"columns": (KeyColumn("q", "Metadata"),)}),
        (f'completion_id,Metadata\n{ONE},"{{""q"":""a""}}"\n', {"columns": (KeyColumn("metadata", "Metadata"),)}),
        (f"completion_id,metadata_q\n{ONE},a\n", {"columns": (KeyColumn("q", "metadata_q"),)}),
        (f"ID,completion_id,q\nx,{ONE},a\n", {"columns": (KeyColumn("q", "q"),)}),
        (f"completion_id^q\n{ONE}^a\n", {"delimiter": "^"}),
        (f"sep=;\ncompletion_id,q\n{ONE},a\n", {"delimiter": ","}),
        (f"id,chat_id,q\n1,{ONE},a\n", {"id_column": "chat_id", "columns": (KeyColumn("q", "q"),)}),
        (f"chat_id,id,q\n{ONE},{TWO},a\n", {"id_column": "chat_id", "columns": (KeyColumn("q", "q"),)}),
    ],
)
def test_the_option_that_a_refusal_names_reads_the_file(read, content, options):
    """So that the next step is the right one."""
    [patch] = read("p.csv", content, **options)

    assert patch.completion_id == ONE
    assert set(patch.metadata.values()) <= {"a", "a;b"}


def test_a_key_with_the_name_of_a_column_with_a_meaning_survives_its_report(checked, read):
    """The report writes its column so that it is a key again."""
    result = checked("p.csv", f"request,ID\n{ONE},7\n", id_column="request", columns=(KeyColumn("ID", "ID"),))

    assert result.columns.header == ["completion_id", "metadata.ID"]
    assert read("q.csv", f"completion_id,metadata.ID\n{ONE},7\n") == [Patch(2, ONE, {"ID": "7"})]


def test_the_header_of_a_large_sheet_is_read_whole(read):
    """It may be longer than what is looked at first."""
    names = [f"{n:03}" + "k" * 60 for n in range(250)]
    content = ";".join(["completion_id", *names]) + "\n" + ";".join([ONE, "a"] + [""] * 249) + "\n"

    assert read("p.csv", content) == [Patch(2, ONE, {names[0]: "a"})]
