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
from cli.exit_codes import INTERRUPTED, SOME_ROWS_FAILED
from cli.output import print_facts
from cli.service_profile import behaviour_lines
from cli.session import ledger_of, need_api_key, pass_settings
from config.settings import Settings
from ledger.row import Metadata
from ledger.service_profile import Behaviour
from probe.backup_file import BackupError, BackupFile
from probe.session import BrokenOff, NotBegun, StillChanged, Watch, probe_completion, restore_completion
from relabel.capacity import pace_hint
from relabel.errors import Declined, Unreachable
from relabel.session import server_for

QUESTION = (
    "For a few seconds this completion will have one key changed, one left out, then perhaps no metadata at all.\n"
    "After that it is restored. Some 30 requests will be sent."
)


@click.command("probe")
@click.argument("completion_id", metavar="ID")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the completion is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@pass_settings
def probe_command(settings: Settings, *, completion_id: str, yes: bool, as_json: bool) -> int:
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
    copy = BackupFile(settings.state_folder, settings.openai_base_url, completion_id)
    _ask(yes=yes)
    with server_for(settings) as (reachable, _):
        try:
            if (left := copy.read()) is not None:
                asyncio.run(_restore(reachable, completion_id, left, copy))
                return 0
            behaviour = asyncio.run(_probe(reachable, completion_id, copy))
        except BackupError as error:
            raise CliError(str(error)) from error
        except NotBegun as error:
            said = f"{str(error).rstrip('.')}. Nothing was changed."
            raise (Unreachable(said) if error.unreachable else CliError(said)) from error
        except BrokenOff as error:
            said = f"the probe was broken off: {str(error).rstrip('.')}. The completion holds what it held before."
            raise CliError(said, INTERRUPTED if error.interrupted else SOME_ROWS_FAILED) from error
        except StillChanged as error:
            raise _loud(error, copy) from error
    if as_json:
        print_facts(msgspec.to_builtins(behaviour))
    else:
        _print(settings, behaviour)
    return 0


def _ask(*, yes: bool) -> None:
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    echo(QUESTION, err=True)
    if not click.confirm("Go on?", err=True):
        raise Declined("nothing was sent.")


async def _probe(settings: Settings, completion_id: str, copy: BackupFile) -> Behaviour:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _stop, stopped)
    async with ledger_of(settings) as ledger:
        watch = Watch(_tell, copy.write, copy.remove, stopped)
        return await probe_completion(settings, ledger, completion_id, watch)


def _stop(stopped: asyncio.Event) -> None:
    if stopped.is_set():
        _tell("still restoring the completion; please wait")
    stopped.set()


async def _restore(settings: Settings, completion_id: str, before: Metadata, copy: BackupFile) -> None:
    async with ledger_of(settings) as ledger:
        _tell("an earlier probe was killed before it could restore this completion; restoring it")
        await restore_completion(settings, ledger, completion_id, before)
    copy.remove()
    echo("The completion holds again what it held before that probe. Run the command again to probe.", err=True)


def _tell(step: str) -> None:
    with contextlib.suppress(OSError):  # whether somebody listens or not: the completion must be restored
        echo(f"{step[0].upper()}{step[1:]} ...", err=True)


def _loud(error: StillChanged, copy: BackupFile) -> CliError:
    held = msgspec.json.encode(copy.read()).decode().encode("ascii", "backslashreplace").decode()
    return CliError(
        f"THE COMPLETION COULD NOT BE RESTORED: {error}.\n"
        f"It held this metadata: {held}\n"
        f"The same is in {copy.path}; run the command again to restore it.",
        SOME_ROWS_FAILED,
    )


def _print(settings: Settings, behaviour: Behaviour) -> None:
    echo(f"Endpoint    {settings.openai_base_url}")
    for word, said in behaviour_lines(behaviour):
        echo(f"{word:<12}{said}")
    if hint := pace_hint(settings, behaviour, settings.rate.per_minute):
        echo(hint, err=True)
