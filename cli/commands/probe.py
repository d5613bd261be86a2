"""`relabel probe`: how the service treats an update, found out on one completion."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import click
import msgspec

from cli.console import echo
from cli.errors import CliError
from cli.exit_codes import SOME_ROWS_FAILED
from cli.output import print_facts
from cli.session import in_session, need_api_key, pass_settings
from config.settings import Settings
from ledger.service_profile import Behaviour
from relabel.behaviour import behaviour_lines
from relabel.capacity import pace_hint
from relabel.errors import CompletionNotRestored, Declined
from relabel.probe import probe
from relabel.session import Session

QUESTION = (
    "For a few seconds this completion will have one key changed, one left out, then perhaps no metadata at all.\n"
    "After that it is restored. Some 30 requests will be sent."
)
RESTORED = "The completion holds again what it held before that probe. Run the command again to probe."


@click.command("probe")
@click.argument("completion_id", metavar="ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the completion is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@pass_settings
def probe_command(settings: Settings, *, completion_id: str, yes: bool, as_json: bool) -> None:
    """Find out on completion ID how the service updates.

    Shows whether an update replaces all metadata or merges, what null and an empty text do, which pairs count against
    the 16 that are allowed, whether its answer shows what is stored, how fast the service is, and how soon an update
    can be read. Only a key that the completion has is touched. It is restored after an error and after Ctrl-C,
    too; a copy lies in the state folder meanwhile, from which the same command restores it after a crash. What was
    found is kept for this endpoint, and shown by `relabel config`.

    \b
    Example:
      relabel probe chatcmpl-ElXmqK9e4XM3V2Q45Qp7DcwZOy2rH
    """
    need_api_key(settings)
    _ask(yes=yes)
    try:
        behaviour = in_session(settings, lambda session: _probe(session, completion_id))
    except CompletionNotRestored as error:
        raise _loud(error) from error
    if behaviour is None:
        echo(RESTORED, err=True)
    elif as_json:
        print_facts(msgspec.to_builtins(behaviour))
    else:
        _print(settings, behaviour)


def _ask(*, yes: bool) -> None:
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    echo(QUESTION, err=True)
    if not click.confirm("Go on?", err=True):
        raise Declined("nothing was sent.")


async def _probe(session: Session, completion_id: str) -> Behaviour | None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped)
    return await probe(session, completion_id, _show_step, stopped)


def _stop(stopped: asyncio.Event) -> None:
    if stopped.is_set():
        _show_step("still restoring the completion; please wait")
    stopped.set()


def _show_step(step: str) -> None:
    with contextlib.suppress(OSError):  # whether somebody listens or not: the completion must be restored
        echo(f"{step[0].upper()}{step[1:]} ...", err=True)


def _loud(error: CompletionNotRestored) -> CliError:
    held = msgspec.json.encode(error.metadata).decode().encode("ascii", "backslashreplace").decode()
    return CliError(
        f"THE COMPLETION COULD NOT BE RESTORED: {error.reason}.\n"
        f"It held this metadata: {held}\n"
        f"The same is in {error.backup}; run the command again to restore it.",
        SOME_ROWS_FAILED,
    )


def _print(settings: Settings, behaviour: Behaviour) -> None:
    echo(f"Endpoint    {settings.openai_base_url}")
    for word, said in behaviour_lines(behaviour):
        echo(f"{word:<12}{said}")
    if hint := pace_hint(settings, behaviour, settings.rate.per_minute):
        echo(hint, err=True)
