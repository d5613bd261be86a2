"""Reads the body of an answer, within bounds and without blocking the event loop."""

from __future__ import annotations

import asyncio
import zlib

import aiohttp
import httpx

ACCEPT_ENCODING = "gzip, deflate"
"""The codings that requests accept: those that `read_body` decodes step by step."""

MAX_BODY_BYTES = 4 << 20
"""Bytes a body may have, compressed and decompressed. A completion with its text is far smaller."""

_STEP = 1 << 16  # bytes decompressed without a break: some 0.2 ms


async def read_body(payload: aiohttp.StreamReader, coding: str, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the whole body, decompressed, which may have `most` bytes; the rest of one that has more is left unread.

    `coding` is the answer's `Content-Encoding`, '' where it has none.

    Raises:
        httpx.DecodingError: it is too large, or not in the coding that its header names.
        aiohttp.ClientError: the connection was lost.

    """
    blocks, size = [], 0
    while block := await payload.readany():
        blocks.append(block)
        size += len(block)
        if size > most:
            raise _too_large(most)
    body = b"".join(blocks)
    return await _decompressed(body, coding.strip().lower(), most) if coding and body else body


async def _decompressed(body: bytes, coding: str, most: int) -> bytes:
    """Return the decoded body; one in a coding that was not accepted is returned as it is."""
    if coding in {"gzip", "x-gzip"}:
        decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    elif coding == "deflate":
        decoder = zlib.decompressobj(zlib.MAX_WBITS if _has_zlib_header(body) else -zlib.MAX_WBITS)
    else:
        return body
    blocks: list[bytes] = []
    size = at = 0
    while not decoder.eof:
        if blocks:
            await asyncio.sleep(0)
        data = decoder.unconsumed_tail or body[at : at + _STEP]
        at += 0 if decoder.unconsumed_tail else _STEP
        try:
            block = decoder.decompress(data, _STEP)
        except zlib.error as error:
            raise httpx.DecodingError(f"is damaged {coding} data") from error
        if not data and not block:
            raise httpx.DecodingError(f"ends within its {coding} data")
        blocks.append(block)
        size += len(block)
        if size > most:
            raise _too_large(most)
    return b"".join(blocks)


def _has_zlib_header(body: bytes) -> bool:
    """Check for the two bytes of RFC 1950 section 2.2, which some servers leave out of `deflate`."""
    return body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _too_large(most: int) -> httpx.DecodingError:
    return httpx.DecodingError(f"is larger than {most >> 20} MiB")
