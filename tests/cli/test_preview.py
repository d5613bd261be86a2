"""Before anything is sent a file's preview is shown, and what is odd in it is asked about."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.preview_view import show_content, show_outlook
from cli.submission import show_rehearsed
from ledger.job import JobState
from ledger.job_spec import Mode
from ledger.ledger import Ledger
from ledger.workers import Aside, WorkerFacts
from producer.checked import Checked
from producer.questions import QUESTIONS
from producer.submit import JobRequest
from producer.submit import submit as producer_submit
from ratelimit.breaker import LEAST_FAILURES, CircuitBreaker, health_key
from ratelimit.limits import Limit, Limits, SharedLimit, limit_key
from ratelimit.shared_rate import record_use
from relabel.preview import Outlook, preview_of, with_outlook
from tests.harness.command import ROOT
from tests.harness.rows import dated_id, lines, usual_id

NO_REDIS = {"RELABEL_REDIS__URL": ""}
INDEX = lines("0,good", "1,bad", "2,good", header="completion_id,Unnamed: 0,quality")
GOOD = lines("good,search", "bad,docs")


@pytest.fixture
def shown(read: Callable[..., Checked]) -> Callable[..., str]:
    """The preview of a file's content on a terminal of 80 columns."""

    def show(content: str, *, mode: Mode = Mode.MERGE, ahead: Outlook | None = None, name: str = "p.csv") -> str:
        out = io.StringIO()
        console = Console(file=out, width=80)
        with read(content, name) as checked:
            preview = preview_of(checked, JobRequest(name, mode, True, "https://api.openai.com/v1", 500, 60.0))
        preview = with_outlook(preview, ahead) if ahead else preview
        show_content(preview, console)
        show_outlook(preview, console)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    return show


def test_the_preview_of_a_plain_file_is_short(shown: Callable[..., str]) -> None:
    """What it is, what each key gets, and what it takes."""
    assert shown(GOOD, ahead=Outlook(4, 600.0, 0.4)) == (
        "Checked CSV separated by commas: 2 completions to change, 0 rows rejected.\n"
        "  key      set in  values\n"
        "  quality       2  good, bad\n"
        "  team          2  search, docs\n"
        "2 completions will be changed: up to 4 requests, about 1 s at 600/min."
    )


def test_the_preview_names_what_is_odd_and_a_terminal_acts_on_no_value(shown: Callable[..., str]) -> None:
    """Rows that contradict each other, texts for missing values, ids unlike those of the API, rows that are invalid."""
    content = lines("NULL,\x1b[2J", f"{'w' * 70},\\N", "good,") + f"{usual_id(2)},bad,\nodd,x,y\n,x,y\n"

    assert shown(content) == (
        "Checked CSV separated by commas: 4 completions to change, 1 row folded into an\n"
        "earlier row of the same id (1 with other values: the last row wins), 1 row\n"
        "rejected.\n"
        "  line 7, column completion_id: the id is empty\n"
        "  key      set in  values\n"
        "  quality       5  NULL, wwwwwwwwwwwwwwwwwwwww..., good\n"
        "  team          3  \\x1b[2J, \\N, y\n"
        "Warning: these values are sent as text: NULL 1, \\N 1; --null TEXT removes the\n"
        "key instead.\n"
        "Warning: 1 id does not look like chat completion ids (line 6)."
    )


def test_the_preview_of_a_replacement_counts_what_rows_leave_out(shown: Callable[..., str]) -> None:
    """An empty cell removes the key there, as does every key that has no column."""
    assert shown(lines("good,search", "good,"), mode=Mode.REPLACE) == (
        "Checked CSV separated by commas: 2 completions to change, 0 rows rejected.\n"
        "  key      set in  not in  values\n"
        "  quality       2       0  good\n"
        "  team          1       1  search\n"
        "Replace: each completion keeps only what its row sets; it loses every other key,\n"
        "and of the 1 key above where a row has no value."
    )


