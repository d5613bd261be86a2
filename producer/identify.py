"""Identifies an input: its format and compression, by name and content, which have to agree."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from config.input_options import InputOptions
from producer.contents import other_content
from producer.decompress import COMPRESSIONS, compression_of, decompressed, read_head, replayed
from producer.errors import EmptyFile, UnreadableFile
from producer.json_shape import ROW_FORM, foreign_shape

Format = Literal["csv", "jsonl"]
"""The formats of an input."""

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_NAMES: dict[Format, str] = {"csv": "CSV", "jsonl": "JSON Lines"}
_COMPRESSION_NAMES = {".gz": "gzip", ".zst": "zstd"}
_HEAD = 1 << 16  # enough to see the fields of most objects
_MAGIC_BYTES = 4

_opens_json = re.compile(r'[\s\x1e]*(?:\{|\[\s*[\[\]{"]|"\{)').match  # a CSV header may be `[Id],[Name]`
_has_columns = re.compile(r"\s*[^\n]*[,;\t|]").match
_opens_object = re.compile(r"^[ \t\r]*\{", re.MULTILINE).search


class Named(NamedTuple):
    """What is known of an input before it is read; `layout` and `compression` are what its name says.

    `path` is '' where nothing can be renamed or named in a command, as of standard input.
    """

    name: str
    path: str = ""
    layout: Format | None = None
    compression: str = ""


class Identified(NamedTuple):
    """What an input is; `stream` gives its text from byte `offset` on."""

    layout: Format
    compression: str
    stream: BinaryIO
    offset: int


def named(path: str | Path) -> Named:
    """Return what the name of a file says; no layout where it says nothing, and then no compression."""
    name = Path(path).name
    suffixes = "".join(Path(path).suffixes[-2:]).lower()
    compression = next((ending for ending in COMPRESSIONS if suffixes.endswith(ending)), "")
    layout = _FORMATS.get("." + suffixes.removesuffix(compression).rpartition(".")[2])
    return Named(name, str(path), layout, compression if layout else "")


def identify(given: Named, stream: BinaryIO, options: InputOptions) -> Identified:
    """Return what an input is; `options.layout` is what the user says that it is.

    Raises:
        UnreadableFile: it is neither CSV nor JSON Lines, or something else than its name or the user says.

    """
    raw = read_head(stream, _HEAD)
    compression = compression_of(raw) if options.layout or not given.layout else _compression_as_named(given, raw)
    head = raw
    if compression:
        stream = decompressed(replayed(raw, stream), compression)
        head = read_head(stream, _HEAD)
    if not head:
        raise EmptyFile(f"{given.name}: the file is empty; use one with at least one row")
    if content := other_content(head):
        raise _refusal(given, f"this is {content.what}; {content.advice}")
    body = head.removeprefix(BOM_UTF8)
    text = body.decode(errors="replace")
    sure = options.layout or given.layout or _format_by_content(given, text)
    _require_format(given, sure, text, compression, id_named=options.id_column is not None)
    return Identified(sure, compression, replayed(body, stream), len(head) - len(body))


def _compression_as_named(given: Named, raw: bytes) -> str:
    found, expected = compression_of(raw), given.compression
    if found == expected or len(raw) < _MAGIC_BYTES:
        return expected
    plain = given.name[: len(given.name) - len(expected)]
    if found:
        raise _refusal(given, f"this is {_COMPRESSION_NAMES[found]} data; rename the file to {plain}{found}")
    what = _COMPRESSION_NAMES[expected]
    if content := other_content(raw):
        raise _refusal(given, f"this is {content.what}, not {what} data; {content.advice}")
    if _is_text(raw):
        raise _refusal(given, f"this is plain text, not {what} data; rename the file to {plain}")
    raise _refusal(given, f"this is no {what} data; copy the file again, as binary")


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return error.end == len(raw) and len(raw) == _HEAD  # a character cut by the end of the head
    return b"\0" not in raw


def _format_by_content(given: Named, text: str) -> Format:
    found: Format = "jsonl" if _opens_json(text) else "csv"
    if given.path:
        raise _refusal(
            given,
            f"the name does not show the format; set --input-format {found} if it is {_NAMES[found]}, or "
            "use .csv, .tsv, .jsonl or .ndjson, each also with .gz or .zst",
        )
    return found


def _require_format(given: Named, layout: Format, text: str, compression: str, *, id_named: bool) -> None:
    """Raise UnreadableFile where the text is not of the format, or JSON of another shape."""
    if (layout == "jsonl" or _opens_json(text)) and (shape := foreign_shape(text, id_named=id_named)):
        raise _refusal(given, shape.advice(given.path, compression))
    if layout == "csv" and _opens_json(text):
        raise _mismatch(given, "the content is JSON Lines, not CSV", "jsonl")
    if layout == "jsonl" and not _opens_object(text) and not text.isspace():
        if not _has_columns(text):
            raise _refusal(given, f"no line begins with a {{, so this is not JSON Lines; a row is {ROW_FORM}")
        raise _mismatch(given, "no line begins with a {, so this is not JSON Lines but perhaps CSV", "csv")


def _mismatch(given: Named, what: str, found: Format) -> UnreadableFile:
    option = f"set --input-format {found}"
    if not given.path or not given.layout:
        return _refusal(given, f"{what}; {option}")
    stem = given.name[: len(given.name) - len(given.compression)].rpartition(".")[0]
    return _refusal(given, f"{what}; rename it to {stem}.{found}{given.compression}, or {option}")


def _refusal(given: Named, what: str) -> UnreadableFile:
    return UnreadableFile(f"{given.name}: {what}")
