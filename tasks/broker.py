"""A look at Celery's broker, whichever it is."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from config.settings import Settings
from tasks.celery_app import QUEUE, make_app

LOOK_TIMEOUT_S = 2.0
"""Bound of each step of a look, so that a broker that hangs holds nobody up."""

NOT_FOUND = "404"
"""What a broker answers to a question for a queue that is not there (AMQP 0-9-1, as does kombu for Redis)."""


class BrokerUnreachable(Exception):
    """The broker cannot be reached; the message says why, without its URL."""


class Broker:
    """The broker that the settings name. Looks are synchronous, as Celery is."""

    def __init__(self, settings: Settings) -> None:
        self._app: Celery = make_app(settings)

    def queue_length(self) -> int:
        """Give the number of messages that no worker has taken yet.

        Raises:
            BrokerUnreachable: it does not answer in time, or refuses us.

        """
        bounds = {"socket_timeout": LOOK_TIMEOUT_S, "socket_connect_timeout": LOOK_TIMEOUT_S}
        connection: Any = self._app.connection_for_read(connect_timeout=LOOK_TIMEOUT_S, transport_options=bounds)
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
