"""Bounds connections: the time that the head of a request may take, and whom a full server lets go of."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_WITHIN_S = 20.0
"""Time that a client has for the head of a request, and that an idle connection is kept open."""
FULL = "full"
"""What a request is told in its state: whether the server takes no more of them."""
MOST_LEFT = 1000
"""Requests, beyond the connections that there may be, that have not ended yet although theirs is closed."""


class BoundedConnection(H11Protocol):
    """A connection that is closed where the head of its next request does not come in time.

    uvicorn bounds the time between requests only: the head itself might come byte by byte for ever.

    Where there are as many connections as there may be, a new one takes the place of the one that has waited longest
    for a request. Whose requests are under way keep theirs; where all are, the next request is told that the server is
    full (`FULL`), which `web.peers` answers: uvicorn's own bound would answer no problem.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _waits_since = 0.0
    _server_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, and the place of another one where there is no other."""
        super().connection_made(transport)
        self.limit_concurrency, self._server_state = None, self.app_state
        self._waits_since = self.loop.time()
        self._make_room()
        self._bound_head()

    def data_received(self, data: bytes) -> None:
        """Read more of a request."""
        self.app_state = self._server_state | {FULL: self._is_full()}
        super().data_received(data)
        self._bound_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._waits_since = self.loop.time()
        self._bound_head()

    def _bound_head(self) -> None:
        """Run the timer exactly while no request is under way."""
        if self._is_idle():
            self._head_timer = self._head_timer or self.loop.call_later(HEADERS_WITHIN_S, self.transport.close)
        else:
            self._end_timer()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _may_go(self) -> bool:
        """Return whether nothing is lost but time where the connection is closed.

        There is no whole request yet: neither a head, nor, of somebody who is not known as a caller, a body.
        """
        if self._is_idle():
            return True
        state: dict[str, Any] = self.scope["state"]
        return self.cycle.more_body and "caller" not in state

    def _is_full(self) -> bool:
        """Return whether no request is taken; uvicorn counts those of closed connections as if they had theirs."""
        most = self.config.limit_concurrency
        return most is not None and (len(self.connections) >= most or len(self.tasks) >= most + MOST_LEFT)

    def _make_room(self) -> None:
        most = self.config.limit_concurrency
        if most is None or len(self.connections) < most:
            return
        others = [each for each in self.connections if isinstance(each, BoundedConnection) and each is not self]
        if waiting := [each for each in others if each._may_go()]:
            min(waiting, key=lambda each: each._waits_since)._leave()

    def _leave(self) -> None:
        """Close the connection at once; over TLS a peer that answers nothing would hold it for half a minute."""
        self.connections.discard(self)
        if self.transport.get_write_buffer_size():
            self.transport.close()  # the rest of an answer
        else:
            self.transport.abort()

    def _end_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
