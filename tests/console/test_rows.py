"""The rows of a job on its page: by outcome, by cause, from an id or a line on, and page by page."""

from __future__ import annotations

import re

import msgspec
import pytest

from ledger.job_spec import Kind, Mode
from ledger.keys import JobKeys
from ledger.list_reads import ListRead
from ledger.row import Outcome
from producer.selected import create_selected
from producer.submit import JobRequest
from tests.cli.conftest import failure
from tests.harness.rows import PatchRows

IDS = PatchRows(60).ids
LINES = [f"{each},t{number}" for number, each in enumerate(IDS)]
FILE = "id,team\n" + "\n".join([*LINES[:30], "bad id,x", *LINES[30:], f"{IDS[0]},again"]) + "\n"
ENDS = dict.fromkeys(range(30), Outcome.UPDATED)
ENDS |= {number: failure("server_error", "Down", status=500) for number in range(30, 40)}
ENDS |= {40: failure("not_found", "No such completion", status=404), 41: (Outcome.DRIFTED, failure("changed_since")[1])}


@pytest.fixture
async def job(make_job):
    """A job with rows that ended in several ways, one that was rejected and one that was folded."""
    return await make_job(FILE, ENDS, images=True)


def shown(page):
    """The ids of the rows that a page shows."""
    return re.findall(r'data-label="Completion"><div>\n*<a class="id" href="/completions\?id=([^"]+)"', page.text)


async def test_rows_are_shown_by_outcome_and_by_cause(person, job):
    """Each cause has a link to its rows, and what is shown has a URL."""
    async with await person("read") as client:
        page = await client.get(f"/jobs/{job.job_id}?outcome=failed")
        cause = await client.get(f"/jobs/{job.job_id}?outcome=failed&codes=not_found")
        none = await client.get(f"/jobs/{job.job_id}?outcome=failed&codes=timeout")

    assert shown(page) == IDS[30:41]
    assert 'href="?outcome=failed&amp;codes=not_found#rows"' in page.text
    assert 'href="?outcome=failed&amp;codes=server_error#rows"' in page.text
    assert shown(cause) == [IDS[40]]
    assert "ended with the code timeout" in none.text


async def test_rows_go_on_on_the_next_page(person, job):
    """With the filter; no row twice and none left out."""
    found = []
    async with await person("read") as client:
        page = await client.get(f"/jobs/{job.job_id}?outcome=updated")
        found += shown(page)
        while following := re.search(r'rel="next" href="([^"#]+)#rows"', page.text):
            page = await client.get(f"/jobs/{job.job_id}{following[1].replace('&amp;', '&')}")
            found += shown(page)

    assert found == IDS[:30]


@pytest.mark.parametrize(
    ("wanted", "first"),
    [(IDS[45], IDS[45]), ("2", IDS[0]), ("31", IDS[29]), ("33", IDS[30]), ("62", IDS[59]), ("32", "bad id"),
     ("63", IDS[0]), ("64", None), ("0", None), ("chatcmpl-other", None), ("other.csv:3", None), ("\x1b[2J", None)],
)  # fmt: skip
async def test_a_row_is_found_by_its_id_or_its_line(person, job, wanted, first):
    """The page begins with it; rows that are never sent have lines, too."""
    async with await person("read") as client:
        page = await client.get(f"/jobs/{job.job_id}", params={"find": wanted})

    assert page.status_code == 200
    if first is None:
        assert "No row was found" in page.text
        assert shown(page) == []
    else:
        row = page.text[page.text.index('class="found" aria-current="true"') :]
        assert first in row[: row.index("</tr>")]


async def test_a_line_is_one_of_a_file_where_there_are_several(person, connect, new_token):
    """As the table names it."""
    files = [("file", ("a.csv", f"id,team\n{LINES[0]}\n")), ("file", ("b.csv", f"id,team\n{LINES[1]}\n{LINES[2]}\n"))]
    async with connect(await new_token("submit")) as client:
        made = (await client.post("/v1/jobs", files=files)).json()
    async with await person("read") as client:
        page = await client.get(f"/jobs/{made['job_id']}", params={"find": "b.csv:3"})
        none = await client.get(f"/jobs/{made['job_id']}", params={"find": "a.csv:3"})

    assert shown(page) == [IDS[2]]
    assert "No row was found" in none.text
    assert "<code>a.csv:2</code>" in none.text


async def test_values_of_512_characters_are_folded(person, make_job):
    """The whole one is there once somebody opens it."""
    job = await make_job(f"id,note\n{IDS[0]},{'n' * 512}\n", {0: Outcome.UPDATED}, images=True)
    async with await person("read") as client:
        page = await client.get(f"/jobs/{job.job_id}")

    assert '<details class="fold">' in page.text
    assert "512 characters" in page.text
    assert f"<code>{'n' * 512}</code></details>" in page.text


async def test_a_plan_whose_list_is_read_says_how_far_that_is(person, ledger):
    """In place of its rows, which are not there yet; and that nobody reads it, where that is so."""
    request = JobRequest("selection", Mode.MERGE, True, "https://api.example/v1", 100, 3600.0, kind=Kind.PLAN)
    job_id = await create_selected(request, b'{"set": {"a": "b"}}', keys=["a"], oldest_first=False, ledger=ledger)
    found = msgspec.json.encode(ListRead(read=4200, matched=300))
    await ledger.redis.hset(JobKeys(job_id).job, mapping={"found": found, "read_at": "1.0"})

    async with await person("read") as client:
        page = await client.get(f"/jobs/{job_id}")

    assert page.text.count("300 of 4,200 completions read so far") == 2
    assert "There are no rows yet" in page.text
    assert "The rows are being stored" not in page.text
    assert "waiting, as no worker is alive" in page.text
