"""Recognises by its first bytes a content that is neither CSV nor JSON Lines, and says how to get there from it."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple


class OtherContent(NamedTuple):
    """A content that is not read: what it is, and what to do with it."""

    what: str
    advice: str


_EXPORT = "export it as CSV in UTF-8"
_SAVE_AS = "open it and save the sheet as CSV in UTF-8"

_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16: its mark begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Source: the magic numbers in the specification of each format, as file(1) has them.
_MAGIC = {
    b"PAR1": OtherContent("a Parquet file", f"{_EXPORT}, for example with DuckDB: COPY (FROM 'FILE') TO 'FILE.csv'"),
    b"ORC": OtherContent("an ORC file", _EXPORT),
    b"Obj\x01": OtherContent("an Avro file", _EXPORT),
    b"ARROW1": OtherContent("an Arrow or Feather file", _EXPORT),
    b"FEA1": OtherContent("a Feather file", _EXPORT),
    b"\x89HDF": OtherContent("an HDF5 file", _EXPORT),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": OtherContent("an old Excel workbook (.xls)", _SAVE_AS),
    b"SQLite format 3\0": OtherContent(
        "an SQLite database", "export a table: `sqlite3 -csv -header FILE 'SELECT ...' > FILE.csv`"
    ),
    b"%PDF-": OtherContent("a PDF document", "export the table as CSV where the document was made"),
    b"{\\rtf": OtherContent("an RTF document", "save it as plain text in UTF-8"),
    b"\x1f\x8b": OtherContent("gzip data", "unpack it; it is compressed twice"),
    b"\x28\xb5\x2f\xfd": OtherContent("zstd data", "unpack it; it is compressed twice"),
    b"BZh": OtherContent("bzip2 data", "unpack it with `bunzip2`"),
    b"\xfd7zXZ\0": OtherContent("xz data", "unpack it with `unxz`"),
    b"\x04\x22\x4d\x18": OtherContent("LZ4 data", "unpack it with `lz4 -d`"),
    b"7z\xbc\xaf\x27\x1c": OtherContent("a 7z archive", "unpack it"),
    b"Rar!\x1a\x07": OtherContent("a RAR archive", "unpack it"),
    b"\xff\x06\0\0sNaPpY": OtherContent("Snappy data", "unpack it"),
    b"\x80\x04\x95": OtherContent("a Python pickle", f"{_EXPORT}, with to_csv(..., index=False) where it is a table"),
    b"\x80\x05\x95": OtherContent("a Python pickle", f"{_EXPORT}, with to_csv(..., index=False) where it is a table"),
    b"version https://git-lfs": OtherContent("a pointer of Git LFS, not the file", "get the file with `git lfs pull`"),
}
_TAR_AT, _TAR = 257, b"ustar"
_ZIP = b"PK\x03\x04"
_is_web_page = re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|table|script|meta|div)\b", re.IGNORECASE).match
_is_xml = re.compile(rb"\s*<(?:\?xml|[A-Za-z][\w:.-]*[\s/>])").match


def other_content(head: bytes) -> OtherContent | None:
    """Return what a decompressed content is, by its first bytes, where it is neither CSV nor JSON Lines."""
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return OtherContent(f"{encoding} text", "save it as UTF-8")
    found = next((content for magic, content in _MAGIC.items() if head.startswith(magic)), None)
    return found or _archive(head) or _markup(head.removeprefix(codecs.BOM_UTF8))


def _archive(head: bytes) -> OtherContent | None:
    if head.startswith(_ZIP):
        return _zip_content(head)
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return OtherContent("a tar archive", "unpack it with `tar xf`")
    if b"\0" in head[:2]:
        return OtherContent("UTF-16 text or binary data", "save it as text in UTF-8")
    return None


def _zip_content(head: bytes) -> OtherContent:
    if b"opendocument.spreadsheet" in head[:200]:
        return OtherContent("an OpenDocument spreadsheet (.ods)", _SAVE_AS)
    if any(name in head for name in (b"xl/", b"docProps/", b"[Content_Types].xml")):
        return OtherContent("an Excel workbook (.xlsx)", _SAVE_AS)
    return OtherContent("a workbook or a ZIP archive", "export it as CSV in UTF-8, or unpack it")


def _markup(head: bytes) -> OtherContent | None:
    if _is_web_page(head):
        return OtherContent("a web page (HTML)", "download the file itself; the page may ask for a login")
    if _is_xml(head):
        return OtherContent("XML", _EXPORT)
    return None
