"""`relabel nightly`: what people see of runs, and what they may ask for."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ledger.keys import NIGHTLY_SCHEDULE
from ledger.ledger import Ledger
from nightly.state import FileState, Night, NightFile, NightState
from nightly.store import Nights

CRON = {"RELABEL_NIGHTLY__CRON": "30 2 * * *", "RELABEL_NIGHTLY__TIME_ZONE": "Europe/Berlin"}
KEY = {"OPENAI_API_KEY": "sk-test"}


async def test_status_before_the_first_run(relabel: Any, ledger: Ledger) -> None:
    """Nothing is missed, and the next run is named in its time zone."""
    await Nights(ledger.redis).note_beat_alive()
    ended = await relabel("nightly", "status", **CRON)

    assert (ended.code, ended.err) == (0, "")
    first, following = ended.out.splitlines()
    assert first == "No run was made yet."
    assert following.startswith("Next: ")
    assert "02:30 CE" in following
    assert following.endswith("(Europe/Berlin)")


async def test_a_next_run_that_nobody_would_begin_is_warned_of(relabel: Any) -> None:
    """As `health` does."""
    shown = await relabel("nightly", "status", **CRON)
    facts = json.loads((await relabel("nightly", "status", "--json", **CRON)).out)

    assert shown.out.splitlines()[-1].startswith("Warning: beat was never seen, so no run begins by itself; start ")
    assert facts["beat_fault"] == "beat was never seen, so no run begins by itself"


async def test_a_skipped_and_a_missed_night_are_seen_by_the_exit_code(relabel: Any, ledger: Ledger) -> None:
    """With the reason, for people and for programs."""
    await Nights(ledger.redis).begin("2020-11-24", asked_by="schedule", overlap="skip")
    await Nights(ledger.redis).begin("2020-11-25", asked_by="schedule", overlap="skip")
    noted = {"line": "* * * * * UTC", "since": "1"}
    await ledger.redis.hset(NIGHTLY_SCHEDULE, mapping=noted)

    skipped = await relabel("nightly", "status")
    missed = await relabel("nightly", "status", "--json", RELABEL_NIGHTLY__CRON="* * * * *")

    assert skipped.code == 1
    assert skipped.out.startswith("Run of 2020-11-24: running\n  0 files"), "what is in the way is shown first"
    assert "Run of 2020-11-25: skipped\n  the run of 2020-11-24 has not ended\n  at 20" in skipped.out
    assert "Next: no nightly run is scheduled; set RELABEL_NIGHTLY__CRON" in skipped.out
    facts = json.loads(missed.out)
    assert missed.code == 1
    assert facts["missed"] is not None
    assert [night["date"] for night in facts["open"]] == ["2020-11-24"]
    assert (facts["last"]["date"], facts["last"]["state"]) == ("2020-11-25", "skipped")
    assert facts["next"].endswith("Z")


async def test_a_night_that_needs_attention_is_shown_until_its_files_are_decided(relabel: Any, ledger: Ledger) -> None:
    """Also after later runs, with what is held and why; the exit code asks for somebody."""
    nights = Nights(ledger.redis)
    file = NightFile(
        name="a.csv", state=FileState.HELD, size=1, changed_ns=1, taken_at=1.0, job_id="job-1", reason="is it right?"
    )
    await nights.put(Night(date="2020-11-24", state=NightState.NEEDS_ATTENTION, started_at=1.0, ended_at=2.0), [file])
    await nights.begin("2020-11-25", asked_by="schedule", overlap="skip")

    said = await relabel("nightly", "status")
    facts = json.loads((await relabel("nightly", "status", "--json")).out)
    await nights.put_file("2020-11-24", msgspec.structs.replace(file, state=FileState.DONE))
    decided = await relabel("nightly", "status")

    assert (said.code, decided.code) == (1, 0)
    assert said.out.startswith("Run of 2020-11-24: needs attention\n  1 file, 1 job, 0 rejected, 1 held; ")
    assert "\n  a.csv: held\n    is it right?\n" in said.out
    assert [(night["date"], night["state"], night["held"]) for night in facts["open"]] == [
        ("2020-11-24", "needs attention", 1)
    ]


async def test_a_held_file_is_shown_with_what_its_job_waits_for_now(
    relabel: Any, ledger: Ledger, make_job: Any
) -> None:
    """And not with what it waited for when it was submitted: its question may be answered, and something else open."""
    job_id = (await make_job("id,team\nchatcmpl-aaaaaaaaaaaaaaaaaaaaaaaaaaaaa,x\n")).job_id
    file = NightFile(
        name="a.csv", state=FileState.HELD, size=1, changed_ns=1, taken_at=1.0, job_id=job_id, reason="is it right?"
    )
    night = Night(date="2020-11-24", state=NightState.NEEDS_ATTENTION, started_at=1.0, ended_at=2.0)
    await Nights(ledger.redis).put(night, [file])
    await ledger.jobs.pause(job_id, by="ada", code="paused", reason="lunch (ada)")

    paused = await relabel("nightly", "status")
    facts = json.loads((await relabel("nightly", "status", "--json")).out)
    await ledger.jobs.resume(job_id, by="ada")
    resumed = await relabel("nightly", "status")

    assert f"a.csv: held\n    job {job_id}: paused; " in paused.out
    assert "lunch (ada)" in paused.out
    assert f"relabel resume {job_id}" in paused.out
    assert facts["open"][0]["entries"][0]["reason"].startswith("lunch (ada); ")
    assert f"a.csv: held\n    job {job_id}: running; " in resumed.out
    assert "is it right?" not in paused.out + resumed.out


async def test_run_begins_the_run_that_was_due_last_and_no_second_one(relabel: Any, ledger: Ledger) -> None:
    """Unless it is asked for what is new in the inbox."""
    begun = await relabel("nightly", "run", "--json", **CRON, **KEY)

    assert begun.code == 0
    facts = json.loads(begun.out)
    assert (facts["state"], facts["files"]) == ("running", 0)
    assert "@" in facts["asked_by"]
    assert "The run waits, as no worker is alive" in begun.err
    assert await ledger.redis.llen("relabel:celery:relabel.nightly") == 1
    night = await Nights(ledger.redis).get(facts["date"])
    assert night is not None
    ended = type(night)(date=night.date, state=NightState.FINISHED, started_at=1.0, ended_at=2.0)
    await Nights(ledger.redis).put(ended)

    refused = await relabel("nightly", "run", **CRON, **KEY)
    again = await relabel("nightly", "run", "--again", "--json", **CRON, **KEY)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"relabel: the run of {night.date} was made already; --again")
    assert (again.code, json.loads(again.out)["state"]) == (0, "running")


async def test_run_is_refused_while_another_has_not_ended(relabel: Any, ledger: Ledger) -> None:
    """It would else use the date up."""
    await Nights(ledger.redis).begin("2020-01-01", asked_by="schedule", overlap="skip")

    refused = await relabel("nightly", "run", **CRON, **KEY)

    assert refused.code == 2
    assert "the run of 2020-01-01 has not ended" in refused.err
    assert [night.date for night in await Nights(ledger.redis).open()] == ["2020-01-01"]


async def test_next_lists_the_dates_to_come(relabel: Any) -> None:
    """One a line, or as JSON; without a schedule there are none."""
    listed = await relabel("nightly", "next", "-n", "3", **CRON)
    refused = await relabel("nightly", "next")
    facts = json.loads((await relabel("nightly", "next", "-n", "3", "--json", **CRON)).out)

    assert (listed.code, len(listed.out.splitlines()), len(facts)) == (0, 3, 3)
    assert all(each["date"] in line for each, line in zip(facts, listed.out.splitlines(), strict=True))
    assert (refused.code, refused.err.startswith("relabel: no nightly run is scheduled")) == (2, True)
