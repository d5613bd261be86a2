"""`relabel health`: check all that a deployment needs."""

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
from relabel.check_result import CheckResult, Verdict
from relabel.health import CHECKS, DEFAULT_CHECKS, check_health, health_facts
from relabel.session import server_for

UNWELL = SOME_ROWS_FAILED
"""Everything answers, and something is wrong."""


# generic from click 8.5 on only
class Checks(click.ParamType):  # type: ignore[type-arg]
    """A comma-separated list of checks."""

    name = "checks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names, each once."""
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        if unknown := [name for name in names if name not in CHECKS]:
            self.fail(f"unknown check {unknown[0]!r}; choose from {', '.join(CHECKS)}.", param, ctx)
        return names


@click.command("health")
@click.option("--only", type=Checks(), help=f"Some checks of: {', '.join(CHECKS)}. Default: all but worker-here.")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@pass_settings
def health_command(settings: Settings, *, only: tuple[str, ...] | None, as_json: bool) -> int:
    """Check the deployment and show how to fix it.

    Checks Redis and what it lost, Celery's broker, the workers and whether they agree, the clock, archived reports, the
    API and the key, each within 8 s. worker-here is for a worker's own machine or container. The exit code is 0 where
    all is well or only a warning was given, 1 where something is wrong, 4 where Redis, the broker or the API cannot be
    reached.

    \b
    Examples:
      relabel health
      relabel health --only ledger,broker,worker-here
    """
    if {"api", "key"} & set(only or DEFAULT_CHECKS):
        warn_before_sending(settings)
    with server_for(settings) as (reachable, server):
        found = asyncio.run(check_health(reachable, only or (), deployed=server is None))
    if as_json:
        print_facts(health_facts(found))
    else:
        for name, result in found.items():
            echo(f"{result.verdict:<5} {name:<12} {_line(result)}")
    return _exit_code(list(found.values()))


def _line(result: CheckResult) -> str:
    return printable(f"{result.message.rstrip('.')}; {result.next_step}" if result.next_step else result.message)


def _exit_code(found: list[CheckResult]) -> int:
    failed = [result for result in found if result.verdict is Verdict.FAIL]
    if any(result.unreachable for result in failed):
        return UNREACHABLE
    return UNWELL if failed else DONE
