"""`relabel select`: find completions, and write what each of them is to get, or go on to a plan of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import click
from rich.console import Console

from cli.carry_out import StopSignals
from cli.console import shown, stderr_console
from cli.exit_codes import DONE, NOTHING_FOUND
from cli.output import print_facts
from cli.output_file import report_file
from cli.reading_job import ReadingView, carry_out_reading
from cli.select_options import select_options
from cli.select_view import print_selected, select_display
from cli.session import in_session, need_api_key, pass_settings
from config.settings import Settings
from relabel.control import pause_orphans
from relabel.plan import prepare_selection
from relabel.select import Selected, Selecting, check_selection, select_facts, selecting, write_selected
from relabel.session import Session
from relabel.wording import count_of
from selection.collect import Found
from selection.options import SelectOptions

STANDARD_OUTPUT = "-"


@click.command("select")
@select_options
@click.option("-o", "--output", metavar="FILE", help="Write a patch file: .csv, .jsonl, or - for JSON Lines here.")
@click.option("--plan", "as_plan", is_flag=True, help="Go on to a plan: show what would change, and change nothing.")
@click.option("--run", "here", is_flag=True, help="With --plan: in this process tree. Default without a Redis.")
@click.option("--yes", "-y", is_flag=True, help="With --plan: answer every question with yes.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON; with --plan, the plan at its end.")
@pass_settings
def select_command(
    settings: Settings,
    *,
    options: SelectOptions,
    output: str | None,
    as_plan: bool,
    here: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Find completions, and write what they are to get.

    Reads the API's list, 100 completions a request, at the shared rate; while a job runs, at a tenth of it. FILE is
    an input of `run`, `submit` and `plan`. It has columns relabel.* (JSONL: a field relabel) with what was seen, which
    are passed over. It is written to FILE.partial first; the same command goes on with an interrupted one. Without -o
    and --plan, the completions are only counted.

    \b
    Examples:
      relabel select --metadata team=search --since 2026-11-01 --set dataset=eval -o patches.jsonl
      relabel select --where 'number(metadata.score) >= 0.8 and not has(metadata.dataset)'
      relabel select --keys team,quality -o edit.csv
      relabel select --sample 1% --split dataset=train:80,test:20 --plan

    \b
    In an expression a missing key is null: only != holds of it.
      metadata.team == "search"            metadata["cost-center"] in ["a", "b"]
      has(metadata.reviewed)               number(metadata.score) >= 0.8
      metadata.note matches "^dup"         model startsWith "gpt-4o"
      created >= "2026-11-20"              and, or, not, ( )

    The exit code is 0, 1 where nothing matched (and no file is written), or 2 for an expression that cannot be used;
    with --plan otherwise that of the plan.
    """
    _check_use(output, as_plan=as_plan, for_plan={"--run": here, "--yes": yes}, as_json=as_json)
    path = None if output in {None, STANDARD_OUTPUT} else Path(str(output))
    check_selection(options, path, for_plan=as_plan)
    need_api_key(settings)
    console = stderr_console()
    if as_plan:
        view = ReadingView(console, here or settings.redis.url is None, yes, wait=True, as_json=as_json)
        return in_session(settings, lambda session: _select_and_plan(session, options, view))
    selected = in_session(
        settings, lambda session: _select(session, options, path, console, to_stdout=output == STANDARD_OUTPUT)
    )
    print_selected(selected, console)
    if as_json:
        print_facts(select_facts(selected))
    return DONE if selected.found.matched else NOTHING_FOUND


def _check_use(output: str | None, *, as_plan: bool, for_plan: dict[str, bool], as_json: bool) -> None:
    """Refuse options that make no sense together."""
    if as_json and output == STANDARD_OUTPUT:
        raise click.UsageError("-o - writes the rows to standard output, and --json the counts; leave one out.")
    if as_plan and output is not None:
        raise click.UsageError("-o writes a file, which `relabel plan FILE` plans; leave -o or --plan out.")
    if lone := next((name for name, given in for_plan.items() if given and not as_plan), None):
        raise click.UsageError(f"{lone} goes with --plan; add --plan, or leave it out.")


async def _select(
    session: Session, options: SelectOptions, path: Path | None, console: Console, *, to_stdout: bool
) -> Selected:
    """Select, and write the rows to the file or to standard output."""
    async with _shown(session, options, path, console) as found:
        if to_stdout:
            return Selected(found.found, await _write_here(found.lines("jsonl")))
        return await write_selected(found, path)


async def _select_and_plan(session: Session, options: SelectOptions, view: ReadingView) -> int:
    """Select, and plan what was found with the values that were seen."""
    if view.here:
        await pause_orphans(session)
    async with _shown(session, options, None, view.console) as found:
        print_selected(Selected(found.found), view.console)
        if not found.found.matched:
            return NOTHING_FOUND
        checked, request, _ = await prepare_selection(session, found.patches())
        with checked:
            return await carry_out_reading(session, checked, request, view)


@asynccontextmanager
async def _shown(
    session: Session, options: SelectOptions, output: Path | None, console: Console
) -> AsyncIterator[Selecting]:
    """Select, show how far it is, and yield what was found. Ctrl-C says how to go on."""
    StopSignals(console)
    last: Found | None = None
    with ExitStack() as stack:
        show = stack.enter_context(select_display(console))

        def progress(found: Found) -> None:
            nonlocal last
            last = found
            show(found)

        try:
            async with selecting(session, options, output=output, progress=progress) as selected:
                stack.close()
                yield selected
        except asyncio.CancelledError:
            stack.close()
            if last and last.requests:
                done = f"Interrupted after {count_of(last.requests, 'request')}; the same command goes on from there."
                console.print(shown(done))
            raise


async def _write_here(lines: AsyncIterator[bytes]) -> int:
    rows = -1
    with report_file(None) as write:
        async for line in lines:
            rows += 1
            write(line)
    return rows
