"""The sample of what a selection took, once the list is read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, TypeVar

from selection.shares import SampleEnd

if TYPE_CHECKING:
    from selection.selection import Selection

T = TypeVar("T")


async def chosen(
    selection: Selection, stored: Callable[[], AsyncIterator[T]], id_of: Callable[[T], str]
) -> AsyncIterator[T]:
    """Yield what is in the sample; all of it, where there is none. `stored` goes over what was taken, in order."""
    sample = selection.sample
    end = SampleEnd(sample) if sample else None
    if end and sample and sample.share is None:
        async for each in stored():
            end.add(id_of(each))
    last = end.end() if end else 0
    async for each in stored():
        if sample is None or sample.point_of(id_of(each)) < last:
            yield each
