"""kombu's Redis transports, made to outlive a restart of the server and messages that nobody of ours sent."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import partial
from queue import Empty
from typing import Any

from kombu.transport import redis, virtual

MESSAGE_BYTES = 1 << 20
"""The largest body that is taken. One that asks for a shard has 200 bytes, a batch of events for Flower some 20,000."""

log = logging.getLogger(__name__)


class Malformed(Exception):
    """A message of the broker cannot be read: no worker of ours and no part of Celery sent it."""


class _Message(virtual.Message):
    """A message that kombu can take apart; whatever else lies in a queue is refused before it is taken on."""

    def __init__(self, payload: Any, channel: Any = None, **given: Any) -> None:
        if not _is_message(payload):
            raise Malformed
        super().__init__(payload, channel=channel, **given)


class Channel(redis.Channel):
    """A channel to one server."""

    Message: Any = _Message

    def close(self: Any) -> None:
        """Close, also where the server has gone away.

        kombu reads the answer to its last poll first. Where that fails, it leaves the channel half open with messages
        in hand, and the worker ends as soon as one of these is put back or acknowledged (celery and kombu 5.7.0).
        """
        if self._in_poll:
            with contextlib.suppress(Empty, *_errors_of(self)):
                self._brpop_read()
        super().close()

    def _brpop_read(self: Any, **options: Any) -> Any:
        return self._read_or_drop(partial(super()._brpop_read, **options))  # type: ignore[misc]

    def _receive(self: Any) -> Any:
        return self._read_or_drop(super()._receive)  # type: ignore[misc]

    def _read_or_drop(self: Any, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:
            if isinstance(error, (Empty, *_errors_of(self))):
                raise
            # it has left its queue, and was not noted as unacknowledged: it is gone. A traceback might quote it
            log.error("broker message dropped", extra={"reason": f"it cannot be read ({type(error).__name__})"})
            return True


class SentinelChannel(Channel, redis.SentinelChannel):
    """A channel to the primary that sentinels name."""


class Transport(redis.Transport):
    """The transport of redis://, rediss:// and redis+socket:// URLs."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """The transport of sentinel:// URLs."""

    Channel = SentinelChannel


def _errors_of(channel: Any) -> tuple[type[Exception], ...]:
    return (*channel.connection_errors, *channel.connection.channel_errors)


def _is_message(payload: Any) -> bool:
    """Check what kombu takes for granted, and refuse what would be expanded before anybody knows its size."""
    if not isinstance(payload, dict):
        return False
    body, headers, properties = (payload.get(name) for name in ("body", "headers", "properties"))
    if not isinstance(body, str) or not isinstance(headers, dict) or not isinstance(properties, dict):
        return False
    where = properties.get("delivery_info")
    is_addressed = isinstance(where, dict) and {"exchange", "routing_key"} <= where.keys()
    is_plain = len(body) <= MESSAGE_BYTES and not headers.get("compression")
    return is_addressed and is_plain and isinstance(properties.get("delivery_tag"), str)
