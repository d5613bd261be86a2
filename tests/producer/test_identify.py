"""Inputs whose content is not what their name says, or nothing that is read."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile

import pytest

from config.input_options import InputOptions
from producer.csv_rows import CsvRows
from producer.errors import UnreadableFile
from producer.jsonl_rows import JsonlRows
from producer.source import open_source
from tests.harness.compress import zst

CSV = b"completion_id,q\nchatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4,a\n"
JSONL = b'{"completion_id":"chatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4","metadata":{"a":"b"}}\n'


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x")
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("rows.csv"))
    return made.getvalue()


def database() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as made:
        made.execute("create table rows (id)")
        return made.serialize()


@pytest.mark.parametrize(
    ("name", "content", "what", "advice"),
    [
        # the name says one thing, the content is another one that is read
        ("p.csv", gzip.compress(CSV, mtime=0), "gzip data", "rename the file to p.csv.gz"),
        ("p.csv", zst(CSV), "zstd data", "rename the file to p.csv.zst"),
        ("p.csv.gz", zst(CSV), "zstd data", "rename the file to p.csv.zst"),
        ("p.csv.gz", CSV, "plain text, not gzip data", "rename the file to p.csv"),
        ("p.jsonl.ZST", JSONL, "plain text, not zstd data", "rename the file to p.jsonl"),
        ("p.csv.gz", b"garbage \xff\xfe", "no gzip data", "copy the file again"),
        ("p.csv", JSONL, "JSON Lines, not CSV", "rename it to p.jsonl, or set --input-format jsonl"),
        ("p.csv.gz", gzip.compress(JSONL, mtime=0), "JSON Lines, not CSV", "rename it to p.jsonl.gz"),
        ("p.jsonl", CSV, "not JSON Lines but perhaps CSV", "rename it to p.csv, or set --input-format csv"),
        ("p.ndjson", b"\xef\xbb\xbf" + CSV, "not JSON Lines but perhaps CSV", "rename it to p.csv"),
        ("rows.txt", JSONL, "does not show the format", "set --input-format jsonl"),
        ("rows.txt", CSV, "does not show the format", "set --input-format csv"),
        # what is not read, whatever it is called
        ("p.xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook (.xlsx)", "save the sheet as CSV"),
        ("p.csv", zipped("[Content_Types].xml", "xl/workbook.xml"), "Excel workbook (.xlsx)", "save the sheet as CSV"),
        ("p.xlsx", zipped("docProps/app.xml"), "Excel workbook (.xlsx)", "save the sheet as CSV"),
        ("p.ods", zipped("mimetype"), "OpenDocument spreadsheet", "save the sheet as CSV"),
        ("p.csv", zipped("rows.csv"), "ZIP archive", "unpack it"),
        ("p.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "old Excel workbook", "save the sheet as CSV"),
        ("p.parquet", b"PAR1\x15\x04\x15", "Parquet", "export it as CSV"),
        ("p.csv", b"PAR1\x15\x04\x15", "Parquet", "export it as CSV"),
        ("p.csv.gz", b"PAR1\x15\x04\x15", "Parquet file, not gzip data", "export it as CSV"),
        ("p.arrow", b"ARROW1\0\0", "Arrow", "export it as CSV"),
        ("p.avro", b"Obj\x01\x04", "Avro", "export it as CSV"),
        ("p.orc", b"ORC\x08", "ORC", "export it as CSV"),
        ("p.db", database(), "SQLite", "sqlite3 -csv -header"),
        ("p.pdf", b"%PDF-1.7\n", "PDF", "export the table as CSV"),
        ("p.csv.bz2", bz2.compress(CSV), "bzip2", "bunzip2"),
        ("p.csv.xz", lzma.compress(CSV), "xz data", "unxz"),
        ("p.csv", tarred(), "tar archive", "tar xf"),
        ("p.csv.gz", gzip.compress(tarred(), mtime=0), "tar archive", "tar xf"),
        ("p.csv.gz", gzip.compress(gzip.compress(CSV), mtime=0), "gzip data", "compressed twice"),
        ("p.csv", b"<!DOCTYPE html>\n<html>", "web page (HTML)", "download the file itself"),
        ("p.jsonl", b"\n  <html><body>Sign in", "web page (HTML)", "download the file itself"),
        ("p.csv", b'\xef\xbb\xbf<?xml version="1.0"?><Workbook>', "XML", "export it as CSV"),
        ("p.csv", b"{\\rtf1\\ansi completion_id", "RTF", "plain text"),
        ("p.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS", "git lfs pull"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_file_that_is_not_what_it_is_called_is_refused_with_the_next_step(refusal, name, content, what, advice):
    """The error says what the content is, and what makes of it a file that is read."""
    error = str(refusal(name, content))

    assert what in error
    assert advice in error


@pytest.mark.parametrize(("content", "option"), [(JSONL, "--input-format jsonl"), (CSV, "--input-format csv")])
def test_a_stated_format_has_to_be_that_of_the_content(tmp_path, content, option):
    """The next step is the other option; renaming would change nothing."""
    (tmp_path / "p.csv").write_bytes(content)
    stated = "csv" if content is JSONL else "jsonl"

    with (
        pytest.raises(UnreadableFile, match=option),
        open_source(tmp_path / "p.csv", options=InputOptions(layout=stated)),
    ):
        pass


def test_a_header_in_brackets_is_csv(tmp_path):
    """SQL Server quotes names so."""
    (tmp_path / "p.csv").write_bytes(b"[completion_id],[q]\n")
    with open_source(tmp_path / "p.csv") as source:
        assert source.format == "csv"


def test_json_lines_may_be_called_json(tmp_path):
    """Many exporters do."""
    (tmp_path / "p.json").write_bytes(JSONL)
    with open_source(tmp_path / "p.json") as source:
        assert len(list(JsonlRows(source))) == 1


@pytest.mark.parametrize("content", [b"PAR1\x15\x04", gzip.compress(b"%PDF-1.7\n", mtime=0), b"<html>"])
def test_what_is_not_read_is_told_on_standard_input_too(content):
    """A pipe has no name that could be wrong."""
    with pytest.raises(UnreadableFile, match="standard input: this is"), open_source("-", stdin=io.BytesIO(content)):
        pass


def test_a_character_cut_by_the_end_of_what_is_looked_at_is_text(tmp_path):
    """Where the first 64 KiB end is chance."""
    header = b"completion_id,q\n"
    content = header + b"chatcmpl-0,x" + "é".encode() * 40_000 + b"\n"
    (tmp_path / "p.csv.gz").write_bytes(content)
    with pytest.raises(UnreadableFile, match="plain text"), open_source(tmp_path / "p.csv.gz"):
        pass
    (tmp_path / "p.csv").write_bytes(content)
    with open_source(tmp_path / "p.csv") as source:
        assert len(list(CsvRows(source))) == 1
