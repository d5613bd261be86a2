"""Logging: one line an event on standard error, never an id of a completion, a metadata value or a key.

An event is a few words with fields: `log.info("shard ended", extra={"job": job_id, "shard": 3})`. People read them as
`shard ended job=20261123-205318-c81e4f02 shard=3`, programs as members of a JSON object.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from config.text import printable, redact

LogFormat = Literal["text", "json"]
QUIET = ("httpx", "httpcore", "aiohttp", "asyncio", "kombu", "amqp")
"""Libraries whose INFO lines may name URLs, and so completion ids (measured: httpx logs each request's URL)."""
TRACEBACK = "traceback"
"""Field that holds where an error came from."""
_NO_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "data"}
"""What each line of the logging module has, and `data`, in which Celery repeats its message."""


def set_up_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send the program's log to standard error from this level on, in this format."""
    output = logging.StreamHandler()
    output.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[output], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class TextFormatter(logging.Formatter):
    """Writes an event as a line that people read; only a traceback takes more lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = _fields(record)
        trace = fields.pop(TRACEBACK, None)
        told = "".join(f" {name}={_word(value)}" for name, value in fields.items())
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {_event(record)}{told}"
        return f"{line}\n{trace}" if trace else line


class JsonFormatter(logging.Formatter):
    """Writes an event as one JSON object on a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {"time": _time(record), "level": record.levelname, "logger": record.name, "event": _event(record)}
        return json.dumps(line | _fields(record), default=str)


def safe_traceback(error: BaseException, places: Any = None) -> str:
    """Return the class and place of an error without its message, which may quote a row."""
    return "\n".join(_trace(error, places or error.__traceback__))


def _trace(error: BaseException, places: Any) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _trace(cause, cause.__traceback__)
        yield "which led to:"
    yield "".join(traceback.format_tb(places)) + type(error).__name__
    for part in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _trace(part, part.__traceback__)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name == "asyncio":
        message = message.partition("\n")[0]  # the lines after it quote the error
    return printable(" ".join(message.split()))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = {name: _redacted(value) for name, value in vars(record).items() if name not in _NO_FIELDS}
    _, error, places = record.exc_info or (None, None, None)
    return fields | {TRACEBACK: safe_traceback(error, places)} if error is not None else fields


def _redacted(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value


def _word(value: Any) -> str:
    if isinstance(value, str):
        plain = value.isprintable() and not set(value) & set(' "=')
        return value if plain and value else json.dumps(value)
    return json.dumps(value, default=str, separators=(",", ":"))
