"""Celery's consumer in a worker, which no message can end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

from tasks.announce import APPLY_SHARD, READ_SELECTION

OURS = "relabel."
"""Prefix of the names of our tasks; Celery registers a few of its own, which are not used here."""
ARGUMENTS: dict[str, list[type]] = {APPLY_SHARD: [str, int], READ_SELECTION: [str]}
"""Types of a task's arguments; a task that is not listed has none."""
MOST_SHARDS = 1 << 53
_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
"""Ids of jobs and of messages: these are logged, and become parts of keys."""

log = logging.getLogger(__name__)


class Consumer(CeleryConsumer):
    """Accepts messages for our tasks, and drops all others with a log line that quotes nothing of them.

    Without it, one message ends every worker in turn: each dies before it is acknowledged, and hands it to the next.
    """

    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]

    def create_task_handler(self, *given: Any) -> Callable[[Any], None]:
        """Return what is called with each message."""
        take: Callable[[Any], None] = super().create_task_handler(*given)
        passing = (*self.connection_errors, *self.channel_errors)

        def take_or_drop(message: Any) -> None:
            try:
                headers = needed_headers(message, self.app.tasks)
                if headers is None:
                    self._drop(message, "it asks for nothing that relabel does")
                else:
                    message.headers = headers
                    take(message)
            except Exception as error:
                # kombu counts a KeyError among the errors of a connection; here it is one of the message
                if isinstance(error, passing) and not isinstance(error, KeyError):
                    raise
                self._drop(message, f"it cannot be taken ({type(error).__name__})")

        return take_or_drop

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Drop a message whose body is not what its headers say; Celery would log all of it."""
        self._drop(message, f"it cannot be decoded ({type(exc).__name__})")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Drop a message that Celery refuses; it would log all of it."""
        self._drop(message, f"it is refused ({type(exc).__name__})")

    def _drop(self, message: Any, reason: str) -> None:
        log.error("broker message dropped", extra={"reason": reason})
        if not message.acknowledged:
            message.reject_log_error(log, self.connection_errors)


def needed_headers(message: Any, tasks: Any) -> dict[str, Any] | None:
    """Return those headers of a message that our tasks need; None where it asks for something else.

    The others could hold a worker up: a time limit that is no number, a time to run at, another name for the log.
    """
    headers = message.headers
    task, task_id = headers.get("task"), headers.get("id")
    if not isinstance(task, str) or not task.startswith(OURS) or task not in tasks:
        return None
    if not _is_id(task_id) or not _is_call(task, message.payload):
        return None
    told = {name: str(headers.get(name, ""))[:200] for name in ("argsrepr", "kwargsrepr")}
    return {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "expires": headers.get("expires")} | told


def _is_call(task: str, payload: Any) -> bool:
    match payload:
        case [list() as args, dict() as kwargs, dict() as then]:
            types = [type(argument) for argument in args]
            if kwargs or any(then.values()) or types != ARGUMENTS.get(task, []):
                return False
            return all(_is_id(arg) if isinstance(arg, str) else 0 <= arg < MOST_SHARDS for arg in args)
    return False


def _is_id(text: object) -> bool:
    return isinstance(text, str) and _ID.fullmatch(text) is not None
