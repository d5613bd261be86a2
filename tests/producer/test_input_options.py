"""What the options of reading do to a CSV file."""

from __future__ import annotations

import pytest

from config.input_options import KeyColumn, delimiter, key_columns, parse_input_options
from ledger.job_spec import Columns
from ledger.row import Patch, Rejection

COLUMNS = (KeyColumn("team", "team"), KeyColumn("quality", "Quality"))


@pytest.mark.parametrize("char", [",", ";", "\t", "|", ":", "\x01", " "])
def test_the_delimiter_may_be_any_character(read, char):
    """Quotes count around it as around a comma."""
    content = f'id{char}team\nabc{char}"a{char}b"\n'

    assert read("p.csv", content, delimiter=char) == [Patch(2, "abc", {"team": f"a{char}b"})]


def test_a_quoting_error_is_found_between_other_delimiters(read):
    """With its column."""
    [row] = read("p.csv", 'id;team\nabc;"x" y\n', delimiter=";")

    assert row.column == "team"


def test_only_the_named_columns_become_keys(checked):
    """In the order of the file; the report has what was understood, so it can be read without the options."""
    content = "Quality,note,Id,team\ngood,secret,abc,red\nbad,secret,def\n"
    result = checked("p.csv", content, id_column="Id", columns=COLUMNS)
    [shard] = result.shards(10)

    assert result.columns == Columns("csv", "completion_id", ["quality", "completion_id", "team"])
    assert b"secret" not in shard.body
    assert list(result.rejections()) == [
        Rejection(3, None, "the row has 3 cells; the header has 4", ["bad", "def"]),
    ]


def test_a_metadata_column_may_stand_among_columns_that_are_left_out(read):
    """As a key it is the whole map, also under another name."""
    content = 'id,Meta,team\nabc,"{""a"": ""b""}",red\n'

    assert read("p.csv", content, columns=(KeyColumn("metadata", "Meta"),)) == [Patch(2, "abc", {"a": "b"})]


def test_a_rejected_cell_is_named_as_the_file_names_it(read):
    """Whatever the key is called."""
    [row] = read("p.csv", f"id,Quality\nabc,{'x' * 600}\n", columns=(KeyColumn("quality", "Quality"),))

    assert row.column == "Quality"


@pytest.mark.parametrize(
    ("null", "patch"), [({"NULL"}, {"a": None, "c": "null"}), ({""}, {"a": "NULL", "b": None, "c": "null"})]
)
def test_a_cell_with_a_text_for_null_removes_its_key(read, null, patch):
    """Exactly that text; the empty one stands for every empty cell."""
    assert read("p.csv", "id,a,b,c\nabc,NULL,,null\n", null=frozenset(null)) == [Patch(2, "abc", patch)]


def test_a_text_for_null_counts_in_a_metadata_column_too(read):
    """Whoever wrote NULL in one place wrote it in the other."""
    content = 'id,metadata\nabc,"{""a"": ""NULL"", ""b"": ""x""}"\n'

    assert read("p.csv", content, null=frozenset({"NULL"})) == [Patch(2, "abc", {"a": None, "b": "x"})]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"id_column": "ID"}, "there is no column 'ID' among 'id', 'team', 'team'; did you mean 'id'?"),
        ({"id_column": "team"}, "column 'team' stands in column 2 too"),
        ({"columns": (KeyColumn("a", "note"),)}, "there is no column 'note'"),
        ({"columns": (KeyColumn("a", "id"),)}, "'id', which is the id column"),
    ],
)
def test_a_column_that_is_not_there_refuses_the_file(refusal, options, says):
    """With the columns that are."""
    assert says in str(refusal("p.csv", "id,team,team\nabc,red,blue\n", **options))


def test_the_fingerprint_is_of_the_rows_as_they_were_understood(checked):
    """Another delimiter of the same rows is the same; another meaning is another job."""
    plain = checked("p.csv", "id,a,b\nabc,x,NULL\n")
    same = checked("p.csv", "id;a;b\nabc;x;NULL\n", delimiter=";")
    others = [
        checked("p.csv", "id,a,b\nabc,x,NULL\n", null=frozenset({"NULL"})),
        checked("p.csv", "id,a,b\nabc,x,NULL\n", columns=(KeyColumn("a", "a"),)),
        checked("p.csv", "id,a,b\nabc,x,NULL\n", columns=(KeyColumn("a", "a"), KeyColumn("c", "b"))),
        checked("p.csv", "id,a,b\nabc,x,NULL\n", id_column="a", columns=(KeyColumn("b", "b"),)),
    ]

    assert plain.fingerprint == same.fingerprint
    assert len({plain.fingerprint, *(each.fingerprint for each in others)}) == 5


def test_the_setting_takes_the_options_of_the_command_line():
    """Quoted as for a shell."""
    options = parse_input_options(r"""--delimiter tab --id-column='the id' --columns team,quality=Quality
        --columns '"a,b"' --null '\N' --null '' --stringify --input-format csv""")

    assert options.delimiter == "\t"
    assert options.columns == (*COLUMNS, KeyColumn("a,b", "a,b"))
    assert (options.id_column, options.null, options.stringify) == ("the id", frozenset({"\\N", ""}), True)
    assert parse_input_options("") == options.__class__()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--delimiter ab", "must be one character"),
        ("--delimiter '\"'", "must be one character"),
        ("--columns a,,b", "must be names separated by commas"),
        ("--columns a=", "must be names separated by commas"),
        ("--columns a,b --columns a=c", "names a key twice"),
        ("--columns a=c,b=c", "names a column twice"),
        ("--id-column ' '", "must name a column"),
        ("--input-format xlsx", "invalid choice"),
        ("--delimiter '", "No closing quotation"),
        ("--delim ;", "unrecognized arguments"),
        ("file.csv", "unrecognized arguments"),
    ],
)
def test_wrong_options_are_one_sentence(text, says):
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=says):
        parse_input_options(text)


@pytest.mark.parametrize(("name", "char"), [("tab", "\t"), (r"\t", "\t"), ("TAB", "\t"), ("pipe", "|"), (";", ";")])
def test_a_delimiter_has_a_name_where_it_is_hard_to_type(name, char):
    """Shells make of a tab what they like."""
    assert delimiter(name) == char


def test_a_list_of_columns_keeps_spaces_within_names():
    """And drops those around them."""
    assert key_columns("a b = c d , e") == (KeyColumn("a b", "c d"), KeyColumn("e", "e"))
