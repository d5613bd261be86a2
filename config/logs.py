"""Logging: one plain line an event on standard error, never an id, a metadata value or a key."""

from __future__ import annotations

import logging

QUIET = ("httpx", "httpcore", "aiohttp", "asyncio", "kombu", "amqp")
"""Libraries whose INFO lines may name URLs, and so completion ids (measured: httpx logs each request's URL)."""


def set_up_logging(level: str) -> None:
    """Send the program's log to standard error from this level on."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
