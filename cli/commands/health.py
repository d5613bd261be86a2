"""`relabel health`: check all that a deployment needs."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from cli.console import echo_beside, echo_indented
from cli.exit_codes import DONE, SOME_ROWS_FAILED, UNREACHABLE
from cli.output import print_facts
from cli.session import pass_settings, warn_before_sending
from config.settings import Settings
from relabel.check_result import CheckResult, Verdict
from relabel.health import CHECKS, DEFAULT_CHECKS, check_health, health_facts
from relabel.session import server_for

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}
_WORDS = {Verdict.FAIL: "Failed", Verdict.WARN: "Warnings"}
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
@click.option(
    "--only", type=Checks(), help=f"Some checks of: {', '.join(CHECKS)}. Default: all but worker-here, workers-key."
)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@pass_settings
def health_command(settings: Settings, *, only: tuple[str, ...] | None, as_json: bool) -> int:
    """Check the deployment and show how to fix it.

    ledger: Redis, its memory and disk. jobs: those that are lost, wait for somebody or stand still. workers: whether
    they take rows, agree, or crash. nightly: the last runs, and beat. notify: what the webhook has not taken. rate:
    what workers saw of the API, and how far that slows them down. api, key: one look from here. worker-here is for a
    worker's own machine or container. Each takes 8 s at most.

    The exit code is 0 where all is well or only a warning was given, 1 where something is wrong, 4 where Redis, the
    broker or the API cannot be reached.

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
            _show(name, result)
        echo_indented(_summary(found))
    return _exit_code(list(found.values()))


def _show(name: str, result: CheckResult) -> None:
    """Print each thing that a check found, and on lines of their own why it is so and what to do about it."""
    for each in (result, *result.more):
        label = f"{each.verdict:<5} {name:<12} "
        echo_beside(label, each.message.rstrip("."), label_style=_STYLES[each.verdict])
        if each.reason:
            echo_indented(each.reason, indent=len(label))
        if each.next_step:
            echo_indented(f"-> {each.next_step.rstrip('.')}", indent=len(label))


def _summary(found: dict[str, CheckResult]) -> str:
    """Return which checks fail and warn, as the lines above may have left the screen."""
    names = {each: [name for name, result in found.items() if result.verdict is each] for each in Verdict}
    said = [f"{word}: {', '.join(names[verdict])}." for verdict, word in _WORDS.items() if names[verdict]]
    return " ".join(said) or "All is well."


def _exit_code(found: list[CheckResult]) -> int:
    failed = [result for result in found if result.verdict is Verdict.FAIL]
    if any(result.unreachable for result in failed):
        return UNREACHABLE
    return UNWELL if failed else DONE
