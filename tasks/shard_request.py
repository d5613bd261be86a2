"""Celery's request of a shard in the worker's main process."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class ShardRequest(Request):
    """Reports a failure by its own exception; Celery's events would name only what the pool wraps it in."""

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Report a run that failed, or whose process died."""
        wrapped = getattr(exc_info.exception, "exc", None)
        if isinstance(wrapped, BaseException):
            exc_info.exception = wrapped
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)
