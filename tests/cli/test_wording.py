"""Numbers, times and foreign text as people see them."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from cli.progress import PlainLines
from config.text import printable
from ledger.row import Outcome
from relabel.snapshots import JobSnapshot
from relabel.wording import clock_time, duration, local_time, per_minute
from report.as_jsonl import members_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_a_time_span_is_told_in_its_two_greatest_units(seconds, words):
    """Enough to plan with."""
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.25, "0.25/min"), (33.3333, "33.3/min"), (599.9999, "600/min"), (999.96, "1,000/min"), (6000.4, "6,000/min")],
)
def test_a_rate_is_rounded_to_what_a_person_can_use(rate, words):
    """Not 599.9999."""
    assert per_minute(rate) == words


def test_a_moment_names_its_zone():
    """A time of day alone while it is of the last day."""
    assert re.fullmatch(r"2025-11-27 \d\d:\d\d:38 \S+", local_time(1_764_264_218.5))
    assert re.fullmatch(r"\d\d:\d\d:38 \S+", clock_time(1_764_264_218.5, age_s=200))
    assert clock_time(1_764_264_218.5, age_s=86_401) == local_time(1_764_264_218.5)


def test_what_a_terminal_would_act_on_is_spelled_out():
    """Escape sequences, C1 controls, line ends, writing direction; other text stays."""
    assert printable("\x1b[2J\x9b\r\n\u202eé🎉\x7f") == r"\x1b[2J\x9b\r\n\u202eé🎉\x7f"


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (' { "a" : [1, {"b": "}"}] ,"a":1e5 } ', [("a", '"a" : [1, {"b": "}"}]'), ("a", '"a":1e5')]),
        ("{}", []),
        ('{"a": 1} x', None),
        ('"{}"', None),
        ("[" * 100_000, None),
        ('{"a": ' + "9" * 5000 + "}", [("a", '"a": ' + "9" * 5000)]),
    ],
)
def test_an_object_is_taken_apart_without_losing_a_character(text, members):
    """Members as they were written, repeated ones too."""
    assert members_of(text) == members


async def test_plain_lines_come_every_five_seconds_or_every_tenth(make_job, end_rows, ledger):
    """And always at the end; a look without news is not worth a line."""
    job = await make_job("id,k\n" + "".join(f"c{n},1\n" for n in range(40)))
    now, out = [0.0], io.StringIO()
    lines = PlainLines(Console(file=out), 600.0, clock=lambda: now[0])

    async def look_at(second: float) -> int:
        now[0] = second
        lines.show(JobSnapshot(await ledger.jobs.get(job.job_id)))
        return out.getvalue().count("\n")

    counts = [await look_at(0), await look_at(4.9), await look_at(5.0), await look_at(6.0)]
    await end_rows(job, dict.fromkeys(range(4), Outcome.UPDATED))
    counts += [await look_at(6.1), await look_at(6.2)]
    await end_rows(job, dict.fromkeys(range(4, 40), Outcome.UPDATED))
    counts += [await look_at(6.3)]

    assert counts == [1, 1, 2, 2, 3, 3, 4]
