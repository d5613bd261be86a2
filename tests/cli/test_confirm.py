"""Before many completions are changed, whoever sits at the terminal is asked; nobody else is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.ledger import Ledger
from ledger.service_profile import Behaviour
from producer.checked import Checked
from ratelimit.limits import Limit, SharedLimit, limit_key
from ratelimit.shared_rate import RateNote, SharedRate
from tests.cli.conftest import CTRL_C

MANY = 10_001


def rows(number: int) -> str:
    """A CSV file of so many rows."""
    return "id,team\n" + "".join(f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XH{row:05d},blue\n" for row in range(number))


@pytest.mark.parametrize(("answer", "code", "jobs"), [("y\n", 0, 1), ("n\n", 130, 0), (CTRL_C, 130, 0)])
async def test_a_terminal_is_asked_before_many_rows_are_submitted(
    terminal: Any, ledger: Ledger, tmp_path: Path, answer: str, code: int, jobs: int
) -> None:
    """With the number of completions and the time it takes at this rate; yes goes on, no and Ctrl-C store nothing."""
    (tmp_path / "many.csv").write_text(rows(MANY))

    ended = await asyncio.to_thread(terminal, "submit", "many.csv", "--rate", "300/m", answer=answer)

    question = "10,001 completions will be changed: up to 20,002 requests, about 1 h 6 min at 300/min."
    assert question in ended.said
    assert ended.code == code
    assert len(await ledger.jobs.latest(10)) == jobs
    assert ("nothing was sent" in ended.said) == (answer == "n\n")


@pytest.mark.parametrize(("answer", "code", "state"), [("y\n", 0, "cancelled"), ("n\n", 130, "running")])
async def test_a_terminal_is_asked_whether_the_last_job_is_meant(
    terminal: Any, ledger: Ledger, tmp_path: Path, relabel: Any, answer: str, code: int, state: str
) -> None:
    """With its id, its name and its age; no leaves it as it is."""
    (tmp_path / "few.csv").write_text(rows(1))
    job_id = (await relabel("submit", "few.csv")).out.strip()

    ended = await asyncio.to_thread(terminal, "cancel", "last", answer=answer)

    assert (ended.code, (await ledger.jobs.get(job_id)).state) == (code, state)
    assert f"Job {job_id} (few.csv): file, running, submitted" in ended.said
    assert ("nothing was changed" in ended.said) == (answer == "n\n")


async def test_the_time_is_told_for_the_rate_that_was_set_live(terminal: Any, ledger: Ledger, tmp_path: Path) -> None:
    """`relabel rate` goes before the settings, here as for the workers."""
    (tmp_path / "many.csv").write_text(rows(MANY))
    key = limit_key("https://api.openai.com/v1", "sk-x", None, None)
    await SharedRate(ledger.redis, SharedLimit(key, Limit(10.0, 1))).set(100.0, None, RateNote("test", "a test"))

    ended = await asyncio.to_thread(terminal, "submit", "many.csv", answer="n\n")

    assert "up to 20,002 requests, about 3 min 20 s at 6,000/min." in ended.said
    assert ended.code == 130


@pytest.mark.parametrize(("number", "options"), [(MANY, ["--yes"]), (10_000, [])])
async def test_a_terminal_is_not_asked_where_the_answer_is_given_or_little_is_changed(
    terminal: Any, ledger: Ledger, tmp_path: Path, number: int, options: list[str]
) -> None:
    """--yes, or 10,000 completions."""
    (tmp_path / "many.csv").write_text(rows(number))

    ended = await asyncio.to_thread(terminal, "submit", "many.csv", *options, answer="n\n")

    assert "Go on?" not in ended.said
    assert ended.code == 0
    assert len(await ledger.jobs.latest(10)) == 1


async def test_without_a_terminal_nothing_is_asked(relabel: Any, ledger: Ledger, tmp_path: Path) -> None:
    """A script or a nightly task goes on."""
    (tmp_path / "many.csv").write_text(rows(MANY))

    ended = await relabel("submit", "many.csv")

    assert (ended.code, "Go on?" in ended.err) == (0, False)
    assert len(await ledger.jobs.latest(10)) == 1


async def test_a_service_that_was_probed_is_taken_for_as_slow_as_it_is(
    terminal: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """The time that is asked about is what the requests take, where the rate alone would be too bright."""
    (tmp_path / "many.csv").write_text(rows(MANY))
    slow = {
        "null_value": "refused",
        "null_map": "ignored",
        "read_s": 0.5,
        "write_s": 5.5,
        "visible_after_s": 0,
        "at": 0,
    }
    found = msgspec.convert({"semantics": "merges"} | slow, Behaviour)
    await ledger.behaviours.keep("https://api.openai.com/v1", found)
    small = {"RELABEL_WORKER__CHILDREN": "2", "RELABEL_WORKER__IN_FLIGHT": "10", "RELABEL_RATE__PER_MINUTE": "6000"}

    ended = await asyncio.to_thread(terminal, "submit", "many.csv", answer="n\n", **small)

    assert "up to 20,002 requests, about 50 min 0 s at 6,000/min." in ended.said
    assert "At 6,000/min some 300 requests must be under way at once here" in ended.said
    assert "has 20 at most: raise RELABEL_WORKER__IN_FLIGHT" in ended.said


async def test_a_probe_asks_before_it_touches_a_completion(terminal: Any, state_dir: Path) -> None:
    """It says what will happen to it; no is the end of it."""
    settings = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "RELABEL_STATE_DIR": str(state_dir)}

    ended = await asyncio.to_thread(terminal, "probe", "chatcmpl-x", answer="n\n", **settings)

    assert "this completion will have one key changed, one left out" in ended.said
    assert "nothing was sent" in ended.said
    assert ended.code == 130


async def test_an_undo_of_many_rows_asks_too(terminal: Any, ledger: Ledger, read: Any) -> None:
    """The number is that of the rows to restore."""
    job_id = await changed_job(ledger, read(rows(MANY)))

    ended = await asyncio.to_thread(terminal, "undo", job_id, answer="n\n")

    assert f"10,001 rows of job {job_id} to undo." in ended.said
    assert "10,001 completions will be changed" in ended.said
    assert ended.code == 130
    assert len(await ledger.jobs.latest(10)) == 1


async def changed_job(ledger: Ledger, checked: Checked) -> str:
    """A job of one shard that changed all its rows, cancelled since."""
    from ledger.codec import BeforeImage, pack_images
    from ledger.job_spec import Mode
    from ledger.keys import JobKeys
    from producer.submit import JobRequest, submit

    order = JobRequest("many", Mode.MERGE, True, "https://api.openai.com/v1", MANY, 3600.0)
    with checked:
        job_id = (await submit(checked, order, ledger=ledger, announce=lambda *_: None)).job_id
    images = [BeforeImage(row, {"team": "red"}) for row in range(MANY)]
    await ledger.redis.append(JobKeys(job_id).journal(0), pack_images(images))
    await ledger.jobs.cancel(job_id, by="test")
    return job_id
