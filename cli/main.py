"""The command `relabel`: one verb, one file in `cli/commands/`. It loads click alone until a verb runs."""

from __future__ import annotations

import gc
import importlib
import sys

import click

from relabel import __version__

VERBS = (
    "select",
    "run",
    "submit",
    "plan",
    "apply",
    "jobs",
    "status",
    "watch",
    "report",
    "pause",
    "resume",
    "approve",
    "cancel",
    "rate",
    "retry",
    "undo",
    "verify",
    "receipt",
    "log",
    "history",
    "nightly",
    "config",
    "health",
    "probe",
    "metrics",
    "serve",
    "token",
    "sandbox",
)
"""The verbs in the order that `--help` lists them; each is `{verb}_command` in `cli/commands/{verb}.py`."""


class Verbs(click.Group):
    """Loads a verb when it is asked for, so that looking at a job need not wait for Celery to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load a verb; None where there is no such."""
        if cmd_name not in VERBS:
            return None
        return _load(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; of one that is not there, name the one that was meant."""
        if args and args[0] not in VERBS and (meant := _closest_verb(args[0])):
            ctx.fail(f"Unknown verb {args[0]!r}; did you mean {meant!r}?")
        return super().resolve_command(ctx, args)


def _load(verb: str) -> click.Command:
    """Load a verb. What its modules bring stays, so garbage is not looked for in it: that took a fifth of the start."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        command: click.Command = getattr(importlib.import_module(f"cli.commands.{verb}"), f"{verb}_command")
    finally:
        if is_collecting:
            gc.freeze()
            gc.enable()
    return command


def _closest_verb(typed: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - a tenth of what click takes to load

    return next(iter(get_close_matches(typed, VERBS, n=1, cutoff=0.75)), "")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="relabel")
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
        sys.exit(cli(standalone_mode=False))
    except (Exception, KeyboardInterrupt) as error:
        from cli.errors import show_error  # noqa: PLC0415 - names errors of all packages: loaded once there is one

        exit_code = show_error(error)
        if exit_code is None:
            raise
        sys.exit(exit_code)


if __name__ == "__main__":
    main()
