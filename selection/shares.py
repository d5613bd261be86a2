"""Divides completions by a stable hash: the same completion falls into the same part, whenever and wherever."""

from __future__ import annotations

import hashlib
import heapq
import re
from bisect import bisect_right
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from ledger.row import MAX_VALUE_CHARS
from selection.errors import BadSelection, LeftOut
from selection.fields import Field, parse_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selection.completion import Completion

_POINTS = 1 << 64
_split_form = re.compile(r"([^=]+)=(.+)", re.DOTALL).fullmatch
_is_share = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?").fullmatch
_is_number = re.compile(r"[0-9]{1,9}").fullmatch
MOST_PARTS = 100
"""Parts of a split."""


def point(purpose: str, text: str) -> int:
    """Return the place of a text on a line of 2^64: the first 8 bytes of SHA-256 of `purpose`, NUL and the text."""
    return int.from_bytes(hashlib.sha256(f"{purpose}\0{text}".encode()).digest()[:8])


class Split(NamedTuple):
    """A key, and the values that completions get for it, each a share of them. `by` is the text that is hashed."""

    key: str
    values: Sequence[str]
    ends: Sequence[int]
    by: Field

    def value_of(self, completion: Completion) -> str:
        """Return the value of a completion; raises LeftOut where it lacks what decides."""
        text = self.by.get(completion)
        if text is None:
            raise LeftOut(f"{self.by.name} missing")
        return self.values[bisect_right(self.ends, point(self.key, text))]


def parse_split(text: str, by: str) -> Split:
    """Return the split of a text such as `dataset=train:80,test:20`; `by` names the field that is hashed.

    Raises:
        BadSelection: it is none, or its shares do not add up to 100.

    """
    form = _split_form(text)
    parts = [part.rpartition(":") for part in form[2].split(",")] if form else []
    if not parts or not all(value.strip() and _is_share(share.strip()) for value, _, share in parts):
        raise BadSelection(f"{text!r} is no split; write KEY=VALUE:PERCENT,..., such as dataset=train:80,test:20")
    values = [value.strip() for value, _, _ in parts]
    shares = [Decimal(share.strip()) for _, _, share in parts]
    if len(set(values)) < len(values):
        raise BadSelection(f"{text!r} names a value twice; name each once")
    if len(values) > MOST_PARTS:
        raise BadSelection(f"a split has at most {MOST_PARTS} parts, this one has {len(values):,}")
    if long := next((value for value in values if len(value) > MAX_VALUE_CHARS), None):
        raise BadSelection(f"a value of --split has {len(long)} characters; the API allows {MAX_VALUE_CHARS}")
    if sum(shares) != 100:
        raise BadSelection(f"the shares of {text!r} add up to {sum(shares)} percent; make it 100")
    ends = [int(end * _POINTS / 100) for end in accumulate(shares)]
    return Split(form[1].strip() if form else "", values, ends[:-1], parse_field(by))


class Sample(NamedTuple):
    """A sample of completions: about a share of them, or so many. `seed` chooses which."""

    share: Decimal | None
    number: int
    seed: int

    def point_of(self, completion_id: str) -> int:
        """Return the place of a completion; the sample takes those before its end."""
        return point(f"sample {self.seed}", completion_id)


class SampleEnd:
    """Finds the end of a sample, itself excluded, among all completions that it is taken of."""

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._last: list[int] = []  # a heap of the first places, negative, so that the last of them is on top

    def add(self, completion_id: str) -> None:
        """Take a completion into account."""
        place = -self._sample.point_of(completion_id)
        if len(self._last) < self._sample.number:
            heapq.heappush(self._last, place)
        elif self._last and place > self._last[0]:
            heapq.heapreplace(self._last, place)

    def end(self) -> int:
        """Return the end."""
        if self._sample.share is not None:
            return int(self._sample.share * _POINTS / 100)
        return 1 - self._last[0] if self._last else 0


def parse_sample(text: str, seed: int) -> Sample:
    """Return the sample of a text: `300` completions, or about `1%` of them.

    Raises:
        BadSelection: it is none.

    """
    number, percent, rest = text.strip().partition("%")
    if percent and not rest and _is_share(number.strip()) and 0 < Decimal(number) <= 100:
        return Sample(Decimal(number), 0, seed)
    if not percent and _is_number(number) and int(number):
        return Sample(None, int(number), seed)
    raise BadSelection(f"{text!r} is no sample; write a number of completions, such as 300, or a share, such as 1%")
