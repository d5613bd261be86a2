"""`relabel select`: find completions, and write what each of them is to get, or go on to a plan of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import click
from rich.console import Console

from cli.carry_out import JobView, StopSignals
from cli.console import can_ask, shown, stderr_console
from cli.exit_codes import DONE, NOTHING_FOUND
from cli.options import Canary
from cli.output import print_facts
from cli.output_file import report_file
from cli.prepared_job import carry_out_prepared
from cli.select_apply import apply_selection
from cli.select_options import select_options
from cli.select_view import interrupted, print_selected, select_display
from cli.session import in_session, need_api_key, pass_settings
from cli.summary import print_step
from config.canary import CanaryShare
from config.settings import Settings
from relabel.apply import ApplyOptions
from relabel.control import pause_orphans
from relabel.next_steps import after_selection
from relabel.plan import prepare_selection
from relabel.select import Selected, Selecting, check_selection, select_facts, selecting, write_selected
from relabel.session import Session
from relabel.submit import submit
from selection.collect import Found
from selection.options import SelectOptions

STANDARD_OUTPUT = "-"
DEFAULT_CANARY = CanaryShare.parse("1%")


@click.command("select")
@select_options
@click.option("-o", "--output", metavar="FILE", help="Write a patch file: .csv, .jsonl, or - for JSON Lines here.")
@click.option("--plan", "as_plan", is_flag=True, help="Go on to a plan: show what would change, and change nothing.")
@click.option("--apply", "as_apply", is_flag=True, help="Go on to the plan, the question, and its apply.")
@click.option("--run", "here", is_flag=True, help="With either: in this process tree. Default without a Redis.")
@click.option("--yes", "-y", is_flag=True, help="With either: answer every question with yes.")
@click.option(
    "--max-changes",
    type=click.IntRange(min=0),
    metavar="N",
    help="With --apply: apply nothing where more completions would change. Needed where there is no terminal.",
)
@click.option(
    "--canary",
    type=Canary(),
    metavar="1%|N",
    help="With --apply: the share that is applied first and read back, as in `apply`.  [default: 1%]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what was found as JSON; with --plan or --apply, the job at its end."
)
@pass_settings
def select_command(
    settings: Settings,
    *,
    options: SelectOptions,
    output: str | None,
    as_plan: bool,
    as_apply: bool,
    here: bool,
    yes: bool,
    max_changes: int | None,
    canary: CanaryShare | None,
    as_json: bool,
) -> int:
    """Find completions, and write what they are to get.

    Reads the API's list, 100 completions a request, at the shared rate; while a job runs, at a tenth of it. FILE is
    an input of `run`, `submit` and `plan`. It has columns relabel.* (JSONL: a field relabel) with what was seen, which
    are passed over. It is written to FILE.partial first; the same command goes on with an interrupted one. Without
    -o, --plan and --apply, the completions are only counted.

    --plan and --apply take the values that the list shows, and read nothing twice. Without a terminal, --apply needs
    --yes and --max-changes.

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
    with --plan and --apply otherwise that of the job, 1 also where only rows of the plan failed.
    """
    goes_on = as_plan or as_apply
    _check_use(output, as_plan=as_plan, as_apply=as_apply, as_json=as_json)
    _check_apply(as_apply=as_apply, yes=yes, max_changes=max_changes, canary=canary)
    _check_job_options(goes_on=goes_on, here=here, yes=yes)
    path = None if output in {None, STANDARD_OUTPUT} else Path(str(output))
    check_selection(options, path, for_plan=goes_on)
    need_api_key(settings)
    console, here = stderr_console(), here or settings.redis.url is None
    if goes_on:
        view = JobView(console, here, yes, as_json=as_json)
        share = canary or DEFAULT_CANARY
        how = ApplyOptions(canary=share, here=here, max_changes=max_changes) if as_apply else None
        return in_session(settings, lambda session: _go_on(session, options, how, view))
    selected = in_session(
        settings, lambda session: _select(session, options, path, console, to_stdout=output == STANDARD_OUTPUT)
    )
    if as_json:
        print_facts(select_facts(selected))
    _show(selected, options, path, console)
    return DONE if selected.found.matched else NOTHING_FOUND


def _check_use(output: str | None, *, as_plan: bool, as_apply: bool, as_json: bool) -> None:
    """Refuse options that make no sense together."""
    if as_json and output == STANDARD_OUTPUT:
        raise click.UsageError("-o - writes the rows to standard output, and --json the counts; leave one out.")
    if as_plan and as_apply:
        raise click.UsageError("--apply goes on to a plan first, and asks; leave --plan out.")
    if output is not None and (as_plan or as_apply):
        raise click.UsageError(
            "-o writes a file, which `relabel plan FILE` plans; leave it out, or --plan and --apply."
        )


def _check_apply(*, as_apply: bool, yes: bool, max_changes: int | None, canary: CanaryShare | None) -> None:
    """Refuse options that are for --apply alone, and an apply that nobody could confirm."""
    if not as_apply and (max_changes is not None or canary is not None):
        which = "--max-changes" if canary is None else "--canary"
        raise click.UsageError(f"{which} goes with --apply; add --apply, or leave it out.")
    if as_apply and not can_ask() and not (yes and max_changes is not None):
        raise click.UsageError("there is no terminal to ask at; --apply needs --yes and --max-changes N here.")


def _check_job_options(*, goes_on: bool, here: bool, yes: bool) -> None:
    """Refuse options of a job where none is made."""
    if not goes_on and (here or yes):
        raise click.UsageError(f"{'--run' if here else '--yes'} goes with --plan or --apply; add one, or leave it out.")


def _show(selected: Selected, options: SelectOptions, path: Path | None, console: Console) -> None:
    """Print what was found, and the next step."""
    print_selected(selected, console)
    if selected.output and (step := after_selection(selected.output, options)):
        print_step(step, console)
    if path and not selected.found.matched:
        console.print(shown(f"Nothing matched, so {path} was not written."))


async def _select(
    session: Session, options: SelectOptions, path: Path | None, console: Console, *, to_stdout: bool
) -> Selected:
    """Select, and write the rows to the file or to standard output."""
    async with _shown(session, options, path, console) as found:
        if to_stdout:
            return Selected(found.found, await _write_here(found.lines("jsonl")))
        return await write_selected(found, path)


async def _go_on(session: Session, options: SelectOptions, how: ApplyOptions | None, view: JobView) -> int:
    """Select, and plan what was found with the values that were seen; ask and apply the plan where `how` is given."""
    await pause_orphans(session)
    async with _shown(session, options, None, view.console) as found:
        print_selected(Selected(found.found), view.console)
        if not found.found.matched:
            return NOTHING_FOUND
        prepared = await prepare_selection(session, found.patches())
        if how is None:
            return await carry_out_prepared(session, prepared, view)
        with prepared.checked:
            plan_id = (await submit(session, prepared.checked, prepared.request)).job_id
    return await apply_selection(session, plan_id, how, view)


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
            console.print(shown(interrupted(last)))
            raise


async def _write_here(lines: AsyncIterator[bytes]) -> int:
    rows = -1
    with report_file(None) as write:
        async for line in lines:
            rows += 1
            write(line)
    return rows
