"""`relabel config`: every setting, with secrets hidden."""

from __future__ import annotations

import asyncio

import click
import msgspec
from rich.console import Console
from rich.table import Table

from cli.console import BOLD, echo, echo_fact, echo_indented, shown, terminal_columns
from cli.exit_codes import DONE
from cli.output import print_facts
from cli.session import pass_settings
from config.settings import Settings
from relabel.behaviour import behaviour_lines, known_behaviour
from relabel.configuration import SettingSeen, settings_seen

NOT_SET = "(not set)"
FILE_WIDTH = 240
"""Width of the table where nobody's window bounds it."""


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
    seen = settings_seen(settings)
    behaviour = asyncio.run(known_behaviour(settings))
    if as_json:
        facts = {name: setting._asdict() for name, setting in seen.items()}
        print_facts(facts | {"probe": None if behaviour is None else msgspec.to_builtins(behaviour)})
        return DONE
    _print(seen)
    if behaviour:
        echo("")
        echo(f"What `relabel probe` found out about {settings.openai_base_url}:")
        for word, said in behaviour_lines(behaviour):
            echo_fact(word, said)
    return DONE


def _print(seen: dict[str, SettingSeen]) -> None:
    if terminal_columns() is None:
        _print_table(seen)
        return
    for name, (value, source, description) in seen.items():
        said = NOT_SET if value is None else f"{value}  (default)" if source == "default" else str(value)
        echo_indented(f"{name}  {said}", style=BOLD if source == "set" else "")
        echo_indented(description or "", indent=2)


def _print_table(seen: dict[str, SettingSeen]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("SETTING", no_wrap=True)
    table.add_column("VALUE", overflow="fold")
    table.add_column("FROM", no_wrap=True)
    table.add_column("WHAT IT IS")
    for name, (value, source, description) in seen.items():
        said = NOT_SET if value is None else str(value)
        table.add_row(*map(shown, (name, said, source, description or "")))
    Console(width=FILE_WIDTH).print(table)
