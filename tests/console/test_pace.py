"""The chart of a job's pace: at both widths, in both colours, with its numbers beside it, and kept up to date."""

from __future__ import annotations

import asyncio
import math

import pytest
from selenium.webdriver.common.by import By

from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.series import Point
from tests.harness.rows import PatchRows
from tests.harness.series import set_series

pytestmark = pytest.mark.promise
IDS = PatchRows(12).ids
FILE = "id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS))
AT, LIFE_S, WIDTH_S = 1_764_000_000.0, 3600, 10
PAUSED_FROM_S, PAUSED_TO_S = 1500, 2100
THROTTLED_S = (900, 910, 2700)

look = asyncio.to_thread


def hour():
    """The points of a job of an hour that starts slowly, meets 429s, and is paused for ten minutes."""
    for at in range(0, LIFE_S, WIDTH_S):
        if PAUSED_FROM_S <= at < PAUSED_TO_S:
            continue
        slowed = min((at - since for since in THROTTLED_S if since <= at), default=LIFE_S)
        share = min(1.0, at / 120 + 0.1) * min(1.0, 0.35 + slowed / 400)
        rows = round(WIDTH_S * (44 * share + 3 * math.sin(at / 37)))
        yield Point(AT + at, max(0, rows), 2 * rows, 14 if at in THROTTLED_S else 0, round(6000 * share, 1))


async def test_the_chart_of_an_hour_shows_its_429s_and_its_pause(browser, sign_in, make_job, ledger):
    """Bars, marks and a band, each named; the numbers are in a table, and what was sent is in one sentence."""
    await sign_in("read")
    job = await make_job(FILE, dict.fromkeys(range(12), Outcome.UPDATED))
    points = list(hour())
    await set_series(ledger, job.job_id, points, seconds=WIDTH_S, ended_at=AT + LIFE_S)
    for verb, at in (("pause", PAUSED_FROM_S), ("resume", PAUSED_TO_S)):
        entry = f'{{"at":{AT + at},"who":"ada@x","verb":"{verb}","why":"lunch"}}'
        await ledger.redis.rpush(JobKeys(job.job_id).audit, entry)

    shown = await look(browser.open, f"/jobs/{job.job_id}", until="answered 429")
    assert await look(browser.faults, "pace") == []
    await look(browser.unfold, "The same in numbers")
    unfolded = await look(browser.until, "pace as CSV")
    assert await look(browser.faults, "pace-numbers") == []

    rows = sum(point.rows for point in points)
    assert f"{rows:,} rows in 50 min 0 s of work: " in shown
    assert "42 requests answered 429." in shown
    chart = await look(browser.driver.find_element, By.CSS_SELECTOR, "svg.chart")
    name = f"Rows a second over the job's life {rows:,} rows in 50 min 0 s of work"
    assert (chart.aria_role, chart.accessible_name.startswith(name)) == ("image", True)
    parts = {part: len(chart.find_elements(By.CSS_SELECTOR, part)) for part in ("text.throttled", "rect.paused")}
    assert parts == {"text.throttled": 2, "rect.paused": 1}
    assert 80 <= len(chart.find_elements(By.CSS_SELECTOR, "rect.rows-per-s")) <= 120
    lines = await look(browser.driver.find_elements, By.CSS_SELECTOR, ".numbers tbody tr")
    cells = [[cell.text for cell in line.find_elements(By.TAG_NAME, "td")] for line in lines]
    assert sum(int(line[2].replace(",", "")) for line in cells) == rows
    assert sum(int(line[5]) for line in cells) == 42
    assert any(line[1] == "10 min 0 s" and line[2] == "0" for line in cells)
    assert len(cells) <= 48
    assert "24 Nov 16:00:00" in unfolded
    assert await look(browser.errors) == []


async def test_a_short_job_one_of_release_one_and_one_that_did_not_begin(browser, sign_in, make_job, ledger):
    """The first has a chart of few bars, the others a sentence."""
    await sign_in("read")
    short = await make_job(FILE, dict.fromkeys(range(12), Outcome.UPDATED), name="short.csv")
    await set_series(
        ledger, short.job_id, [Point(AT, 9, 18, 0, 600.0), Point(AT + 5, 3, 6, 0, 600.0)], ended_at=AT + 6.5
    )
    old = await make_job(FILE, name="old.csv")
    await ledger.redis.delete(JobKeys(old.job_id).series)
    new = await make_job(FILE, name="new.csv", hold=True)

    shown = await look(browser.open, f"/jobs/{short.job_id}", until="No 429s.")
    assert await look(browser.faults, "pace-short") == []
    assert "12 rows in 6 s of work: 1.8 rows/s on average, 2 at most." in shown
    assert "submitted with relabel 0.1" in await look(browser.open, f"/jobs/{old.job_id}", until="Pace")
    assert "Nothing was sent so far." in await look(browser.open, f"/jobs/{new.job_id}", until="Pace")


async def test_the_chart_is_drawn_anew_while_the_job_runs(browser, sign_in, make_job, end_rows):
    """With the job's progress, ten seconds after it was drawn last; what is unfolded stays so, as does the focus."""
    await sign_in("read")
    job = await make_job(FILE, {0: Outcome.UPDATED})
    await look(browser.open, f"/jobs/{job.job_id}", until="Live")
    first = await look(browser.until, "1 row in")
    await look(browser.unfold, "The same in numbers")

    await look(browser.run, "const now = Date.now; Date.now = () => now() + 10000")
    await end_rows(job, {1: Outcome.UPDATED, 2: Outcome.UPDATED})
    drawn = await look(browser.until, "3 rows in")

    assert "3 rows in" not in first
    assert "pace as CSV" in drawn
    assert await look(browser.focused) == "The same in numbers"
    assert await look(browser.errors) == []
