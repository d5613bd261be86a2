"""A job that Redis lost is shown as lost, with what is known of it, and never as one that there was not."""

from __future__ import annotations

import json
import re

import pytest

from ledger.loss_detector import LossDetector
from ledger.row import Outcome
from nightly.store import Nights
from relabel.nightly import NOT_RUN

FILE = "completion_id,team\nchatcmpl-a1,blue\nchatcmpl-b2,red\nchatcmpl-c3,red\n"


@pytest.fixture
async def lost(ledger, make_job) -> str:
    """The id of a job whose ledger came back empty while a worker remembered it."""
    spec = await make_job(FILE, {0: Outcome.UPDATED}, name="\x1b[31mnight.csv")
    detector = LossDetector("w1@worker-a")
    await detector.check(ledger)
    await ledger.redis.flushdb()
    await detector.check(ledger)
    return spec.job_id


async def test_it_is_listed_and_shown_with_how_it_stood(relabel, lost):
    listed, shown = await relabel("jobs"), await relabel("status", lost)
    facts = json.loads((await relabel("status", lost, "--json")).out)

    assert (listed.code, shown.code) == (0, 3)
    assert lost in listed.out
    assert "state lost" in listed.out
    assert "w1@worker-a" in shown.out
    assert "--again" in shown.out
    assert "Requests" not in shown.out, "nobody remembers how many"
    assert "\x1b" not in listed.out + shown.out
    assert (facts["state"], facts["reason_code"], facts["rows"]["updated"]) == ("state lost", "state_lost", 1)
    assert "w1@worker-a" in facts["reason"]


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (("watch",), 3),
        (("report", "--summary"), 0),
        (("report",), 3),
        (("log",), 0),
        (("pause",), 2),
        (("resume",), 2),
        (("cancel",), 2),
        (("rate", "600", "--job"), 2),
        (("undo", "--yes"), 2),
        (("retry", "--yes"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
async def test_whatever_is_asked_of_it_says_that_it_is_lost(relabel, lost, verb, code):
    """In one sentence, and not that there is no such job."""
    name, *options = verb
    arguments = [name, *options, lost] if name == "rate" else [name, lost, *options]

    ended = await relabel(*arguments, OPENAI_API_KEY="sk-test-0815")

    assert (ended.code, "there is no job" in ended.err) == (code, False), ended
    assert "Traceback" not in ended.err
    assert "lost" in ended.out + ended.err


async def test_a_night_that_was_under_way_is_shown_as_lost_and_can_be_run_again(relabel, ledger):
    """With the reason, and without --again."""
    await Nights(ledger.redis).begin("2026-11-26", asked_by="schedule", overlap="skip")
    detector = LossDetector("w1@worker-a")
    await detector.check(ledger)
    await ledger.redis.flushdb()
    await detector.check(ledger)

    shown = await relabel("nightly", "status")
    facts = json.loads((await relabel("nightly", "status", "--json")).out)

    assert shown.code == 1
    assert "Run of 2026-11-26: lost" in shown.out
    assert "w1@worker-a" in shown.out
    assert re.search(r"^  began 20\S+ \S+ UTC, found lost 20\S+ \S+ UTC$", shown.out, flags=re.MULTILINE)
    assert (facts["last"]["state"], facts["open"]) == ("lost", [])
    night = await Nights(ledger.redis).last()
    assert night is not None
    assert night.state in NOT_RUN
    await Nights(ledger.redis).reopen(night)
    assert [each.date for each in await Nights(ledger.redis).open()] == ["2026-11-26"]
