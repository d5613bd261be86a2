"""Selects the failed rows of a job that are retried."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Container

from ledger.codec import Detail
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.row import Outcome, Patch
from ledger.row_reader import read_rows

HOPELESS = frozenset({"too_many_pairs", "key_not_removed", "value_altered"})
"""Codes of our own for rows that fail each time, because of the completion or the service."""
_MAY_PASS = frozenset({408, 409, 425, 429})


def is_hopeless(detail: Detail | None) -> bool:
    """Return whether the row fails each time, as the API refuses what it asks for.

    That is every status 4xx but the temporary ones (timeout, conflict, rate).
    """
    if detail is None:
        return False
    return detail.code in HOPELESS or (400 <= detail.status < 500 and detail.status not in _MAY_PASS)


class RetryRows:
    """The failed rows of a job: those of some codes, or all, or those that may succeed; counts the ones left out."""

    def __init__(self, ledger: Ledger, spec: JobSpec, *, codes: Container[str] | None, everything: bool) -> None:
        self._ledger = ledger
        self._spec = spec
        self._codes = codes
        self._everything = everything
        self.left_out: Counter[str] = Counter()

    async def __aiter__(self) -> AsyncIterator[Patch]:
        """Yield the rows in order.

        Raises:
            StateLost: some of the rows are gone from Redis.

        """
        async for row in read_rows(self._ledger.redis, self._spec, only={Outcome.FAILED}):
            if self._wants(row.detail):
                yield row.patch
            else:
                self.left_out[row.detail.code if row.detail else ""] += 1

    def _wants(self, detail: Detail | None) -> bool:
        if self._codes is not None:
            return detail is not None and detail.code in self._codes
        return self._everything or not is_hopeless(detail)
