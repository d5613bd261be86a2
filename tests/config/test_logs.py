"""The two forms of the log: the same event and fields, and an error without what it quotes."""

from __future__ import annotations

import json
import logging

import pytest

from config.logs import JsonFormatter, TextFormatter

CANARY = "canary value 5b20"
FORMATTERS = (TextFormatter(), JsonFormatter())


def line_of(event: str, *words: object, name: str = "worker.shard_run", **fields: object) -> logging.LogRecord:
    """What a logger hands to the formatter."""
    return logging.getLogger(name).makeRecord(name, logging.INFO, "", 0, event, words, None, extra=fields)


def failed(error: Exception) -> logging.LogRecord:
    """What a logger hands to the formatter for an error that was raised and caught."""
    try:
        raise error
    except type(error) as caught:
        record = line_of("it went wrong")
        record.exc_info = (type(caught), caught, caught.__traceback__)
        return record


def test_fields_are_words_for_people_and_members_for_programs():
    """A value with spaces is quoted; numbers stay numbers."""
    record = line_of("shard ended", job="20261125-1", shard=3, seconds=0.5, reason="no such key", lost=None)

    text, told = TextFormatter().format(record), json.loads(JsonFormatter().format(record))

    assert text.endswith(
        'Z INFO    worker.shard_run: shard ended job=20261125-1 shard=3 seconds=0.5 reason="no such key" lost=null'
    )
    assert told == {
        "time": told["time"],
        "level": "INFO",
        "logger": "worker.shard_run",
        "event": "shard ended",
        "job": "20261125-1",
        "shard": 3,
        "seconds": 0.5,
        "reason": "no such key",
        "lost": None,
    }


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_an_event_is_one_line_whatever_it_quotes(formatter):
    """Nobody forges a line of the log with a line break."""
    line = formatter.format(line_of("Redis refuses: %s", "no\n2026-01-01 INFO all is well\r\x1b", job="a\nb"))

    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "error",
    [ValueError(CANARY), ExceptionGroup(CANARY, [KeyError(CANARY), ExceptionGroup("", [TypeError(CANARY)])])],
    ids=["one", "group"],
)
def test_an_error_tells_its_class_and_place_but_not_its_words(formatter, error):
    """They may quote what a row holds; so may those of what caused it."""
    error.__cause__ = LookupError(CANARY)

    line = formatter.format(failed(error))

    assert CANARY not in line
    assert __file__ in line
    for kind in (type(error).__name__, "LookupError", *(["KeyError", "TypeError"] if "Group" in repr(error) else [])):
        assert kind in line


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_the_event_loop_does_not_quote_an_error_that_nobody_took(formatter):
    """asyncio's message shows the error itself from its second line on."""
    line = formatter.format(
        line_of(f"Task exception was never retrieved\nexception=ValueError({CANARY})", name="asyncio")
    )

    assert CANARY not in line
    assert "Task exception was never retrieved" in line
