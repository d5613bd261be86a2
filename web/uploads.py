"""Takes what is uploaded to disk, part by part, in files without a name: a broken upload leaves nothing."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar, cast

import msgspec
from fastapi import Request
from starlette.datastructures import FormData, ImmutableMultiDict, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from config.text import sanitize
from producer.decompress import DAMAGED, compression_of, decompressed
from producer.find_files import MAX_FILES, FoundFile
from web.refusals import Refusal
from web.selection_body import PlanOfSelection
from web.submit_options import SubmitOptions, options_of, validated

TOGETHER = 1 << 20
"""Bytes that are written at once."""
JSON_BYTES = 32 << 20
"""Bytes of rows as JSON, which are read as a whole; NDJSON has no such bound."""
MOST_FIELDS = 200
FIELD_BYTES = 16 * 1024
"""Bytes of a field that is no file."""
IN_MEMORY_BYTES = 32 * 1024
"""Bytes of each file of a form that are kept in memory: a form may have 1,000 of them."""
FILE_BUFFER_BYTES = 8 * 1024
NAME_CHARS = 200
UNNAMED = "upload"
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_MORE_FILES = (errno.EMFILE, errno.ENFILE)
Layout = Literal["csv", "jsonl"]
T = TypeVar("T")

MULTIPART, JSON = "multipart/form-data", "application/json"
TYPES: dict[str, Layout | None] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/octet-stream": None,
    "application/gzip": None,
    "application/zstd": None,
}
"""Types of a body that is a file, with the layout where they name one; else the content shows it."""
ENCODINGS = {"": "", "identity": "", "gzip": ".gz", "zstd": ".zst"}


class Upload(NamedTuple):
    """Files that were uploaded, with their options; or a selection in their place.

    `layout` is what the type of the body says.
    """

    files: list[FoundFile]
    options: SubmitOptions
    layout: Layout | None = None
    selection: PlanOfSelection | None = None

    def digest(self) -> str:
        """Return a SHA-256 of names, contents and options; reads all of it."""
        digest = hashlib.sha256((self.selection or self.options).canonical())
        for path, _, opened in self.files:
            if opened is None:
                continue
            opened.seek(0)
            content = hashlib.sha256()
            while block := opened.read(TOGETHER):
                content.update(block)
            digest.update(f"\0{path}\0{content.hexdigest()}".encode())
            opened.seek(0)
        return digest.hexdigest()


class Form(NamedTuple):
    """The files and the other fields of a form."""

    files: list[FoundFile]
    fields: list[tuple[str, str]]


class WholeForm(MultiPartParser):
    """Reads a form to its end, and refuses one that has none: files and options that came last would be missing.

    Whoever sends many files cannot fill the memory with them.
    """

    spool_max_size = IN_MEMORY_BYTES
    _has_ended = False

    def on_headers_finished(self) -> None:
        """Begin a part; a file gets a small buffer, as that of Python 3.14 takes 128 KiB of memory for each."""
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()
            file = tempfile.SpooledTemporaryFile[bytes](self.spool_max_size, buffering=FILE_BUFFER_BYTES)
            upload.file = cast("BinaryIO", file)
            self._files_to_close_on_error[-1] = file

    def on_end(self) -> None:
        """Record that the last boundary was read."""
        self._has_ended = True

    async def parse(self) -> FormData:
        """Return the form. Raises MultiPartException where it cannot be read, or is cut short."""
        form = await super().parse()
        if not self._has_ended:
            for file in self._files_to_close_on_error:
                file.close()
            raise MultiPartException("the last boundary is missing")
        return form


@asynccontextmanager
async def uploaded(request: Request) -> AsyncIterator[Upload]:
    """Take the body of a request to disk for as long as the block runs.

    Raises:
        Refusal: it is too large, too slow, cut short, or of another type; or there is no room for it.

    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ENCODINGS or (kind == MULTIPART and ENCODINGS[encoding]):
        raise Refusal("unsupported_media_type", "the encoding of the body must be identity, gzip or zstd.")
    with ExitStack() as stack, room_for_uploads():
        if kind == MULTIPART:
            yield await _form(request, stack)
        elif kind == JSON:
            file = await _spooled(request, stack)
            members = await asyncio.to_thread(_members_of_json, file, ENCODINGS[encoding])
            yield await asyncio.to_thread(_upload_of_json, members, request.query_params, stack)
        elif kind in TYPES:
            options = options_of(request.query_params)
            file = await _spooled(request, stack)
            _require_encoding(file, ENCODINGS[encoding])
            yield Upload([_unnamed(file)], options, TYPES[kind])
        else:
            known = ", ".join((MULTIPART, JSON, *TYPES))
            raise Refusal("unsupported_media_type", f"the type of the body must be one of {known}.")


async def _form(request: Request, stack: ExitStack) -> Upload:
    files, fields = await read_form(request, stack)
    return Upload(files, options_of(request.query_params, type(request.query_params)(fields)), None)


