"""`relabel rate`: the rate is shown and set, live, and the job's log tells who did it."""

from __future__ import annotations

import json

import pytest

from ledger.job import JobState
from ledger.progress import Waits
from ratelimit.limits import Limit, Limits, SharedLimit, limit_key

CSV = "id,team\na,red\nb,blue\n"
KEY = {"OPENAI_API_KEY": "sk-canary-rate"}
LIMIT = limit_key("https://api.openai.com/v1", KEY["OPENAI_API_KEY"], None, None)


async def test_the_shared_rate_is_shown_as_configured(relabel):
    """Nothing was set live, nothing slows it down."""
    told = await relabel("rate", RELABEL_RATE__PER_MINUTE="1200", **KEY)
    facts = json.loads((await relabel("rate", "--json", RELABEL_RATE__PER_MINUTE="1200", **KEY)).out)

    assert told.out.splitlines() == [
        "Configured  1,200/min, burst 2",
        "Set live    no",
        "In force    1,200/min",
        "Used        0/min over the last seconds",
    ]
    assert (facts["configured_per_minute"], facts["live_per_minute"], facts["in_force_per_minute"]) == (
        1200,
        None,
        1200,
    )
    assert (facts["slowed_by"], facts["paused_s"], facts["paused_until"], facts["paused_by"]) == ("", 0, None, "")


async def test_a_rate_that_no_decimal_fraction_a_second_equals_is_shown_as_it_was_set(relabel):
    """200 a minute are 3.333... a second."""
    told = await relabel("rate", "200/m", **KEY)

    assert told.out.splitlines()[1:3] == [
        "Set live    200/min, burst 1; `relabel rate --reset` takes it back",
        "In force    200/min",
    ]


async def test_workers_with_different_rates_are_shown_with_the_one_in_force(relabel, ledger):
    """It is the lowest, whatever this command's own settings say."""
    for rate in (10.0, 100.0):
        await Limits(ledger.redis).acquire(0, SharedLimit(LIMIT, Limit(rate, 1)), alive=True)

    told = await relabel("rate", RELABEL_RATE__PER_MINUTE="6000", **KEY)
    facts = json.loads((await relabel("rate", "--json", RELABEL_RATE__PER_MINUTE="6000", **KEY)).out)

    assert "set to different rates: 600/min, 6,000/min; the lowest holds for all" in told.out
    assert "In force    600/min" in told.out
    assert (facts["worker_rates_per_minute"], facts["in_force_per_minute"]) == ([600, 6000], 600)


async def test_no_word_is_broken_at_80_columns(terminal, ledger):
    """Neither in what is shown nor in an error."""
    for rate in (10.0, 100.0):
        await Limits(ledger.redis).acquire(0, SharedLimit(LIMIT, Limit(rate, 1)), alive=True)

    shown = terminal("rate", COLUMNS="80", RELABEL_RATE__PER_MINUTE="6000", **KEY)
    refused = terminal("jobs", "--state", "paused,running", COLUMNS="80")

    assert "the lowest holds for\r\n            all. Set RELABEL_RATE__PER_MINUTE alike.\r\n" in shown.said
    assert "'submitting'," in refused.said
    assert max(len(line) for each in (shown, refused) for line in each.said.splitlines()) <= 80


async def test_a_rate_that_is_set_holds_for_workers_until_it_is_reset(relabel, ledger):
    """In the units that people use; the burst comes along or is given."""
    shared = SharedLimit(LIMIT, Limit(10.0, 1))
    told = await relabel("rate", "3/s", "--burst", "4", **KEY)
    assert "Set live    180/min, burst 4; `relabel rate --reset` takes it back" in told.out
    assert (await Limits(ledger.redis).acquire(0, shared)).status.rate == 3

    await relabel("rate", "--burst", "2", **KEY)
    assert json.loads((await relabel("rate", "--json", **KEY)).out)["live_burst"] == 2

    told = await relabel("rate", "--reset", **KEY)
    assert "Set live    no\nIn force    600/min\n" in told.out
    assert (await Limits(ledger.redis).acquire(0, shared)).status.rate == 10


async def test_the_rate_of_a_project_or_a_name_needs_no_key(relabel, ledger):
    """Whoever rotates the key or has none at hand sets the rate that the workers use all the same."""
    for named, key in [
        ({"OPENAI_PROJECT_ID": "proj"}, limit_key("https://api.openai.com/v1", "sk-any", None, "proj")),
        ({"RELABEL_RATE__NAME": "n"}, limit_key("https://api.openai.com/v1", "sk-any", None, None, "n")),
    ]:
        assert (await relabel("rate", "3/s", **named)).code == 0
        assert (await Limits(ledger.redis).acquire(0, SharedLimit(key, Limit(10.0, 1)))).status.rate == 3


async def test_what_slows_the_rate_down_and_what_pauses_it_is_said(relabel, ledger):
    """The rate in force after a 429, what was used, and how long all wait."""
    limits = Limits(ledger.redis)
    await limits.acquire(10, SharedLimit(LIMIT, Limit(1000.0, 100)))
    await limits.pause(LIMIT, 600.0)

    told = await relabel("rate", RELABEL_RATE__PER_MINUTE="60000", **KEY)
    facts = json.loads((await relabel("rate", "--json", RELABEL_RATE__PER_MINUTE="60000", **KEY)).out)

    assert "In force    3,990/min, slowed down by 429s\n" in told.out  # a new limit was tried at 12,000/min
    assert "Pause       paused by a 429 for " in told.out
    assert facts["used_per_minute"] <= 120
    assert (facts["slowed_by"], facts["paused_by"]) == ("429", "rate_limited")
    assert 0 < facts["paused_until"] - await ledger.jobs.now() < 600