@pytest.mark.parametrize(("content", "said"), [(INDEX, ["(index_column)", "needs --yes"]), (GOOD, [])])
def test_a_rehearsal_names_what_would_be_asked(read: Callable[..., Checked], content: str, said: list[str]) -> None:
    """It asks nothing itself, as nothing leaves the machine."""
    out = io.StringIO()
    with read(content, "p.csv") as checked:
        request = JobRequest("p.csv", Mode.MERGE, True, "https://api.openai.com/v1", 500, 60.0)
        show_rehearsed(checked, request, Console(file=out, width=200))

    assert bool(out.getvalue()) == bool(said)
    assert all(words in out.getvalue() for words in said)


@pytest.mark.parametrize("verb", ["run", "submit"])
@pytest.mark.parametrize(
    ("content", "code", "questions"),
    [
        (GOOD, 0, []),
        (GOOD + ",x,y\n", 1, []),
        (lines(",", ","), 0, ["all_empty"]),
        (INDEX, 0, ["index_column"]),
        (GOOD.replace(usual_id(0), "a").replace(usual_id(1), "b"), 0, ["odd_ids"]),
    ],
)
async def test_check_stops_after_the_preview_and_needs_neither_key_nor_redis(
    relabel: Any, tmp_path: Path, verb: str, content: str, code: int, questions: list[str]
) -> None:
    """The exit code shows invalid rows, the JSON the rest."""
    (tmp_path / "p.csv").write_text(content)

    ended = await relabel(verb, "--check", "--json", "p.csv", **NO_REDIS, RELABEL_STATE_DIR=str(tmp_path / "state"))

    assert ended.code == code
    facts = json.loads(ended.out)
    assert [question["code"] for question in facts["questions"]] == questions
    rows = facts["rows"]
    assert (facts["completions"] + rows["unchanged"], rows["rejected"]) == (content.count("\n") - 1 - code, code)
    assert (facts["outlook"]["requests"], facts["delimiter"]) == (facts["completions"] * 2, ",")
    assert not (tmp_path / "state").exists(), "no server was started"


async def test_submit_without_deployed_workers_names_what_takes_a_file_without_them(
    relabel: Any, tmp_path: Path
) -> None:
    """A command, and the page of a server that works on jobs itself."""
    (tmp_path / "p.csv").write_text(GOOD)

    refused = await relabel("submit", "p.csv", **NO_REDIS, RELABEL_STATE_DIR=str(tmp_path / "state"))

    assert refused.code == 2
    assert "use `relabel run`, or the page Submit where `relabel serve --run` runs" in refused.err


async def test_check_of_a_file_that_cannot_be_used_ends_as_wrong_use(relabel: Any, tmp_path: Path) -> None:
    """As without --check; so does a row that --strict does not accept."""
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "strict.csv").write_text(GOOD + ",x,y\n")

    assert (await relabel("submit", "--check", "empty.csv", **NO_REDIS)).code == 2
    assert (await relabel("submit", "--check", "--strict", "strict.csv", **NO_REDIS)).code == 2


async def test_check_tells_of_the_jobs_and_workers_that_a_configured_redis_knows(
    relabel: Any, ledger: Ledger, make_job: Any, tmp_path: Path
) -> None:
    """Nothing is stored there; where it is away, the file is checked all the same."""
    (tmp_path / "p.csv").write_text(GOOD)
    other = await make_job(GOOD.replace("search", "mobile"))

    seen = await relabel("submit", "--check", "p.csv", OPENAI_BASE_URL="https://api.openai.com/v1")
    alone = await relabel("submit", "--check", "p.csv", RELABEL_REDIS__URL="redis://127.0.0.1:1/0")

    assert f"Warning: job {other.job_id}, which has not ended, changes 2 completions of these, too" in seen.err
    assert "Warning: no worker is alive" in seen.err
    assert (seen.code, seen.out, len(await ledger.jobs.latest(10))) == (0, "", 1)
    assert "nothing is known of other jobs: Redis cannot be reached" in alone.err
    assert alone.code == 0


