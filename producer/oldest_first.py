"""Orders rows by the age of their completions, so that those go first that are deleted first."""

from __future__ import annotations

from array import array

from completions.age import EPOCH, created_at

_BITS = 15
"""Bits that a pass sorts by. Two passes suffice: five base62 characters are fewer than 2 ** 30."""
UNKNOWN = (1 << 2 * _BITS) - 1
"""Stands for an age that the id does not show; it is the latest."""


def creation_key(completion_id: str) -> int:
    """Return when the completion was created as a number to order by; `UNKNOWN` where the id does not show it."""
    created = created_at(completion_id)
    return UNKNOWN if created is None else int(created) - EPOCH


def oldest_first(keys: array[int]) -> array[int]:
    """Return the numbers of the rows in the order of their keys; rows with the same key keep theirs.

    A radix sort from the lower digit on, so that memory holds a few bytes a row.
    """
    rows = array("I", range(len(keys)))
    for shift in (0, _BITS):
        buckets = [array("I") for _ in range(1 << _BITS)]
        for row in rows:
            buckets[keys[row] >> shift & (1 << _BITS) - 1].append(row)
        rows = array("I")
        for bucket in buckets:
            rows.extend(bucket)
    return rows
