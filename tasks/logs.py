"""The log of Celery's commands: its set-up, their option `--log-format`, and the start and stop of a worker."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click
from celery import Celery
from celery.signals import setup_logging, user_preload_options, worker_ready, worker_shutdown
from celery.utils.log import get_multiprocessing_logger

from config.environment import warn_of_base_url
from config.logs import LogFormat, set_up_logging
from config.settings import Settings

log = logging.getLogger(__name__)
_FORMAT = click.Option(
    ["--log-format"], type=click.Choice(["text", "json"]), help="Form of the log. Default: RELABEL_LOG_FORMAT."
)
_LASTING = frozenset({"worker", "beat"})
"""Commands that print a banner beside their log."""


def set_up_logs(app: Celery, settings: Settings) -> None:
    """Configure Celery's commands to log as ours do, in the format of the settings or of `--log-format`."""
    logs = _Logs(settings)
    app.user_options["preload"].add(_FORMAT)
    user_preload_options.connect(logs.choose, weak=False)
    setup_logging.connect(logs.set_up, weak=False)
    worker_ready.connect(logs.log_start, weak=False)
    worker_shutdown.connect(logs.log_stop, weak=False)


def keep_to_json(settings: Settings) -> None:
    """Write the log as JSON, and what Celery prints beside it not at all: early warnings, and words on signals."""
    _set_up(settings, "json")
    logging.captureWarnings(capture=True)
    setattr(sys, "__stdout__", None)  # noqa: B010 - typed as final, yet it is None in programs without a console


def _set_up(settings: Settings, log_format: LogFormat) -> None:
    set_up_logging(settings.log_level, log_format)
    # the pool's own log stands apart and would be printed bare; errors only, as Celery has it
    if pool := get_multiprocessing_logger():
        pool.propagate = True
        pool.setLevel(logging.ERROR)


class _Logs:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._format: LogFormat = settings.log_format

    def choose(self, *, options: dict[str, Any], **_: Any) -> None:
        self._format = options["log_format"] or self._settings.log_format
        command = click.get_current_context()
        if self._format == "json" and command.info_name in _LASTING:
            command.obj.quiet = True
            keep_to_json(self._settings)
        elif command.info_name == "flower":
            self.set_up()

    def set_up(self, **_: Any) -> None:
        _set_up(self._settings, self._format)

    def log_start(self, *, sender: Any, **_: Any) -> None:
        # pydantic shows secrets as stars
        in_force = self._settings.model_dump(mode="json", exclude_none=True) | {"log_format": self._format}
        children = sender.controller.concurrency
        if warning := warn_of_base_url(self._settings):
            log.warning(warning)
        log.info("worker started", extra={"worker": sender.hostname, "children": children, "settings": in_force})

    def log_stop(self, *, sender: Any, **_: Any) -> None:
        log.info("worker stopped", extra={"worker": sender.hostname})