async def test_check_counts_the_completions_that_may_be_gone(relabel: Any, tmp_path: Path) -> None:
    """Those that are older than 30 days, and those that reach them in the minute that two requests take here."""
    now, days = time.time(), 86_400
    ages = (31 * days, 30 * days - 30, 29 * days)
    rows = [f"{dated_id(now - age, row)},good" for row, age in enumerate(ages)]
    (tmp_path / "p.csv").write_text("\n".join(["completion_id,quality", "no-age,bad", *rows]) + "\n")
    slow = {"RELABEL_RATE__PER_MINUTE": "6"} | NO_REDIS

    ended = await relabel("submit", "--check", "p.csv", **slow)
    facts = json.loads((await relabel("submit", "--check", "--json", "p.csv", **slow)).out)

    assert "1 of 4 completions reaches 30 days before the estimated end" in ended.err
    assert "1 of 4 completions is older than 30 days by its id, and may be gone." in ended.err
    assert facts["outlook"]["expiry"] == {"expired": 1, "expiring": 1, "unknown": 1}


async def test_check_names_the_job_that_has_the_content_already(relabel: Any, tmp_path: Path) -> None:
    """Nothing would be sent for it."""
    (tmp_path / "p.csv").write_text(GOOD)
    job_id = (await relabel("submit", "p.csv")).out.strip()

    checked = await relabel("submit", "--check", "p.csv")

    assert f"Job {job_id} has this content already" in checked.err
    assert checked.code == 0


@pytest.mark.parametrize(("options", "code", "jobs"), [([], 2, 0), (["--yes"], 0, 1)])
async def test_without_a_terminal_an_odd_file_needs_yes(
    relabel: Any, ledger: Ledger, tmp_path: Path, options: list[str], code: int, jobs: int
) -> None:
    """Nothing is sent, and the message has the next step."""
    (tmp_path / "p.csv").write_text(INDEX)

    ended = await relabel("submit", "p.csv", *options)

    assert (ended.code, len(await ledger.jobs.latest(10))) == (code, jobs)
    assert ("--check" in ended.err and "--yes" in ended.err) == bool(code)


async def test_a_terminal_is_asked_about_an_odd_file(terminal: Any, ledger: Ledger, tmp_path: Path) -> None:
    """However small it is."""
    (tmp_path / "p.csv").write_text(INDEX)

    ended = await asyncio.to_thread(terminal, "submit", "p.csv", answer="n\n")

    assert "Column 2 looks like row numbers" in ended.said
    assert "(index_column)" in ended.said
    assert (ended.code, len(await ledger.jobs.latest(10))) == (130, 0)


