"""`relabel report --pace`: how a job went over its life."""

from __future__ import annotations

import json

from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.series import Point
from tests.harness.series import set_series

AT = 1_764_000_000.0
POINTS = [
    Point(AT, 120, 240, 0, 6000.0),
    Point(AT + 5, 31, 70, 8, 4200.0),
    Point(AT + 20, 49, 98, 0, 4321.5),
]
CSV = """\
time,seconds,rows,requests,throttled,rate_per_minute
2025-11-24T16:00:00.000Z,5,120,240,0,6000
2025-11-24T16:00:05.000Z,5,31,70,8,4200
2025-11-24T16:00:10.000Z,10,0,0,0,4200
2025-11-24T16:00:20.000Z,3.25,49,98,0,4321.5
"""


async def test_the_pace_is_a_line_for_each_stretch_of_the_jobs_life(relabel, make_job, ledger, tmp_path):
    """As CSV or JSONL, as the input was or as is asked for; a time in which nothing came is a line, too."""
    job = await make_job("id,k\na,1\n", {0: Outcome.UPDATED})
    await set_series(ledger, job.job_id, POINTS, ended_at=AT + 23.25)

    printed = await relabel("report", job.job_id, "--pace")
    jsonl = await relabel("report", job.job_id, "--pace", "--format", "jsonl")
    filed = await relabel("report", job.job_id, "--pace", "-o", "pace.csv", "--bom")

    assert (printed.code, printed.err, printed.out.replace("\r\n", "\n")) == (0, "", CSV)
    lines = [json.loads(line) for line in jsonl.out.splitlines()]
    assert lines[1] == {
        "time": "2025-11-24T16:00:05.000Z",
        "seconds": 5,
        "rows": 31,
        "requests": 70,
        "throttled": 8,
        "rate_per_minute": 4200,
    }
    assert sum(line["rows"] for line in lines) == 200
    assert (filed.code, filed.out, filed.err) == (0, "", "")
    assert (tmp_path / "pace.csv").read_bytes().decode("utf-8-sig").replace("\r\n", "\n") == CSV


async def test_the_pace_of_real_rows_sums_up_to_them(relabel, make_job):
    """Rows that no worker carried out are not of it."""
    ends = {0: Outcome.UPDATED, 1: Outcome.UNCHANGED, 2: Outcome.FAILED, 3: Outcome.DRIFTED}
    job = await make_job("id,k\na,1\nb,1\nc,1\nd,1\ne,1\nf,\n,x\n", ends)

    ended = await relabel("report", job.job_id, "--pace", "--format", "jsonl")

    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert (sum(line["rows"] for line in lines), sum(line["requests"] for line in lines)) == (4, 8)


async def test_what_has_no_pace_says_so(relabel, make_job, ledger):
    """Options about rows, and jobs of release one; one that did not begin has a header alone."""
    job = await make_job("id,k\na,1\n")

    empty = await relabel("report", job.job_id, "--pace")
    refused = [await relabel("report", job.job_id, "--pace", *more) for more in (["--diff"], ["--only", "failed"])]
    summary = await relabel("report", job.job_id, "--pace", "--summary")
    await ledger.redis.delete(JobKeys(job.job_id).series)
    old = await relabel("report", job.job_id, "--pace")

    assert (empty.code, empty.out.strip()) == (0, CSV.splitlines()[0])
    assert [each.code for each in (*refused, summary, old)] == [2, 2, 2, 2]
    assert (old.out, "was submitted with relabel 0.1" in old.err) == ("", True)
