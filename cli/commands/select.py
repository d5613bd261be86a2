"""`relabel select`: find completions, and write what each of them is to get as a file."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cli.carry_out import StopSignals
from cli.console import shown, stderr_console
from cli.exit_codes import DONE, NOTHING_FOUND
from cli.output import print_facts
from cli.output_file import report_file
from cli.select_view import print_selected, select_display
from cli.session import in_session, need_api_key, pass_settings
from config.settings import Settings
from relabel.select import Selected, check_selection, select, select_facts, selecting
from relabel.session import Session
from relabel.wording import count_of
from selection.collect import Found
from selection.options import FilterOptions, LabelOptions, SelectOptions

STANDARD_OUTPUT = "-"


class Keys(click.ParamType):  # type: ignore[type-arg] # generic from click 8.5 on only
    """Keys with commas between them; one with a comma in it stands in double quotes."""

    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names."""
        try:
            [names] = csv.reader([str(value)], strict=True)
        except (csv.Error, ValueError):
            self.fail("write names with commas between them, and one with a comma in double quotes.", param, ctx)
        return tuple(names)


@click.command("select")
@click.option("--model", metavar="M", help="Only of this model; gpt-4o also finds its dated snapshots.")
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Only with this value. May be repeated.")
@click.option("--since", metavar="TIME", help="Created then or later: a date, a time (UTC), or 3d for 3 days ago.")
@click.option("--until", metavar="TIME", help="Created before then.")
@click.option("--expiring", metavar="TIME", help="Reaching 30 days of age within this time, such as 3d.")
@click.option("--where", metavar="EXPRESSION", help="Only what an expression holds of; see below.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many: the newest, with --expiring the oldest.")
@click.option("--sample", metavar="N|N%", help="So many of those that match, or about such a share of them.")
@click.option("--seed", type=int, help="Which sample: a number; another one gives another sample.  [default: 0]")
@click.option("--set", "set_", metavar="KEY=VALUE", multiple=True, help="Set a key; {metadata.team} and {model} work.")
@click.option("--set-default", metavar="KEY=VALUE", multiple=True, help="The same, only where the key is absent.")
@click.option("--unset", metavar="KEY", multiple=True, help="Remove a key. May be repeated.")
@click.option("--keys", type=Keys(), default="", metavar="LIST", help="Write the present values of keys, for editing.")
@click.option("--split", metavar="KEY=A:80,B:20", help="Set a key to one of several values, each a share in percent.")
@click.option("--split-by", metavar="FIELD", help="Keep completions together that have this in common.  [default: id]")
@click.option("-o", "--output", metavar="FILE", help="Write a patch file: .csv, .jsonl, or - for JSON Lines here.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@pass_settings
def select_command(
    settings: Settings,
    *,
    model: str | None,
    metadata: tuple[str, ...],
    since: str | None,
    until: str | None,
    expiring: str | None,
    where: str | None,
    limit: int | None,
    sample: str | None,
    seed: int | None,
    set_: tuple[str, ...],
    set_default: tuple[str, ...],
    unset: tuple[str, ...],
    keys: tuple[str, ...],
    split: str | None,
    split_by: str | None,
    output: str | None,
    as_json: bool,
) -> int:
    """Find completions, and write what they are to get.

    Reads the API's list, 100 completions a request, at the shared rate; while a job runs, at a tenth of it. FILE is
    an input of `run`, `submit` and `plan`. It has columns relabel.* (JSONL: a field relabel) with what was seen, which
    are passed over. It is written to FILE.partial first; the same command goes on with an interrupted one. Without -o,
    the completions are only counted.

    \b
    Examples:
      relabel select --metadata team=search --since 2026-11-01 --set dataset=eval -o patches.jsonl
      relabel select --where 'number(metadata.score) >= 0.8 and not has(metadata.dataset)'
      relabel select --keys team,quality -o edit.csv
      relabel select --sample 1% --split dataset=train:80,test:20 -o split.csv

    \b
    In an expression a missing key is null: only != holds of it.
      metadata.team == "search"            metadata["cost-center"] in ["a", "b"]
      has(metadata.reviewed)               number(metadata.score) >= 0.8
      metadata.note matches "^dup"         model startsWith "gpt-4o"
      created >= "2026-11-20"              and, or, not, ( )

    The exit code is 0, 1 where nothing matched (and no file is written), or 2 for an expression that cannot be used.
    """
    options = SelectOptions(
        FilterOptions(model, metadata, since, until, expiring, where),
        LabelOptions(set_, set_default, unset, keys, split, split_by),
        limit,
        sample,
        seed,
    )
    if as_json and output == STANDARD_OUTPUT:
        raise click.UsageError("-o - writes the rows to standard output, and --json the counts; leave one out.")
    path = None if output in {None, STANDARD_OUTPUT} else Path(str(output))
    check_selection(options, path)
    need_api_key(settings)
    console = stderr_console()
    selected = in_session(
        settings, lambda session: _select(session, options, path, console, here=output == STANDARD_OUTPUT)
    )
    print_selected(selected, console)
    if as_json:
        print_facts(select_facts(selected))
    return DONE if selected.found.matched else NOTHING_FOUND


async def _select(
    session: Session, options: SelectOptions, path: Path | None, console: Console, *, here: bool
) -> Selected:
    """Select, and write the rows to the file, or with `here` to standard output."""
    StopSignals(console)
    last: Found | None = None
    try:
        with select_display(console) as show:

            def progress(found: Found) -> None:
                nonlocal last
                last = found
                show(found)

            if not here:
                return await select(session, options, output=path, progress=progress)
            async with selecting(session, options, output=None, progress=progress) as selecting_now:
                return Selected(selecting_now.found, await _write_here(selecting_now.lines("jsonl")))
    except asyncio.CancelledError:
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
