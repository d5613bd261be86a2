"""Reads a completion from a page of the list, to learn whether pages show updates as soon as reads do."""

from __future__ import annotations

from completions.errors import Refusal
from completions.list_page import ListQuery, Order
from ledger.row import Metadata
from probe.calls import RetryingCalls

NEIGHBOURS = 20
"""Completions on the page that is looked at: others may come and go beside the one that is examined."""


class NotListed(Exception):
    """No page shows the completion, or there is no list."""


class ListedCompletion:
    """A completion on the page that begins after one of its neighbours."""

    def __init__(self, calls: RetryingCalls) -> None:
        self._calls = calls
        self._newer: str | None = None

    async def find(self) -> None:
        """Find the page that shows the completion.

        Raises:
            NotListed: there is none.

        """
        newer = await self._page("asc", self._calls.completion_id, limit=1)
        self._newer = next(iter(newer), None)
        await self.read()

    async def read(self) -> Metadata | None:
        """Return what the page shows of the completion; None where it shows no metadata.

        Raises:
            NotListed: it is not there.

        """
        shown = await self._page("desc", self._newer, limit=NEIGHBOURS)
        if self._calls.completion_id not in shown:
            raise NotListed
        return shown[self._calls.completion_id]

    async def _page(self, order: Order, after: str | None, *, limit: int) -> dict[str, Metadata | None]:
        try:
            page = await self._calls.page(ListQuery(order=order, limit=limit), after=after)
        except Refusal as refusal:
            raise NotListed from refusal
        return {item.id: item.metadata for item in page.items}
