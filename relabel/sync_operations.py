"""The verbs of operators for programs without an event loop: those of `relabel.operations`."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ledger.service_profile import Behaviour
from relabel.loop_thread import LoopThread
from relabel.operations import NightlyDue, NightlyStatusResult
from relabel.results import HealthResult, NightlyRunResult

if TYPE_CHECKING:
    from relabel import aio


class Operations:
    """The verbs of operators, carried out by the client's own loop."""

    _client: aio.Client
    _thread: LoopThread

    def health(self, only: Collection[str] = ()) -> HealthResult:
        """Check the deployment, or what is named: the checks of `relabel health`, with what to do."""
        return self._thread.run(self._client.health(only))

    def nightly_status(self) -> NightlyStatusResult:
        """Return how the nightly runs stand."""
        return self._thread.run(self._client.nightly_status())

    def nightly_next(self, number: int = 5) -> list[NightlyDue]:
        """Return when the next runs are due."""
        return self._thread.run(self._client.nightly_next(number))

    def nightly_run(self, *, again: bool = False, wait: bool = False) -> NightlyRunResult:
        """Let the workers that have the inbox take its files now, as the run that was due last; `wait` for its end."""
        return self._thread.run(self._client.nightly_run(again=again, wait=wait))

    def probe(self, completion_id: str) -> Behaviour | None:
        """Find out on a completion how the service updates, and restore it, whatever happens."""
        return self._thread.run(self._client.probe(completion_id))