async def test_what_a_selection_may_have_beside_a_job_is_shown(relabel, ledger):
    """A tenth of the rate in force, and how much it uses."""
    limits, shared = Limits(ledger.redis), SharedLimit(LIMIT, Limit(20.0, 2))
    await limits.acquire(1, shared, job_id="job")
    await limits.acquire(1, shared, background=True)

    told = await relabel("rate", RELABEL_RATE__PER_MINUTE="1200", **KEY)
    facts = json.loads((await relabel("rate", "--json", RELABEL_RATE__PER_MINUTE="1200", **KEY)).out)

    assert "of it; at most 120/min while a job runs\n" in told.out
    assert facts["background_per_minute"] == 120
    assert 0 < facts["background_used_per_minute"] <= 12


async def test_a_change_of_the_shared_rate_is_in_the_log_of_the_jobs_it_concerns(relabel, make_job, ledger):
    """Those under way on the same endpoint, and no others."""
    job, ended = await make_job(CSV), await make_job(CSV, name="ended.csv")
    await ledger.jobs.move(ended.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))
    await ledger.jobs.retire(ended.job_id)

    await relabel("rate", "90", **KEY)
    await relabel("rate", **KEY)
    await relabel("rate", "--reset", **KEY)

    lines = [(line.verb, line.why) for line in await ledger.audit.read(job.job_id)]
    assert lines == [("rate", "shared rate 90/min, burst 1"), ("rate", "shared rate reset to the settings")]
    assert "rate" not in [line.verb for line in await ledger.audit.read(ended.job_id)]
    assert "shared rate 90/min" in (await relabel("log", job.job_id)).out


async def test_a_job_gets_loses_and_shows_a_rate_of_its_own(relabel, make_job, ledger):
    """No key is needed for that; the log tells who did it."""
    job = await make_job(CSV)

    told = await relabel("rate", "90/m", "--job", job.job_id)
    facts = json.loads((await relabel("rate", "--job", job.job_id, "--json")).out)
    status = await relabel("status", job.job_id)
    reset = await relabel("rate", "--reset", "--job", job.job_id)

    assert told.out == f"Job {job.job_id}: at most 90/min, and never above the shared rate.\n"
    assert facts == {"job_id": job.job_id, "rate_per_minute": 90}
    assert "at most 90/min for this job" in status.out
    assert reset.out == f"Job {job.job_id} has no rate of its own; the shared rate counts.\n"
    lines = await ledger.audit.read(job.job_id)
    assert [(line.verb, line.why) for line in lines] == [("rate", "90/min"), ("rate", "reset")]
    assert all("@" in line.who for line in lines)


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["600"], {}, "OPENAI_API_KEY is not set"),
        (["fast"], KEY, "'fast' is not a rate"),
        (["0"], KEY, "'0' is not a rate"),
        (["600", "--reset"], KEY, "either a new rate or --reset"),
        (["--burst", "0"], KEY, "--burst"),
        (["--burst", "3", "--job", "x"], KEY, "belongs to the shared rate"),
        (["--job", "nothing"], {}, "there is no job nothing"),
    ],
)
async def test_wrong_use_is_told(relabel, arguments, settings, says):
    """Exit code 2, nothing changed, nothing on standard output."""
    ended = await relabel("rate", *arguments, **settings)

    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


async def test_the_rate_of_a_job_that_has_ended_cannot_be_set(relabel, make_job, ledger):
    """It would do nothing."""
    job = await make_job(CSV)
    await ledger.jobs.move(job.job_id, JobState.FINISHED, come_from=(JobState.RUNNING,))

    ended = await relabel("rate", "90/m", "--job", job.job_id)

    assert (ended.code, "is finished" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("own", "waits", "words"),
    [
        (
            None,
            Waits(for_rate=3, rate_per_minute=2700, asked_per_minute=30000, slowed_by="429"),
            "waiting for the shared rate, slowed down to 2,700/min by 429s (configured 30,000/min)",
        ),
        (
            None,
            Waits(for_rate=3, rate_per_minute=270, asked_per_minute=600, slowed_by="headers"),
            "waiting for the shared rate, slowed down to 270/min by what the API says is left (configured 600/min)",
        ),
        (
            None,
            Waits(paused_s=60, paused_by="used_up"),
            "the API says that its rate is used up; all rows wait for ",
        ),
        (
            "90",
            Waits(for_rate=3, rate_per_minute=2700, asked_per_minute=30000, slowed_by="429"),
            "waiting for the rate of 90/min",
        ),
        (None, Waits(for_rate=3, rate_per_minute=240, asked_per_minute=240), "waiting for the rate of 240/min"),
    ],
)
async def test_status_tells_which_rate_holds_a_job_back(relabel, make_job, at_work, ledger, own, waits, words):
    """By the words of its workers, who know what is set live and what slowed it down."""
    job = await make_job(CSV)
    if own:
        await ledger.jobs.set_rate(job.job_id, float(own), by="test", why="")

    async with at_work(job, waits):
        ended = await relabel("status", job.job_id)
        facts = json.loads((await relabel("status", job.job_id, "--json")).out)

    assert f"\nWaits      {words}" in ended.out
    assert facts["waits"]["slowed_by"] == waits.slowed_by
