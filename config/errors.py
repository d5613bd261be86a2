"""Errors of the settings; they load no library, so that an entry point can name them before it needs one."""

from __future__ import annotations


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and the values it accepts."""


class KeyUnavailable(SettingsError):
    """The API key cannot be read now; the message states the reason and holds nothing of the key."""