async def read_form(request: Request, stack: ExitStack) -> Form:
    """Return the files and fields of a form, which are closed with the stack.

    Raises:
        Refusal: it cannot be read, or has no file.

    """
    bounds = {"max_files": MAX_FILES, "max_fields": MOST_FIELDS, "max_part_size": FIELD_BYTES}
    try:
        form = await WholeForm(request.headers, request.stream(), **bounds).parse()
    except MultiPartException:
        what = (
            f"the form cannot be read; it may be cut short, or have more than {MAX_FILES:,} files, {MOST_FIELDS} other "
            f"fields or {FIELD_BYTES:,} bytes in one of these."
        )
        raise Refusal("invalid_request", what) from None
    files, fields, items = list[FoundFile](), list[tuple[str, str]](), form.multi_items()
    for _, value in items:  # all of them, also where one is refused
        if isinstance(value, UploadFile):
            stack.callback(value.file.close)
    for name, value in items:
        if isinstance(value, UploadFile):
            if name != "file":
                raise Refusal("invalid_request", "each file must be in a field called file.")
            files.append(_named(value.filename or "", value.file))
        else:
            fields.append((name, value))
    if not files:
        raise Refusal("invalid_request", "there is no file in the body; send one in a field called file.")
    return Form(files, fields)


def _named(filename: str, file: Any) -> FoundFile:
    """Return an uploaded file by its name, of which a path before it is no part."""
    name = sanitize(filename.replace("\\", "/").rpartition("/")[2], NAME_CHARS)
    return FoundFile(name, name, file) if "." in name.strip(".") else _unnamed(file)


def _unnamed(file: BinaryIO) -> FoundFile:
    return FoundFile("-", UNNAMED, file)


async def _spooled(request: Request, stack: ExitStack) -> BinaryIO:
    """Write the body to a file without a name, and return it at its beginning."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    group, size = list[bytes](), 0
    async for part in request.stream():
        group.append(part)
        size += len(part)
        if size >= TOGETHER:
            await asyncio.to_thread(file.write, b"".join(group))
            group, size = [], 0
    await asyncio.to_thread(file.write, b"".join(group))
    file.seek(0)
    return file


def _require_encoding(file: BinaryIO, compression: str) -> None:
    found = compression_of(file.read(4))
    file.seek(0)
    if compression and found != compression:
        raise Refusal("invalid_request", "the body is not encoded as its Content-Encoding says.")


def _members_of_json(file: BinaryIO, compression: str) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON body."""
    _require_encoding(file, compression)
    try:
        body = decompressed(file, compression).read(JSON_BYTES + 1)
    except (*DAMAGED, EOFError, gzip.BadGzipFile, zlib.error):
        raise Refusal("invalid_request", "the body is damaged, or cut short.") from None
    if len(body) > JSON_BYTES:
        what = f"rows as JSON may have {JSON_BYTES:,} bytes; send them as application/x-ndjson."
        raise Refusal("too_large", what, limit="JSON_BYTES")
    return _decoded(body, dict[str, msgspec.Raw])


def _upload_of_json(members: dict[str, msgspec.Raw], query: ImmutableMultiDict[str, Any], stack: ExitStack) -> Upload:
    """Return the rows of a JSON body as a file of lines, or its selection; with the options beside them."""
    if "select" in members:
        given = {name: _decoded(value, Any) for name, value in members.items()}
        return Upload([], SubmitOptions(), selection=validated(PlanOfSelection, _of_query(query) | given))
    rows = _decoded(members.pop("rows", msgspec.Raw(b"null")), list[msgspec.Raw])
    options = options_of(query, {name: _decoded(value, Any) for name, value in members.items()})
    lines = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - as above
    lines.writelines(_lines(rows))
    lines.seek(0)
    return Upload([FoundFile("-", UNNAMED, lines)], options, "jsonl")


def _of_query(query: ImmutableMultiDict[str, Any]) -> dict[str, Any]:
    """Return the options of a query that a selection has, too; others may be there as they are without being named.

    Raises:
        Refusal: one that is for files and rows alone says something.

    """
    options, fields = options_of(query), SubmitOptions.model_fields
    given = {name: getattr(options, name) for name in options.model_fields_set}
    for name, value in given.items():
        if name not in PlanOfSelection.model_fields and value != fields[name].default:
            raise Refusal("invalid_request", f"{name} is for files and rows; leave it out.")
    return {name: value for name, value in given.items() if name in PlanOfSelection.model_fields}


def _decoded(body: bytes | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        what = 'the body must be an object such as {"rows": [{"id": ...}]}; for a plan, {"select": {...}}, too.'
        raise Refusal("invalid_request", what) from None


def _lines(rows: Sequence[msgspec.Raw]) -> Iterator[bytes]:
    for row in rows:
        yield msgspec.json.format(bytes(row), indent=-1) + b"\n"


@contextmanager
def room_for_uploads() -> Iterator[None]:
    """Refuse an upload for which the disk has no room, or for whose files there are no descriptors."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_MORE_FILES:
            raise Refusal("busy", "too many files are open (ulimit -n).", retry_after_s=60) from None
        if error.errno not in NO_ROOM:
            raise
        raise Refusal("no_room", "the server's disk has no room for this (TMPDIR).", retry_after_s=60) from None
