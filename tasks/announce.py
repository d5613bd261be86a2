"""The messages that ask workers for shards, selections and nightly runs; sending one loads nothing of a worker."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

APPLY_SHARD = "relabel.apply_shard"
READ_SELECTION = "relabel.read_selection"
CARRY_ON = "relabel.nightly_carry_on"
NIGHTLY_QUEUE = "relabel.nightly"
"""A queue of its own: workers that do not have the inbox leave it to those that have."""
CARRY_ON_EXPIRES_S = 6 * 3600.0
"""Life of a message that asks for a nightly run to be carried on; a later one replaces it."""

log = logging.getLogger(__name__)


def announce(app: Celery, job_id: str, shards: Iterable[int]) -> None:
    """Send a message for each shard. One that cannot be sent is announced again by the rescue."""
    messages = [
        {
            "args": (job_id, shard),
            "task_id": f"{job_id}.{shard}.{secrets.token_hex(3)}",
            # what Flower and Celery's events show: enough for an operator, and never a value of a row
            "argsrepr": f"job {job_id}, shard {shard}",
        }
        for shard in shards
    ]
    if error := _send(app, APPLY_SHARD, messages):
        log.warning(
            "The broker accepts no messages (%s); shards are announced again later.", error, extra={"job": job_id}
        )


def ask_to_read(app: Celery, job_id: str) -> None:
    """Send a message that asks a worker to read the list for a job. One that cannot be sent is sent again later."""
    message = {
        "args": (job_id,),
        "task_id": f"{job_id}.list.{secrets.token_hex(3)}",
        "argsrepr": f"job {job_id}",
    }
    if error := _send(app, READ_SELECTION, [message]):
        what = "The broker accepts no messages (%s); the list is read later."
        log.warning(what, error, extra={"job": job_id})


def ask_to_carry_on(app: Celery) -> None:
    """Send a message that asks a worker to carry open nightly runs on. One that cannot be sent is sent again later."""
    message = {"argsrepr": "()", "queue": NIGHTLY_QUEUE, "expires": CARRY_ON_EXPIRES_S}
    if error := _send(app, CARRY_ON, [message]):
        log.warning("The broker accepts no messages (%s); the nightly run is carried on later.", error)


def _send(app: Celery, task: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """Send the messages and return the kind of error that stopped it, '' where there was none."""
    if not messages:
        return ""
    # a connection of its own: a pooled one that a cut link left behind hangs, then fails in ways of its own
    with app.connection_for_write() as connection:
        unreachable: Any = (*connection.connection_errors, *connection.channel_errors, OperationalError)
        try:
            for message in messages:
                app.send_task(task, kwargsrepr="{}", connection=connection, retry=False, **message)
        except unreachable as error:
            return type(error).__name__
    return ""
