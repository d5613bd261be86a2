"""The messages that ask for shards. Who sends them needs nothing of what carries shards out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

APPLY_SHARD = "relabel.apply_shard"

log = logging.getLogger(__name__)


def announce(app: Celery, job_id: str, shards: Iterable[int]) -> None:
    """Send a message for each shard. One that cannot be sent is announced again by the rescue."""
    numbers = list(shards)
    if not numbers:
        return
    # a connection of its own: a pooled one that a cut link left behind hangs, then fails in ways of its own
    with app.connection_for_write() as connection:
        unreachable: Any = (*connection.connection_errors, *connection.channel_errors, OperationalError)
        try:
            for shard in numbers:
                app.send_task(
                    APPLY_SHARD,
                    args=(job_id, shard),
                    task_id=f"{job_id}.{shard}.{secrets.token_hex(3)}",
                    # what Flower and Celery's events show: enough for an operator, and never a value of a row
                    argsrepr=f"job {job_id}, shard {shard}",
                    kwargsrepr="{}",
                    connection=connection,
                    retry=False,
                )
        except unreachable as error:
            told = "The broker takes no messages (%s); shards are announced again later."
            log.warning(told, type(error).__name__, extra={"job": job_id})
