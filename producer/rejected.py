"""The rows that can never be sent, kept on disk until they are reported."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Self

import msgspec

from ledger.row import Rejection
from producer.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Rejection).decode


class RejectedRows:
    """Rejections in any order of coming; iterating gives them in order of their lines."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self._lines = array("Q")
        self._sorted = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Rejection]:
        # Reading finds rejections in order; folding, which comes after it, adds its few out of order.
        rows = range(len(self._lines))
        for row in rows if self._sorted else sorted(rows, key=self._lines.__getitem__):
            yield _decode(self._spool.read(row))

    def add(self, rejection: Rejection) -> None:
        """Keep one more."""
        self._sorted = self._sorted and (not self._lines or self._lines[-1] <= rejection.line)
        self._lines.append(rejection.line)
        self._spool.append(_encode(rejection))

    def blocks(self) -> Iterator[bytes]:
        """Give their bytes in order of coming."""
        return self._spool.blocks()

    def close(self) -> None:
        """Give the disk space back; may be called twice."""
        self._spool.close()
