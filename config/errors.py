"""Errors of the settings; they load no library, so that an entry point can name them before it needs one."""

from __future__ import annotations

from typing import ClassVar


class RelabelError(Exception):
    """Something could not be done; the message is one sentence for people, with what to do next.

    `code` is stable: programs may rely on it. Every door has the same (`relabel/problems.py`).
    """

    code: ClassVar[str] = "error"


class SettingsError(RelabelError):
    """A setting is missing or wrong; the message names it and the values it accepts."""

    code = "wrong_settings"


class KeyUnavailable(SettingsError):
    """The API key cannot be read now; the message states the reason and holds nothing of the key."""
