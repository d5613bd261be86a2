"""What holds for any input: round trips, and that nothing but the one error ever comes out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.input_options import InputOptions
from ledger.job_spec import Columns, Mode
from ledger.row import Patch
from producer.check import check
from producer.csv_formula import escape_cell
from producer.csv_header import lay_out
from producer.csv_names import hidden_in, name_of_key
from producer.csv_rows import CsvRows
from producer.errors import BadRow, UnreadableFile
from producer.fast_parse import proven_metadata, proven_patch
from producer.jsonl_rows import JsonlRows
from producer.profile import NULL_TEXTS
from producer.source import open_source
from producer.strict_json import metadata_of, parse_json
from tests.harness.compress import zst

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ids = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zs", "Zl", "Zp"], exclude_characters="/?#"),
    min_size=1,
    max_size=20,
).filter(lambda name: name not in NULL_TEXTS | {".", ".."} and not any(map(str.isspace, name)))
keys = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=30)
    .map(str.strip)
    .filter(lambda key: key and name_of_key(key) == key and not hidden_in(key) and key != "metadata")
)
maps = st.dictionaries(text.filter(bool), st.none() | text, min_size=1, max_size=8)


def rows_of(content: bytes, layout: str) -> list[object]:
    with open_source("-", stdin=io.BytesIO(content), options=InputOptions(layout=layout)) as source:
        return list((CsvRows if layout == "csv" else JsonlRows)(source))


def written(rows: list[list[str]], **options: object) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, **options).writerows(rows)
    return file.getvalue().encode()


@given(st.lists(st.tuples(ids, maps), min_size=1, max_size=5), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_jsonl_reads_back_what_was_written(rows, ascii_only, line_end):
    """Whatever the text, escaped or not."""
    lines = (
        json.dumps({"id": name, "metadata": metadata}, ensure_ascii=ascii_only) + line_end for name, metadata in rows
    )

    assert rows_of("".join(lines).encode(), "jsonl") == [Patch(at, *row) for at, row in enumerate(rows, start=1)]


@given(st.lists(ids, min_size=1, max_size=5), st.lists(keys, min_size=1, max_size=5, unique=True), st.data())
def test_csv_reads_back_what_was_written(names, keys, data):
    """Line ends, quotes and commas in cells included; the line numbers count the line ends within cells."""
    cells = [data.draw(st.lists(text.filter(bool), min_size=len(keys), max_size=len(keys))) for _ in names]
    header = ["completion_id", *(f"metadata.{key}" for key in keys)]
    content = [
        written([row], quoting=csv.QUOTE_ALL) for row in [header, *([n, *c] for n, c in zip(names, cells, strict=True))]
    ]
    lines = [b"".join(content[:at]).count(b"\n") + 1 for at in range(len(content))]

    assert rows_of(b"".join(content), "csv") == [
        Patch(line, name, dict(zip(keys, row, strict=True)))
        for line, name, row in zip(lines[1:], names, cells, strict=True)
    ]


@given(st.lists(st.tuples(ids, maps), min_size=1, max_size=5))
def test_a_metadata_column_reads_back_what_was_written(rows):
    """Removals included."""
    content = written([["id", "metadata"], *([name, json.dumps(metadata)] for name, metadata in rows)])

    assert rows_of(content, "csv") == [Patch(at, *row) for at, row in enumerate(rows, start=2)]


@given(
    ids,
    st.dictionaries(keys, text.filter(bool), min_size=1, max_size=5),
)
def test_a_patch_laid_out_in_a_report_reads_back_the_same(name, metadata):
    """With every cell guarded against formulas and outcome columns added."""
    columns = Columns("csv", "id", ["id", *metadata])
    patch = Patch(2, name, metadata)
    header = [*columns.header, "relabel.outcome"]
    row = [*lay_out(columns, patch), "failed"]
    content = written([[escape_cell(cell) for cell in cells] for cells in (header, row)], quoting=csv.QUOTE_ALL)
    first_line = (
        content.split(written([[escape_cell(cell) for cell in row]], quoting=csv.QUOTE_ALL))[0].count(b"\n") + 1
    )

    assert rows_of(content, "csv") == [Patch(first_line, name, metadata)]


@given(ids, maps, st.sampled_from(["id", "completion_id"]))
def test_a_patch_laid_out_as_jsonl_reads_back_the_same(name, metadata, field):
    """Exactly, since JSONL needs no guard."""
    patch = Patch(1, name, metadata)

    assert rows_of(lay_out(Columns("jsonl", field, []), patch)[0].encode(), "jsonl") == [patch]


GOOD_CSV = b'id,team,metadata.note\r\nabc,red,"a ""b"", c\nd"\nchatcmpl-1,,=x\n"def",\xc3\xbc,y\n'
GOOD_WHOLE = b'completion_id,metadata\nabc,"{""a"": ""x"", ""b"": null}"\ndef,"{""a"": ""1:2""}"\n'
GOOD_REPORT = b"id,relabel.outcome,team\nabc,failed,'=x\n"
GOOD_JSONL = b"""\
{"id":"abc","metadata":{"a":"x","b":null}}
{"completion_id": "def", "x": [1, {"y": 2.5}], "metadata": {"a": "\\ud83d\\ude00"}}
"""
SEEDS = {GOOD_CSV: "csv", GOOD_WHOLE: "csv", GOOD_REPORT: "csv", GOOD_JSONL: "jsonl"}
SPLINTERS = [b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\\u0000", b"\\ud800", b"\\"]
SPLINTERS += [b"{", b"}", b":", b'"a":', b"[", b"]", b"null", b"1e999", b"NaN", b"'", b"=", b" ", b"\xc2\xa0", b"."]
SPLINTERS += [
    b"k" * 70,
    b"v" * 600,
    b"i" * 300,
    b'"id":"q",',
    b'"metadata":{},',
    b",x" * 20,
    b"[" * 2000,
    b"\xed\xa0\x80",
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    content = seed
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 6)))
        content = content[:at] + draw(st.sampled_from([*SPLINTERS, b"", seed]) | st.binary(max_size=3)) + content[end:]
    return content


def assert_within_limits(patch: Patch) -> None:
    name = patch.completion_id
    assert 0 < len(name) <= 255
    assert name == name.strip()
    assert name not in {".", ".."}
    assert not any(char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in name)
    assert not {"/", "?", "#"} & set(name)
    assert patch.metadata
    assert sum(value is not None for value in patch.metadata.values()) <= 16
    for key, value in patch.metadata.items():
        assert type(key) is str
        assert 0 < len(key) <= 64
        assert value is None or (type(value) is str and len(value) <= 512)
        f"{key}{value}".encode()
        assert "\0" not in f"{key}{value}"


def assert_survives(content: bytes, folder: Path, *, layout: str | None, stringify: bool = False) -> None:
    try:
        with (
            open_source("-", stdin=io.BytesIO(content), options=InputOptions(layout=layout)) as source,
            check(source, mode=Mode.MERGE, options=InputOptions(stringify=stringify), spool_dir=folder) as checked,
        ):
            shards = list(checked.shards(3))
            rejections = list(checked.rejections())
    except UnreadableFile:
        return
    patches = [patch for shard in shards for patch in msgspec.msgpack.Decoder(list[Patch]).decode(shard.body)]
    for patch in patches:
        assert_within_limits(patch)
    assert len({patch.completion_id for patch in patches}) == len(patches) == checked.total
    assert len(rejections) == checked.rejected
    places = [row.line for row in patches] + [row.line for row in rejections]
    assert len(set(places)) == len(places)
    assert all(row.reason and row.reason.isprintable() and len(row.reason) < 250 for row in rejections)


@given(content=st.binary(max_size=200), layout=st.sampled_from(["csv", "jsonl", None]))
@example(content=b"\xff\xfe", layout=None)
@example(content=b"id,a\nx,\x00", layout="csv")
def test_any_bytes_give_rows_or_the_one_error(tmp_path_factory, content, layout):
    """Never a traceback of another kind."""
    assert_survives(content, tmp_path_factory.getbasetemp(), layout=layout)


@pytest.mark.parametrize("seed", SEEDS, ids=["csv", "whole", "report", "jsonl"])
@given(data=st.data(), stringify=st.booleans())
def test_a_damaged_file_gives_rows_within_the_limits_or_the_one_error(tmp_path_factory, seed, data, stringify):
    """However it was damaged, no patch breaks a limit of the API and no line is counted twice."""
    content = data.draw(mutated(seed))

    assert_survives(content, tmp_path_factory.getbasetemp(), layout=SEEDS[seed], stringify=stringify)


@pytest.mark.parametrize("compress", [gzip.compress, zst], ids=["gzip", "zstd"])
@given(data=st.data())
def test_damaged_compressed_data_gives_rows_or_the_one_error(tmp_path_factory, compress, data):
    """The first bytes are kept, so that it is taken for compressed."""
    whole = compress(GOOD_JSONL * 5)
    content = whole[:4] + data.draw(mutated(whole[4:]))

    assert_survives(content, tmp_path_factory.getbasetemp(), layout=None)


@given(
    raw=mutated(b'{"a": "x", "b":null, "c" : "1:2", "n": -1.50e3, "\\u00fc":"\xf0\x9f\x98\x80"}'),
    stringify=st.booleans(),
)
def test_what_is_proven_at_once_reads_the_same_carefully(raw, stringify):
    """The fast reading may doubt a good object, but never passes one that the careful reading rejects."""
    proven = proven_metadata(raw, stringify=stringify)
    if proven is None:
        return
    try:
        careful = metadata_of(parse_json(raw.decode(), None), "metadata", stringify=stringify)
    except (BadRow, UnicodeDecodeError) as error:
        pytest.fail(f"proven, yet {error}")

    assert proven == careful


LINE_WITH_MORE = (
    b'{"id":"abc","x":[1,{"y":"z:\xc3\xbc"}],"metadata":{"a":"x","b":null,"n":"2"},"created":1.5,"id2":true}'
)
LINE_WITH_NUMBERS = b'{"completion_id":"abc","metadata":{"a":0.10,"b":true,"c":null,"d":"e","n":-12},"y":"z"}'


@pytest.mark.parametrize("seed", [LINE_WITH_MORE, LINE_WITH_NUMBERS], ids=["other fields", "numbers"])
@given(data=st.data(), stringify=st.booleans())
def test_a_line_that_is_proven_at_once_reads_the_same_carefully(seed, data, stringify):
    """With other fields and with numbers; the first row of a file is always read carefully."""
    line = data.draw(mutated(seed)).replace(b"\n", b"")
    proven = proven_patch(line, 1, stringify=stringify)
    if proven is None:
        return
    with open_source("-", stdin=io.BytesIO(line), options=InputOptions(layout="jsonl")) as source:
        careful = list(JsonlRows(source, InputOptions(stringify=stringify)))

    assert careful == [proven]


@pytest.mark.parametrize(("seed", "stringify"), [(LINE_WITH_MORE, False), (LINE_WITH_NUMBERS, True)])
def test_good_lines_of_the_slower_layouts_are_proven_at_once(seed, stringify):
    """Else the careful reading would be all that the comparison above sees."""
    assert proven_patch(seed, 1, stringify=stringify) is not None
