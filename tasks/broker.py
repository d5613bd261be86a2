"""Checks Celery's broker, whichever it is."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from config.settings import Settings
from tasks.celery_app import QUEUE, make_app

CHECK_TIMEOUT_S = 2.0
"""Bound of each step of a check, so that a broker that hangs blocks nobody."""

NOT_FOUND = "404"
"""The reply code for a queue that does not exist (AMQP 0-9-1; kombu has the same for Redis)."""


class BrokerUnreachable(Exception):
    """The broker cannot be reached; the message says why, without its URL."""


class Broker:
    """The broker that the settings name. Calls are synchronous, as Celery is."""

    def __init__(self, settings: Settings) -> None:
        self._app: Celery = make_app(settings)

    def queue_length(self) -> int:
        """Return the number of messages that no worker has taken yet.

        Raises:
            BrokerUnreachable: it does not answer in time, or refuses us.

        """
        bounds = {"socket_timeout": CHECK_TIMEOUT_S, "socket_connect_timeout": CHECK_TIMEOUT_S}
        connection: Any = self._app.connection_for_read(connect_timeout=CHECK_TIMEOUT_S, transport_options=bounds)
        unreachable = (*connection.connection_errors, *connection.channel_errors, OperationalError, OSError)
        with connection:
            try:
                connection.connect()
                # kombu looks for a Redis queue without its prefix, in vain; there, a declaration makes nothing
                passive = connection.transport.driver_type != "redis"
                return int(connection.default_channel.queue_declare(QUEUE, passive=passive).message_count)
            except unreachable as error:
                if str(getattr(error, "reply_code", "")) == NOT_FOUND:
                    return 0  # nobody has sent anything yet
                raise BrokerUnreachable(type(error).__name__) from error
