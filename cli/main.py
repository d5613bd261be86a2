"""The command `relabel`: one verb, one file beside this one."""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import os
import sys

import click

from cli.errors import CliError, map_errors
from cli.exit_codes import INTERRUPTED, WRONG_USE
from config.text import printable_lines, redact

VERBS = (
    "run",
    "submit",
    "jobs",
    "status",
    "watch",
    "report",
    "pause",
    "resume",
    "cancel",
    "rate",
    "retry",
    "undo",
    "log",
    "nightly",
    "config",
    "health",
    "probe",
    "metrics",
    "sandbox",
)
"""The verbs in the order that `--help` lists them; each is `{verb}_command` in `cli/commands/{verb}.py`."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How writing to a full disk fails."""


class Verbs(click.Group):
    """Loads a verb when it is asked for, so that looking at a job need not wait for Celery to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Name the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load a verb; None where there is no such."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"cli.commands.{cmd_name}"), f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; of one that is not there, name the one that was meant."""
        if args and args[0] not in VERBS and (meant := difflib.get_close_matches(args[0], VERBS, n=1, cutoff=0.75)):
            ctx.fail(f"There is no verb {args[0]!r}; did you mean {meant[0]!r}?")
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="relabel")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Form of the log. Default: RELABEL_LOG_FORMAT.")
@click.pass_context
def cli(context: click.Context, log_format: str | None) -> None:
    """Change the metadata of stored OpenAI chat completions in bulk; every row accounted for.

    \b
    Start here:
      relabel run --sandbox FILE   rehearse a file against the bundled API
      relabel run FILE             apply it, all in one process tree
      relabel submit FILE          hand it to deployed workers, then: relabel watch JOB
    """
    context.obj = log_format


def main() -> None:
    """Run the command line; the one place where errors become exit codes."""
    try:
        with map_errors():
            sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        CliError(f"what there is to say cannot be written ({error.strerror}); make room, or write elsewhere.").show()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has no room either
        sys.exit(WRONG_USE)


def _show(error: click.ClickException) -> None:
    """Show an error of click's, which quotes what was typed as it is."""
    said = io.StringIO()
    error.show(said)
    # the settings may not be read yet, and so the key not be known: whatever looks like one is cut out
    click.echo(printable_lines(redact(said.getvalue().rstrip("\n"), strangers=True)), err=True)


if __name__ == "__main__":
    main()
