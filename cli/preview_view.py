"""Shows a preview: what a file would do, in few lines where nothing is odd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console

from cli.console import broken, shown
from cli.format import at_lines
from config.text import printable
from ledger.input_files import InputFile
from ledger.job_spec import Mode
from producer.csv_dialect import separators
from producer.overlap import COMPARE_FOR_S, Overlaps
from producer.profile import KeyProfile, Profile
from relabel.expiry import OLDEST_FIRST_HINT, expiry_note
from relabel.preview import Preview, expected_effort
from relabel.wording import count_of

SHOWN_KEYS = 20
KEY_CHARS, SAMPLE_CHARS = 64, 24
ALIGNED_KEY_CHARS = 28
"""Longest key that has its numbers on the same line."""


def show_content(preview: Preview, console: Console) -> None:
    """Print what is in the file, and what is odd about it."""
    console.print(shown(_headline(preview)))
    for rejection in preview.rejections:
        column = f", column {printable(rejection.column, 64)}" if rejection.column else ""
        where = printable(at_lines([rejection.line], preview.files))
        console.print(shown(f"  {where}{column}: {rejection.reason}"))
    if more := preview.rejected - len(preview.rejections):
        lists = "; the report lists them all" if preview.completions or preview.unchanged else ""
        console.print(shown(f"  and {more:,} more{lists}."))
    if preview.profile.keys:
        _show_keys(preview, console)
    for line in _remarks(preview):
        console.print(shown(line))


def show_outlook(preview: Preview, console: Console) -> None:
    """Print what the job would meet, and what it takes."""
    ahead = preview.outlook
    if ahead is None or ahead.former:
        return
    show_overlaps(ahead.overlaps, console, preview.files, only_reads=preview.kind.only_reads)
    for warning in ahead.warnings:
        console.print(shown(f"Warning: {warning}."), soft_wrap=not console.file.isatty())
    if preview.completions:
        console.print(shown(expected_effort(preview, ahead)))
    hint = OLDEST_FIRST_HINT if preview.in_file_order else ""
    for note in (expiry_note(ahead.expiry, preview.completions, hint=hint), ahead.hint):
        if note:
            console.print(shown(note))


def show_overlaps(
    overlaps: Overlaps, console: Console, files: Sequence[InputFile] = (), *, only_reads: bool = False
) -> None:
    """Print which jobs change the same completions; `files` are those of the input where it has several."""
    then = "what is read may change again at once" if only_reads else "they take turns, in no certain order"
    for job_id, rows, lines in overlaps.found:
        where = printable(at_lines(lines, files))
        number = f"{'at least ' * (job_id in overlaps.unread)}{count_of(rows, 'completion')}"
        what = f"Warning: job {job_id}, which has not ended, changes {number} of these, too ({where})"
        console.print(shown(f"{what}; {then}."), soft_wrap=True)
    if overlaps.unread:
        jobs = ", ".join(overlaps.unread)
        what = f"Not compared with all rows of job {jobs}: they are too many for {COMPARE_FOR_S:.0f} s."
        console.print(shown(what), soft_wrap=True)


def _headline(preview: Preview) -> str:
    """Return what the file is, and how many rows it has of each kind."""
    delimiter = preview.reading.delimiter
    named = f" separated by {separators(delimiter)}" if delimiter else ""
    return f"Checked {preview.format.upper()}{named}: {', '.join(_counts(preview))}."


def _counts(preview: Preview) -> Iterator[str]:
    yield f"{count_of(preview.completions, 'completion')} to change"
    if preview.cleared:
        yield f"{preview.cleared:,} of them to be left without metadata"
    if preview.folded:
        conflicts = f" ({preview.conflicting:,} with other values: the last row wins)" if preview.conflicting else ""
        yield f"{count_of(preview.folded, 'row')} folded into an earlier row of the same id{conflicts}"
    if preview.unchanged:
        yield f"{count_of(preview.unchanged, 'row')} unchanged, as nothing is to change"
    yield f"{count_of(preview.rejected, 'row')} rejected"


class _KeyRow(NamedTuple):
    """What is shown of a key: its name, in how many rows it is set and removed, and its first values."""

    name: str
    counts: list[str]
    values: str


def _show_keys(preview: Preview, console: Console) -> None:
    """Print a row a key; no key is cut."""
    rows = _key_rows(preview)
    widths = [max(map(len, column)) for column in zip(*(row.counts for row in rows), strict=True)]
    key_width = max(len(row.name) for row in rows if len(row.name) <= ALIGNED_KEY_CHARS)
    for name, counts, values in rows:
        fits = len(name) <= key_width
        if not fits:
            console.print(shown(f"  {name}"), soft_wrap=True)
        numbers = "  ".join(f"{count:>{width}}" for count, width in zip(counts, widths, strict=True))
        _print_beside(f"  {name if fits else '':<{key_width}}  {numbers}  ", values, console)
    profile = preview.profile
    if (rest := len(profile.keys) - SHOWN_KEYS) > 0:
        console.print(shown(f"  and {'at least ' * bool(profile.other_pairs)}{count_of(rest, 'more key')}"))


def _key_rows(preview: Preview) -> list[_KeyRow]:
    """Return the header and a row a key; without a second count where no row removes anything."""
    profile, replaces = preview.profile, preview.mode is Mode.REPLACE
    counted = 2 if replaces or any(key.removed_in for key in profile.keys) else 1
    rows = [_KeyRow("key", ["set in", "not in" if replaces else "removed in"][:counted], "values")]
    for key in profile.keys[:SHOWN_KEYS]:
        unset = profile.rows - key.set_in if replaces else key.removed_in
        counts = [f"{key.set_in:,}", f"{unset:,}"][:counted]
        rows.append(_KeyRow(printable(key.key, KEY_CHARS), counts, _samples(key)))
    return rows


def _print_beside(head: str, text: str, console: Console) -> None:
    """Print a text beside a head, on a terminal in lines of its own width."""
    columns = console.width if console.file.isatty() else None
    for number, line in enumerate(broken(text, columns, indent=len(head))):
        console.print(shown(f"{' ' * len(head) if number else head}{line}".rstrip()), soft_wrap=True)


def _samples(key: KeyProfile) -> str:
    said = ", ".join(printable(value, SAMPLE_CHARS) for value in key.samples)
    return f"{said} (looks like row numbers)" if key.is_index else said


def _remarks(preview: Preview) -> list[str]:
    profile = preview.profile
    remarks = [_about_replace(profile)] if preview.mode is Mode.REPLACE else []
    remarks += [f"Note: {notice}." for notice in preview.reading.notices]
    if ignored := preview.reading.ignored:
        names = ", ".join(printable(name, KEY_CHARS) for name in ignored[:SHOWN_KEYS])
        more = f" and {len(ignored) - SHOWN_KEYS:,} more" if len(ignored) > SHOWN_KEYS else ""
        kind = "columns" if preview.reading.delimiter else "fields"
        remarks.append(f"Ignored {kind}: {names}{more}.")
    if profile.null_texts:
        texts = ", ".join(f"{text} {number:,}" for text, number in profile.null_texts.items())
        remarks.append(f"Warning: these values are sent as text: {texts}; --null TEXT removes the key instead.")
    if odd := preview.odd_ids.number:
        unlike = "id does" if odd == 1 else "ids do"
        where = printable(at_lines(preview.odd_ids.lines, preview.files))
        remarks.append(f"Warning: {odd:,} {unlike} not look like chat completion ids ({where}).")
    return remarks


def _about_replace(profile: Profile) -> str:
    some = sum(key.set_in < profile.rows for key in profile.keys)
    of_these = f", and of the {count_of(some, 'key')} above where a row has no value" if some else ""
    return f"Replace: each completion keeps only what its row sets; it loses every other key{of_these}."
