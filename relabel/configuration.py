"""Every setting with its value and where that is from, without secrets."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, SecretStr

from config.environment import environment_names
from config.settings import PREFIX, Settings

IS_SET = "(set)"
"""Stands for a secret."""
_URLS = frozenset({"RELABEL_REDIS__URL", "RELABEL_BROKER_URL"})
_SHOWN_OPTIONS = frozenset({"db", "virtual_host"})


class SettingSeen(NamedTuple):
    """A setting as it may be shown: no secret, None where it is not set."""

    value: bool | int | float | str | None
    source: Literal["set", "default"]
    description: str | None


def settings_seen(settings: Settings) -> dict[str, SettingSeen]:
    """Return each setting by the name of its environment variable."""
    seen = {}
    for name, (model, field) in environment_names().items():
        group = _group(settings, name, model)
        seen[name] = SettingSeen(
            _without_secret(name, getattr(group, field)),
            "set" if field in group.model_fields_set else "default",
            model.model_fields[field].description,
        )
    return seen


def hide_password(url: str) -> str:
    """Return a URL without its user and password; nothing of it where they might stand in an unusual place."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return IS_SET
    before, at, _ = parts.netloc.rpartition("@")
    unusual = "@" in parts.path + parts.query + parts.fragment or parts.fragment or ";" in url or "@" in before
    if unusual or not parts.scheme or not (parts.hostname or parts.path):
        return IS_SET
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    options = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] in _SHOWN_OPTIONS], safe="/")
    return f"{parts.scheme}://{'***@' if at else ''}{host}{port}{parts.path}{'?' + options if options else ''}"


def _group(settings: Settings, name: str, model: type[BaseModel]) -> BaseModel:
    if model is Settings:
        return settings
    group: BaseModel = getattr(settings, name.removeprefix(PREFIX).partition("__")[0].lower())
    return group


def _without_secret(name: str, value: Any) -> bool | int | float | str | None:
    if isinstance(value, SecretStr):
        return hide_password(value.get_secret_value()) if name in _URLS else IS_SET
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
