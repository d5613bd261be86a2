"""What an operator sees on a terminal of 80 columns: whole ids, whole words, the reason on lines of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re

import msgspec
import pytest
from rich.console import Console

from cli.console import print_lines
from ledger.job import JobState
from ledger.ledger import Ledger
from ledger.progress import LastError, Waits
from ledger.row import Outcome
from nightly.state import FileState, NightFile, NightState
from nightly.store import Nights

CSV = "id,team\na,red\nb,blue\nno id,x\n"
ID = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpg"
REASON = "You exceeded your current quota, please check your plan and billing details (HTTP 429); met by worker w1@host"
NAME = "labels-of-the-search-and-ranking-team-for-november-2026-second-part.csv"


def file(number: int, state: FileState, *, job_id: str | None = None, reason: str = "") -> NightFile:
    """A file of a night."""
    name = f"team-{number:03d}.csv"
    return NightFile(
        name=name, state=state, size=1, changed_ns=1, taken_at=1.0, job_id=job_id, reason=reason, own=bool(job_id)
    )


async def put_night(ledger: Ledger, files: list[NightFile]) -> None:
    """Store a night that runs, with these files."""
    night, _ = await Nights(ledger.redis).begin("2026-11-27", asked_by="schedule", overlap="skip")
    await Nights(ledger.redis).put(
        msgspec.structs.replace(night, started_at=1.0, inbox="x", state=NightState.RUNNING), files
    )


def is_whole(text: str, screen: str) -> bool:
    """Whether the screen shows the text with no word broken, on however many lines."""
    return " ".join(text.split()) in " ".join(screen.split())


@pytest.fixture
def screen(terminal):
    """Run a command on a terminal of 80 columns, and return what it shows."""

    async def screen(*arguments: str, **settings: str) -> str:
        ended = await asyncio.to_thread(terminal, *arguments, COLUMNS="80", **settings)
        return ended.said.replace("\r\n", "\n")

    return screen


async def test_jobs_in_all_states_fit_into_80_columns(screen, make_job, at_work, ledger, end_rows, relabel):
    """A running one says what it waits for, a stopped one why, an undone one by which; ids and names are whole."""
    undone = await make_job(CSV, {0: Outcome.UPDATED, 1: Outcome.UPDATED}, images=True, name=NAME)
    await ledger.jobs.move(undone.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))
    undo = (await relabel("undo", undone.job_id, OPENAI_API_KEY="sk-x")).out.strip()
    await end_rows((await ledger.jobs.get(undo)).spec, {0: Outcome.UPDATED, 1: Outcome.UPDATED})
    paused, cancelled, running = [await make_job(CSV) for _ in range(3)]
    await ledger.jobs.pause(paused.job_id, by="w1@host", code="insufficient_quota", reason=REASON)
    await relabel("cancel", cancelled.job_id, "--reason", "wrong column")
    error = LastError(500, "server_error", "The server had an error")
    await ledger.redis.hset(f"relabel:{{{running.job_id}}}:job", "running_at", await ledger.jobs.now() - 200)

    async with at_work(running, Waits(backing_off=2), error=error):
        listed = await screen("jobs")
        shown = await screen("status", paused.job_id)

    assert max(map(len, (listed + shown).splitlines())) <= 80
    for job_id in (undone.job_id, undo, paused.job_id, cancelled.job_id, running.job_id):
        assert re.search(rf"^{job_id} ", listed, re.MULTILINE)
    assert is_whole(f"{NAME}, 1 rejected, undone by {undo}", listed)
    assert is_whole(f"undo of {NAME}, undo of {undone.job_id}", listed)
    assert is_whole(REASON, listed)
    assert is_whole(REASON, shown)
    assert "\n  wrong column (" in listed
    assert "\n  backing off after errors (2 rows); no row ended for 3 minutes (since " in listed
    assert "last answer 500 'The server had an error'" in " ".join(listed.split())
    assert f"`relabel resume {paused.job_id}`" in shown


async def test_a_night_of_500_files_is_summed_up_with_the_files_to_look_at(screen, ledger, make_job):
    """Files that are done, and those that wait, are a line each; a file that somebody has to look at has its own."""
    done = await make_job("id,team\na,red\nb,blue\n", {0: Outcome.UPDATED, 1: Outcome.UPDATED})
    failed = await make_job(CSV, {0: Outcome.UPDATED, 1: Outcome.UPDATED})
    files = [file(n, FileState.DONE, job_id=done.job_id) for n in range(470)]
    files += [file(470, FileState.DONE, job_id=failed.job_id)]
    files += [file(n, FileState.REJECTED, reason="line 1: there is no column completion_id or id") for n in (471, 472)]
    files += [file(n, FileState.TAKEN) for n in range(473, 500)]
    await put_night(ledger, files)

    said = await screen("nightly", "status")

    assert said.splitlines() == [
        "Run of 2026-11-27: running",
        "  500 files, 471 jobs, 2 rejected; began 1970-01-01 00:00:01 UTC",
        "  27 files taken",
        "  470 files done: updated 940",
        "  team-470.csv: done",
        f"    job {failed.job_id}: finished; updated 2  rejected 1",
        "  team-471.csv: rejected",
        "    line 1: there is no column completion_id or id",
        "  team-472.csv: rejected",
        "    line 1: there is no column completion_id or id",
        "Next: no nightly run is scheduled; set RELABEL_NIGHTLY__CRON, such as",
        "`30 2 * * *`.",
    ]


async def test_of_many_files_to_look_at_the_first_are_shown(relabel, ledger):
    """And where the others are."""
    files = [file(n, FileState.REJECTED, reason="no header") for n in range(50)]
    await put_night(ledger, files)

    said = (await relabel("nightly", "status")).out

    assert said.count(": rejected\n") == 20
    assert "  and 30 files more to look at: `relabel nightly status --json`\n" in said


async def test_the_preview_and_the_summary_of_a_job_break_neither_a_key_nor_a_command(screen, tmp_path, make_job):
    """The key has its values below where it leaves no room beside it; a command is copied in one piece."""
    key = "a_key_of_the_longest_kind_that_the_api_takes_which_is_64_charact"
    (tmp_path / "new.csv").write_text(
        f"id,team,{key}\n" + "".join(f"{ID}{n:02d},search {n},x{n}\n" for n in range(10, 30))
    )
    spec = await make_job(CSV, {0: Outcome.UPDATED, 1: Outcome.UPDATED})

    preview = await screen("run", "--check", "new.csv")
    summary = await screen("report", spec.job_id, "--summary")

    assert max(map(len, (preview + summary).splitlines())) <= 80
    assert f"\n  {key}\n" in preview
    assert "\n  team      20  search 10, search 11, search 12\n" in preview
    assert f"\n  All of them:\n    relabel report {spec.job_id} --only rejected -o rejected.csv\n" in summary
    assert f"\nNext: relabel report {spec.job_id} -o report.csv\n      (writes every row with its outcome)\n" in summary


async def test_settings_fit_into_80_columns(screen):
    """Each with its value, and what it is below."""
    said = await screen("config", RELABEL_RATE__PER_MINUTE="90")

    assert max(map(len, said.splitlines())) <= 80
    assert "\nRELABEL_RATE__PER_MINUTE  90.0\n  Requests per minute, over all workers.\n" in said
    assert "\nRELABEL_LOG_LEVEL  INFO  (default)\n" in said


@pytest.mark.parametrize(
    ("settings", "colours", "bold"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
    ],
    ids=["terminal", "NO_COLOR", "dumb"],
)
async def test_states_have_colours_where_they_are_wanted(terminal, make_job, settings, colours, bold):
    """NO_COLOR leaves bold words; a dumb terminal gets plain text."""
    job = await make_job(CSV)

    raw = (await asyncio.to_thread(terminal, "status", job.job_id, **settings)).raw

    assert ("\x1b[36mrunning" in raw, "\x1b[1mState" in raw) == (colours, bold)


def test_a_line_that_is_too_long_goes_on_at_its_own_indent() -> None:
    """No word and no command is broken."""
    reader, writer = pty.openpty()
    said = b""
    with os.fdopen(reader, "rb") as screen:
        with os.fdopen(writer, "w") as terminal:
            print_lines(
                ["team:", "  absent -> a long value; `relabel status X` shows all"], Console(file=terminal, width=30)
            )
        with contextlib.suppress(OSError):  # so ends a terminal that nobody writes to any more
            while part := os.read(screen.fileno(), 4096):
                said += part

    assert said.decode().replace("\r\n", "\n") == "team:\n  absent -> a long value;\n  `relabel status X` shows all\n"
