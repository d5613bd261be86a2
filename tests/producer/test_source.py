"""Inputs by name, compression and encoding."""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from config.input_options import InputOptions
from ledger.job_spec import Mode
from ledger.row import Patch
from producer.check import check
from producer.csv_rows import CsvRows
from producer.decompress import decompressed
from producer.errors import UnreadableFile
from producer.jsonl_rows import JsonlRows
from producer.source import LINES_A_ROW, MAX_LINE_BYTES, InputLimits, open_source
from tests.harness.compress import zst

CSV = b"id,team\nabc,red\ndef,blue\n"
JSONL = b'{"id":"abc","metadata":{"team":"red"}}\n{"id":"def","metadata":{"team":"blue"}}\n'
CSV_PATCHES = [Patch(2, "abc", {"team": "red"}), Patch(3, "def", {"team": "blue"})]
JSONL_PATCHES = [Patch(1, "abc", {"team": "red"}), Patch(2, "def", {"team": "blue"})]


@pytest.mark.parametrize(
    ("name", "content", "patches"),
    [
        ("p.csv", CSV, CSV_PATCHES),
        ("p.2026.CSV", CSV, CSV_PATCHES),
        ("p.jsonl", JSONL, JSONL_PATCHES),
        ("p.ndjson", JSONL, JSONL_PATCHES),
        ("p.csv.gz", gzip.compress(CSV), CSV_PATCHES),
        ("p.jsonl.gz", gzip.compress(JSONL), JSONL_PATCHES),
        ("p.csv.zst", zst(CSV), CSV_PATCHES),
        ("p.jsonl.zst", zst(JSONL), JSONL_PATCHES),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # compressed bytes differ from second to second
)
def test_the_name_tells_layout_and_compression(read, name, content, patches):
    """Every ending that the README names is read."""
    assert read(name, content) == patches


@pytest.mark.parametrize("compress", [gzip.compress, zst])
def test_parts_compressed_one_by_one_are_read_as_one_file(read, compress):
    """Appending compressed files to each other is how logs are rotated, in gzip and in zstd."""
    ending = "gz" if compress is gzip.compress else "zst"
    head, tail = CSV[:17], CSV[17:]

    assert read(f"p.csv.{ending}", compress(head) + compress(b"") + compress(tail)) == CSV_PATCHES


@pytest.mark.parametrize(
    "content",
    [CSV, gzip.compress(CSV), zst(CSV), b"\x50\x2a\x4d\x18\0\0\0\0" + zst(CSV)],
    ids=["plain", "gzip", "zstd", "skippable"],
)
def test_csv_on_stdin_is_recognised_by_its_first_bytes(content):
    """A pipe has no name, so gzip, zstd (also with a skippable frame in front) and CSV are sniffed."""
    with open_source("-", stdin=io.BytesIO(content)) as source:
        rows = list(CsvRows(source))

    assert source.format == "csv"
    assert rows == CSV_PATCHES


@pytest.mark.parametrize("start", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_jsonl_on_stdin_is_recognised_by_its_brace(start):
    """Blank lines or a BOM in front of the first brace do not hide it."""
    with open_source("-", stdin=io.BytesIO(start + JSONL)) as source:
        rows = list(JsonlRows(source))

    assert source.format == "jsonl"
    assert [row.completion_id for row in rows] == ["abc", "def"]


def test_a_pipe_that_hands_out_single_bytes_is_still_recognised():
    """A slow writer must not make a compressed pipe look like text."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for byte in gzip.compress(JSONL):
                pipe.write(bytes([byte]))
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(reading, "rb", buffering=0) as pipe, open_source("-", stdin=pipe) as source:
        rows = list(JsonlRows(source))
    writer.join()

    assert rows == JSONL_PATCHES


def test_stdin_stays_open_for_its_owner():
    """What was passed in is closed by who opened it."""
    stdin = io.BytesIO(CSV)
    with open_source("-", stdin=stdin) as source:
        list(source)

    assert not stdin.closed


def test_a_stated_layout_overrides_the_name(tmp_path):
    """An export named .txt can be read when its layout is stated, compressed or not."""
    path = tmp_path / "export.txt"
    path.write_bytes(gzip.compress(JSONL))
    with open_source(path, options=InputOptions(layout="jsonl")) as source:
        assert list(JsonlRows(source)) == JSONL_PATCHES


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_bom_and_crlf_are_accepted(read, name):
    """Files saved by Excel and Notepad begin with a BOM and end lines with CRLF."""
    content, patches = (CSV, CSV_PATCHES) if name == "p.csv" else (JSONL, JSONL_PATCHES)

    assert read(name, b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")) == patches


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_last_line_without_line_end_counts(read, name):
    """Many programs leave the last line open."""
    content, patches = (CSV, CSV_PATCHES) if name == "p.csv" else (JSONL, JSONL_PATCHES)

    assert read(name, content.rstrip(b"\n")) == patches


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused_by_name(refusal, encoding):
    """UTF-16 with or without its mark, and UTF-32, are told apart from UTF-8 and refused."""
    error = refusal("p.csv", CSV.decode().encode(encoding))

    assert ("UTF-32" if encoding == "utf-32" else "UTF-16") in str(error)
    assert "UTF-8" in str(error)


def test_a_workbook_is_refused_with_advice(refusal):
    """An .xlsx renamed to .csv is a ZIP archive."""
    assert "export it as CSV" in str(refusal("p.csv", b"PK\x03\x04\x14\0\0\0"))


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.csv.gz", "p.jsonl.zst"])
def test_an_empty_file_is_refused(refusal, name):
    """Nothing at all is rather a failed export than a job without rows."""
    assert "empty" in str(refusal(name, b""))


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_a_file_of_blank_lines_is_refused(refusal, name):
    """Blank lines pass, but something must be there."""
    assert "only blank lines" in str(refusal(name, b"\n\r\n  \n"))


@pytest.mark.parametrize("compress", [gzip.compress, zst])
@pytest.mark.parametrize("cut", [1, 4, 9])
def test_compressed_data_that_is_cut_short_is_refused(refusal, compress, cut):
    """A copy that broke off must not pass for a shorter file, whatever was cut off."""
    ending = "gz" if compress is gzip.compress else "zst"
    content = compress(b"id,team\n" + b"".join(b"id-%d,%d\n" % (n, n * n) for n in range(5000)))

    assert "ends too early" in str(refusal(f"p.csv.{ending}", content[:-cut]))


def test_an_expanding_zstd_file_is_decompressed_a_buffer_at_a_time():
    """4 kB of zstd may expand to 134 MB; only as much as is asked for is decompressed."""
    bomb = zst(bytes(256 << 20))
    stream = decompressed(io.BytesIO(bomb), ".zst")
    tracemalloc.start()
    try:
        stream.read(1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20


def test_damaged_gzip_data_is_refused(refusal):
    """A checksum that does not match makes the whole file doubtful."""
    content = bytearray(gzip.compress(CSV))
    content[-6] ^= 0xFF

    assert "damaged" in str(refusal("p.csv.gz", bytes(content)))


def test_a_missing_file_is_named(tmp_path):
    """The error says which path and what to do."""
    with pytest.raises(UnreadableFile, match=r"gone\.csv: there is no such file"), open_source(tmp_path / "gone.csv"):
        pass


def test_a_folder_is_refused(tmp_path):
    """A folder whose name ends like a file is told to be a folder."""
    (tmp_path / "p.csv").mkdir()
    with pytest.raises(UnreadableFile, match="this is a folder"), open_source(tmp_path / "p.csv"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    """The reader says that it is a matter of permission."""
    path = tmp_path / "p.csv"
    path.write_bytes(CSV)
    path.chmod(0)
    with pytest.raises(UnreadableFile, match="no permission"), open_source(path):
        pass


@pytest.mark.parametrize("name", ["patches.xlsx", "patches", "patches.gz", "patches.txt.gz", ".csv.tar"])
def test_a_name_that_tells_no_layout_is_refused(tmp_path, name):
    """The error lists the endings that are read."""
    (tmp_path / name).write_bytes(CSV)
    with pytest.raises(UnreadableFile, match=r"use \.csv, \.tsv, \.jsonl or \.ndjson"), open_source(tmp_path / name):
        pass


def test_a_path_with_a_nul_character_is_refused():
    """What is no path on any system gives the same kind of error."""
    with pytest.raises(UnreadableFile, match="not a valid path"), open_source(Path("a\0b.csv")):
        pass


@pytest.mark.parametrize("start", [b"", b" " * 20_000, "é".encode() * 20_000], ids=["plain", "blanks", "two bytes"])
def test_a_line_of_csv_without_quotes_that_is_too_long_is_rejected_and_the_others_go_on(read, start):
    """Where the row ends is certain, as nothing in it opens a quote."""
    rows = read("p.csv", b"id,team\nabc,red\n" + start + b"x" * (2 * MAX_LINE_BYTES) + b"\ndef,blue\n")

    assert [(row.line, isinstance(row, Patch)) for row in rows] == [(2, True), (3, False), (4, True)]
    assert "1,048,576 bytes" in rows[1].reason


@pytest.mark.parametrize(
    "content",
    [
        b"x" * (MAX_LINE_BYTES + 1) + b'"',
        b'abc,"' + b"x" * MAX_LINE_BYTES,
        b'abc,"\n' + b"x" * (MAX_LINE_BYTES + 1),
    ],
    ids=["quote behind the bound", "quote", "within quotes"],
)
def test_a_line_of_csv_with_quotes_that_is_too_long_refuses_the_file(refusal, content):
    """A quote may reach over rows, and what is behind the bound is not kept to see."""
    error = refusal("p.csv", b"\nid,team\n" + content + b"\ndef,blue\n")

    assert error.line in {3, 4}
    assert "1,048,576 " in str(error)


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_line_of_jsonl_that_is_too_long_is_rejected_and_the_others_go_on(read, ending):
    """Where the row ends is certain, however long it is."""
    long = b'{"id":"xyz","note":"' + b"x" * (3 * MAX_LINE_BYTES) + b'","metadata":{"team":"red"}}'
    first, second = JSONL.splitlines(keepends=True)

    rows = read("p.jsonl", first + long + b"\n" + second.rstrip() + ending)

    assert [row.line for row in rows] == [1, 2, 3]
    assert [isinstance(row, Patch) for row in rows] == [True, False, True]
    assert "1,048,576 bytes" in rows[1].reason


def test_what_stands_behind_the_bound_of_a_line_is_no_row(read):
    """A good row, spaces beyond the bound, and another row are one line, which nobody meant as the first alone."""
    first, second = JSONL.splitlines()

    [row] = read("p.jsonl", first + b" " * MAX_LINE_BYTES + second)

    assert "1,048,576 bytes" in row.reason


def test_a_place_behind_a_line_that_is_too_long_is_exact(read):
    """Byte offsets count what was passed over."""
    start = b'{"id":"' + b"x" * (2 * MAX_LINE_BYTES) + b'"}\n'

    rows = read("p.jsonl", start + b'{"id":"\xff"}\n')

    assert f"byte offset {len(start) + 7} " in rows[1].reason


def test_a_jsonl_line_that_is_too_long_costs_no_more_memory_than_the_bound(tmp_path):
    """100 MB without a line end are read piece by piece."""
    (tmp_path / "p.jsonl.zst").write_bytes(zst(JSONL + b'{"id":"' + b"x" * (100 << 20)))
    with open_source(tmp_path / "p.jsonl.zst") as source:
        tracemalloc.start()
        try:
            rows = list(JsonlRows(source))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert len(rows) == 3
    assert peak < 12 * MAX_LINE_BYTES


def test_a_long_file_with_bare_cr_is_told_what_it_is(refusal):
    """Line ends of old Macs make one endless line; the error names the cause, not the length."""
    assert "bare CR" in str(refusal("p.csv", b"id,team\r" + b"abc,red\r" * 200_000))


# --- more than anybody means ---


@pytest.mark.parametrize(
    ("name", "content", "limits"),
    [
        ("p.csv", CSV + b"ghi,red\n", InputLimits(rows=2)),
        ("p.jsonl", JSONL * 2, InputLimits(rows=3)),
        ("p.csv", CSV + b",x\n", InputLimits(rows=2)),
        ("p.csv", CSV + b"\n" * (2 * LINES_A_ROW), InputLimits(rows=2)),
        ("p.csv.gz", gzip.compress(CSV + b"\n" * 1_000_000), InputLimits(size=100_000)),
        ("p.jsonl.zst", zst(JSONL + b"\n" * 1_000_000), InputLimits(size=100_000)),
    ],
    ids=["rows", "jsonl rows", "rejected rows", "blank lines", "gzip", "zstd"],
)
def test_an_input_beyond_its_limits_is_refused_with_the_setting(tmp_path, name, content, limits):
    """A small file may become a large one, and a folder of them fills the disk."""
    (tmp_path / name).write_bytes(content)

    with open_source(tmp_path / name, limits=limits) as source, pytest.raises(UnreadableFile) as caught:
        check(source, mode=Mode.MERGE, spool_dir=tmp_path)

    assert "RELABEL_INPUT__MAX_ROWS" in str(caught.value)
    assert "RELABEL_INPUT__MAX_GIB" in str(caught.value)


def test_an_input_within_its_limits_is_read(tmp_path):
    """The last row that is allowed is a row."""
    (tmp_path / "p.csv").write_bytes(CSV)

    with (
        open_source(tmp_path / "p.csv", limits=InputLimits(rows=2, size=len(CSV))) as source,
        check(source, mode=Mode.MERGE, spool_dir=tmp_path) as checked,
    ):
        assert checked.total == 2


# --- files that move, and last lines ---


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"ghi,red\n")


def replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").replace(path)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [append, replace, touch, Path.unlink], ids=lambda change: change.__name__)
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, change):
    """Nobody knows which of its rows are the old ones."""
    path = tmp_path / "p.csv"
    path.write_bytes(CSV)

    with open_source(path) as source:
        change(path)
        with pytest.raises(UnreadableFile, match="changed while it was read"):
            check(source, mode=Mode.MERGE, spool_dir=tmp_path)


def test_a_file_on_standard_input_that_grows_is_refused(tmp_path):
    """A redirected file may be written to like any other; a pipe may not."""
    path = tmp_path / "p.csv"
    path.write_bytes(CSV)

    with path.open("rb") as stdin, open_source("-", stdin=stdin) as source:
        append(path)
        with pytest.raises(UnreadableFile, match="changed while it was read"):
            list(CsvRows(source))


@pytest.mark.parametrize(("content", "lacks"), [(CSV, False), (CSV.rstrip(b"\n"), True), (CSV + b"\n\n", False)])
def test_a_last_line_without_line_end_is_known(tmp_path, content, lacks):
    """It may be cut, which only a person can tell."""
    (tmp_path / "p.csv").write_bytes(content)

    with open_source(tmp_path / "p.csv") as source:
        list(CsvRows(source))

    assert source.lacks_line_end is lacks


# --- what has no name to go by ---


@pytest.mark.parametrize("content", [JSONL, gzip.compress(JSONL)], ids=["plain", "gzip"])
def test_a_named_pipe_is_recognised_by_its_first_bytes(tmp_path, content):
    """A FIFO is as standard input: only its content says what it is."""
    fifo = tmp_path / "rows"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=[content])
    writer.start()
    with open_source(fifo) as source:
        assert list(JsonlRows(source)) == JSONL_PATCHES
    writer.join()


@pytest.mark.parametrize("content", [CSV, gzip.compress(CSV)], ids=["plain", "gzip"])
def test_a_descriptor_is_recognised_by_its_first_bytes(tmp_path, content):
    """Process substitution, `<(...)`, and /dev/stdin give such a path, also to a regular file."""
    (tmp_path / "rows").write_bytes(content)
    with (tmp_path / "rows").open("rb") as file, open_source(f"/dev/fd/{file.fileno()}") as source:
        assert list(CsvRows(source)) == CSV_PATCHES


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "the name of the file is empty"),
        ("https://example.com/rows.csv", "this is an address"),
        ("s3://bucket/rows.csv", "this is an address"),
        ("x" * 300 + ".csv", "too long"),
    ],
)
def test_a_path_that_is_no_file_is_told_what_it_is(path, said):
    """The next step of each is another one."""
    with pytest.raises(UnreadableFile, match=said), open_source(path):
        pass
