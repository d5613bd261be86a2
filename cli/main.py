"""The command `relabel`: one verb, one file beside this one."""

from __future__ import annotations

import sys

import click

from cli.complaint import complaints
from cli.config import config_command
from cli.exit_codes import INTERRUPTED
from cli.jobs import jobs_command
from cli.report import report_command
from cli.run import run_command
from cli.sandbox import sandbox_command
from cli.status import status_command
from cli.submit import submit_command
from cli.watch import watch_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="relabel")
def cli() -> None:
    """Change the metadata of stored OpenAI chat completions in bulk; every row accounted for.

    \b
    Start here:
      relabel run --sandbox FILE   rehearse a file against the bundled API
      relabel run FILE             apply it, all in one process tree
      relabel submit FILE          hand it to deployed workers, then: relabel watch JOB
    """


cli.add_command(run_command)
cli.add_command(submit_command)
cli.add_command(jobs_command)
cli.add_command(status_command)
cli.add_command(watch_command)
cli.add_command(report_command)
cli.add_command(config_command)
cli.add_command(sandbox_command)


def main() -> None:
    """Run the command line; the one place where errors become exit codes."""
    try:
        with complaints():
            sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
