"""`relabel config`: every setting, with secrets hidden."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
import msgspec
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.table import Table

from cli.console import echo, shown
from cli.exit_codes import DONE
from cli.output import print_facts
from cli.service_profile import behaviour_lines, known_behaviour
from cli.session import pass_settings
from config.environment import environment_names
from config.settings import PREFIX, Settings

IS_SET, NOT_SET = "(set)", "(not set)"
FILE_WIDTH = 240
"""Width of the table where nobody's window bounds it."""
_URLS = frozenset({"RELABEL_REDIS__URL", "RELABEL_BROKER_URL"})
_SHOWN_OPTIONS = frozenset({"db", "virtual_host"})


@click.command("config")
@click.option(
    "--json", "as_json", is_flag=True, help="Print a JSON object: a member a setting, and what a probe found out."
)
@pass_settings
def config_command(settings: Settings, *, as_json: bool) -> int:
    """Show every setting and its value, without secrets.

    What `relabel probe` found out about the service follows, where the ledger knows it.

    Settings come from environment variables and from the file .env in the current folder; the environment wins.

    \b
    Example:
      RELABEL_RATE__PER_MINUTE=1200 relabel config
    """
    facts = settings_facts(settings)
    behaviour = known_behaviour(settings)
    if as_json:
        print_facts(facts | {"probe": None if behaviour is None else msgspec.to_builtins(behaviour)})
        return DONE
    _print(facts)
    if behaviour:
        echo("")
        echo(f"What `relabel probe` found out about {settings.openai_base_url}:")
        for word, said in behaviour_lines(behaviour):
            echo(f"{word:<12}{said}")
    return DONE


def settings_facts(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return each setting by the name of its environment variable; `source` is `set` or `default`."""
    facts = {}
    for name, (model, field) in environment_names().items():
        group = _group(settings, name, model)
        facts[name] = {
            "value": _shown(name, getattr(group, field)),
            "source": "set" if field in group.model_fields_set else "default",
            "description": model.model_fields[field].description,
        }
    return facts


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


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return hide_password(value.get_secret_value()) if name in _URLS else IS_SET
    if value is None:
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)


def _print(facts: dict[str, dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("SETTING", no_wrap=True)
    table.add_column("VALUE", overflow="fold")
    table.add_column("FROM", no_wrap=True)
    table.add_column("WHAT IT IS")
    for name, fact in facts.items():
        value = NOT_SET if fact["value"] is None else str(fact["value"])
        table.add_row(*map(shown, (name, value, fact["source"], fact["description"] or "")))
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)
