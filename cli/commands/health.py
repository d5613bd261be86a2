"""`relabel health`: whether everything that a deployment needs is there."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from cli.console import echo
from cli.exit_codes import DONE, SOME_ROWS_FAILED, UNREACHABLE
from cli.output import print_facts
from cli.session import pass_settings, warn_before_sending
from config.settings import Settings
from config.text import printable
from relabel.session import server_for
from tasks.health import CHECKS, UNASKED, Checkup, Look, Verdict

UNWELL = SOME_ROWS_FAILED
"""Something is wrong that an answer told of."""


# generic from click 8.5 on only
class Checks(click.ParamType):  # type: ignore[type-arg]
    """Names of checks with commas between them."""

    name = "checks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Give the names, each once."""
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        if unknown := [name for name in names if name not in CHECKS]:
            self.fail(f"{unknown[0]!r} is no check; there are {', '.join(CHECKS)}.", param, ctx)
        return names


@click.command("health")
@click.option("--only", type=Checks(), help=f"Some checks of: {', '.join(CHECKS)}. Default: all but worker-here.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@pass_settings
def health_command(settings: Settings, *, only: tuple[str, ...] | None, as_json: bool) -> int:
    """Look at Redis, Celery's broker, the workers, the clock, the API and the key; say what to do where one is wrong.

    Each check ends within some seconds. worker-here is for a worker's own machine or container. The exit code is 0
    where all is well or only a warning was given, 1 where something is wrong, 4 where Redis, the broker or the API
    cannot be reached.

    \b
    Examples:
      relabel health
      relabel health --only ledger,broker,worker-here
    """
    if {"api", "key"} & set(only or UNASKED):
        warn_before_sending(settings)
    with server_for(settings) as (reachable, server):
        found = asyncio.run(Checkup(reachable, deployed=server is None).run(only or UNASKED))
    if as_json:
        print_facts([{"check": name, **_facts(look)} for name, look in found.items()])
    else:
        for name, look in found.items():
            echo(f"{look.verdict:<5} {name:<12} {_line(look)}")
    return _exit_code(list(found.values()))


def _facts(look: Look) -> dict[str, Any]:
    return {"verdict": str(look.verdict), "said": look.said, "next": look.next_step or None}


def _line(look: Look) -> str:
    return printable(f"{look.said.rstrip('.')}; {look.next_step}" if look.next_step else look.said)


def _exit_code(found: list[Look]) -> int:
    failed = [look for look in found if look.verdict is Verdict.FAIL]
    if any(look.unreachable for look in failed):
        return UNREACHABLE
    return UNWELL if failed else DONE
