"""Holds the key that a process sends, and reads it again when the API refuses it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from completions.errors import KeyRefused
from config.errors import KeyUnavailable
from config.text import register_secret

log = logging.getLogger(__name__)


class Credential:
    """The key, with how often it was read. `read` reads it again and may block; without it the key never changes."""

    def __init__(self, secret: str, read: Callable[[], str] | None = None) -> None:
        register_secret(secret)
        self.secret = secret
        self.readings = 0
        self._read = read
        self._changed_at = 0
        self._is_refused = False
        self._problem = ""
        self._lock = asyncio.Lock()

    async def renew(self, refused: KeyRefused) -> bool:
        """Read the key again and return whether it changed since the refused request was sent.

        It is read once for all requests that were sent before; those that are refused meanwhile wait for it.
        """
        async with self._lock:
            if self.readings == refused.reading:
                await self._read_again()
                self._is_refused = self._changed_at <= refused.reading
        return self._changed_at > refused.reading

    async def problem(self) -> str:
        """Read the key where there is none or it was refused; return why there is none, '' where there is one."""
        async with self._lock:
            if not self.secret or self._is_refused:
                self._is_refused = False
                await self._read_again()
        return "" if self.secret else self._problem or "there is no key"

    async def _read_again(self) -> None:
        secret = self.secret
        try:
            if self._read is not None:
                secret = await asyncio.to_thread(self._read)
        except KeyUnavailable as error:
            self._problem = str(error)
            log.warning("The API's key could not be read again: %s", error)
        self.readings += 1  # together with the secret: requests that leave meanwhile carry the old one
        if secret != self.secret:
            register_secret(secret)
            self.secret, self._changed_at = secret, self.readings
            log.info("The API's key changed and was read again.")
