"""Compressed contents of input files."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zst(content: bytes) -> bytes:
    """Return the content as one zstd frame."""
    return zstd.compress(content)