async def test_a_rate_that_is_slowed_down_is_the_one_that_the_time_is_for(
    relabel: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """With the reason, and how long all wait; a worker that lives is not missed."""
    (tmp_path / "p.csv").write_text(GOOD)
    key = limit_key("https://api.openai.com/v1", "sk-x", None, None)
    await Limits(ledger.redis).acquire(10, SharedLimit(key, Limit(10.0, 1)))
    await Limits(ledger.redis).pause(key, 600.0)
    await ledger.workers.beat("celery@here", 2)

    ended = await relabel("submit", "--check", "p.csv", OPENAI_API_KEY="sk-x")

    assert "Warning: paused by a 429 for " in ended.err
    assert re.search(r"the rate is slowed down to ([0-9.]+/min) by 429s \(configured 600/min\)", ended.err)
    assert "at 600/min" not in ended.err
    assert "no worker" not in ended.err


async def test_a_job_of_which_nothing_would_come_is_warned_of_in_a_line_each(
    relabel: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Where the only worker has a wrong key, and the API fails each request: in the words that health has."""
    (tmp_path / "p.csv").write_text(GOOD)
    key = limit_key("https://api.openai.com/v1", "sk-x", None, None)
    await record_use(ledger.redis, SharedLimit(key, Limit(10.0, 1)), endpoint="https://api.openai.com/v1")
    await ledger.workers.beat("w1@a", 2, WorkerFacts(aside=Aside.KEY_REFUSED))
    breaker = CircuitBreaker(ledger.redis, key)
    for _ in range(LEAST_FAILURES):
        breaker.record(write=True, succeeded=False)
    await breaker.row_at_fault(write=True)
    await ledger.redis.hset(health_key(key), "write_since", await ledger.jobs.now() - 240)

    submitted = await relabel("submit", "p.csv", "--yes", OPENAI_API_KEY="sk-x")
    health = await relabel("health", "--only", "workers,rate")
    status, jobs, watched = [
        await relabel(*verb) for verb in (("status", "last"), ("jobs",), ("resume", "last", "--yes"))
    ]

    warnings = [line.removeprefix("Warning: ").rstrip(".") for line in submitted.err.splitlines() if "Warning" in line]
    refused, failing = (next((w for w in warnings if part in w), "") for part in ("refuses the key", "has failed"))
    assert refused == "the API refuses the key of w1@a, which takes no shards; the job waits until one takes rows"
    assert failing.startswith(
        "the API has failed for 4 minutes; all rows wait; the rate is slowed down to one request a"
    )
    why = refused.split(";")[0]
    assert all(why in said for said in (status.out, jobs.out, watched.err))
    assert "no worker is alive" not in submitted.err + health.out + status.out + jobs.out + watched.err
    assert (health.code, why in health.out, failing in health.out) == (1, True, True)


@pytest.mark.parametrize("code", ["insufficient_quota", "unknown_url"])
async def test_a_job_for_an_api_that_has_paused_another_one_is_warned_of(
    relabel: Any, make_job: Any, ledger: Ledger, tmp_path: Path, code: str
) -> None:
    """It would pause as well; one that a person paused says nothing of the API."""
    (tmp_path / "p.csv").write_text("completion_id,team\nchatcmpl-b1,red\n")
    first = await make_job(GOOD)
    await ledger.jobs.pause(first.job_id, by="ada@desk", code="paused", reason="by ada@desk")
    before = await relabel("submit", "--check", "p.csv", OPENAI_API_KEY="sk-x")
    await ledger.jobs.resume(first.job_id, by="ada@desk")
    await ledger.jobs.pause(first.job_id, by="w1@a", code=code, reason="You exceeded your quota.")
    after = await relabel("submit", "--check", "p.csv", OPENAI_API_KEY="sk-x")
    elsewhere = await relabel(
        "submit", "--check", "p.csv", OPENAI_API_KEY="sk-x", OPENAI_BASE_URL="https://b.example/v1"
    )

    warning = rf"Warning: job {first.job_id} has been paused for \d seconds?: You exceeded your quota\.$"
    found = [re.search(warning, each.err, flags=re.MULTILINE) is not None for each in (before, after, elsewhere)]
    assert found == [False, True, False]


@pytest.mark.parametrize(("verb", "state"), [("resume", JobState.RUNNING), ("cancel", JobState.CANCELLED)])
async def test_a_job_that_waits_for_a_yes_names_both_answers(
    relabel: Any, ledger: Ledger, read: Callable[..., Checked], verb: str, state: JobState
) -> None:
    """Its status has the question, and each verb takes it away."""
    request = JobRequest("p.csv", Mode.MERGE, True, "https://api.openai.com/v1", 500, 60.0, questions="is it right?")
    with read(GOOD) as checked:
        submitted = await producer_submit(checked, request, ledger=ledger, announce=lambda *_: None)

    told = await relabel("status", submitted.job_id)
    await relabel(verb, submitted.job_id, "--yes")

    assert (told.code, "is it right?" in told.out) == (3, True)
    assert all(f"`relabel {answer} {submitted.job_id}`" in told.out for answer in ("resume", "cancel"))
    job = await ledger.jobs.get(submitted.job_id)
    assert (job.state, "is it right?" in (job.reason or "")) == (state, False)


def test_the_docs_name_every_question() -> None:
    """With what it stands for."""
    page = (ROOT / "docs" / "files.md").read_text()

    assert [code for code in QUESTIONS if f"`{code}`" not in page] == []
