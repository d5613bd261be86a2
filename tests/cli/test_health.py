"""`relabel health`: what is wrong is found, and told with what to do."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack

import msgspec
import pytest

from config.schedule import Schedule
from config.shared import NIGHTLY
from ledger.connect import open_ledger
from ledger.keys import NIGHTLY_SCHEDULE
from ledger.server_info import clock_ahead_s
from ledger.workers import Aside, WorkerFacts
from nightly.state import FileState, NightFile, NightState
from nightly.store import Nights
from ratelimit.breaker import CircuitBreaker, health_key
from ratelimit.limits import Limit, Limits, SharedLimit
from ratelimit.shared_rate import record_use
from relabel.check_result import Verdict
from relabel.health import judge_clock
from sandbox import Sandbox, SandboxOptions
from tests.harness.redis_server import PrivateRedis

KEY = "sk-canary-health"
ROW = "completion_id,team\nchatcmpl-a1,blue\n"


@pytest.fixture
async def api() -> AsyncIterator[Callable[..., Awaitable[dict[str, str]]]]:
    """Start the API's stand-in, and give the settings that lead to it."""
    async with AsyncExitStack() as stack:

        async def start(**faults: float) -> dict[str, str]:
            options = SandboxOptions(api_key=KEY, fault_rates=faults)
            sandbox = await stack.enter_async_context(Sandbox(options))
            return {"OPENAI_BASE_URL": sandbox.base_url, "OPENAI_API_KEY": KEY}

        yield start


@pytest.fixture
def private(state_dir):
    """A server of the test's own, which it may break; killed at the end whatever became of it."""
    with ExitStack() as stack:
        redis = stack.enter_context(PrivateRedis(state_dir))
        stack.callback(redis.kill)
        yield redis


def verdicts(ended) -> dict[str, str]:
    """Each check and the worst of its verdicts, which is the first."""
    found: dict[str, str] = {}
    for verdict, name in re.findall(r"^(ok|warn|fail) +(\S+)", ended.out, flags=re.MULTILINE):
        found.setdefault(name, verdict)
    return found


async def test_a_deployment_that_is_well_is_exit_code_0(relabel, api, ledger):
    """Each check says so in one line, and none of them shows the key."""
    await ledger.workers.beat("celery@elsewhere", 4)

    ended = await relabel("health", **await api())
    facts = json.loads((await relabel("health", "--json", **await api())).out)

    assert (ended.code, set(verdicts(ended).values())) == (0, {"ok"})
    assert ",".join(verdicts(ended)) == "ledger,jobs,broker,workers,clock,archive,nightly,notify,rate,api,key"
    assert "ok    workers      1 alive, with 4 children" in ended.out
    assert [(fact["check"], fact["verdict"], fact["more"]) for fact in facts] == [
        (c, "ok", []) for c in verdicts(ended)
    ]
    assert KEY not in ended.out + ended.err


async def test_what_an_answer_tells_to_be_wrong_is_exit_code_1(relabel, api):
    """No worker, and a key that is refused, with the server's words and without the key."""
    ended = await relabel("health", **await api() | {"OPENAI_API_KEY": "sk-wrong-0815"})

    assert ended.code == 1
    found = verdicts(ended)
    assert {name for name, verdict in found.items() if verdict == "fail"} == {"workers", "key"}
    assert "no worker is alive\n" in ended.out
    assert "-> start one with `celery -A tasks.app worker" in ended.out
    assert "Incorrect API key provided" in ended.out
    assert "0815" not in ended.out


async def test_a_worker_of_this_machine_is_told_from_others(relabel, ledger):
    """As the health check of a worker's container needs it; a key or an API are not asked for."""
    only = ("health", "--only", "ledger,broker,worker-here")
    await ledger.workers.beat("celery@elsewhere", 4)
    others = await relabel(*only, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    await ledger.workers.beat(f"w1@{socket.gethostname()}", 2)
    own = await relabel(*only)

    assert (others.code, verdicts(others)) == (1, {"ledger": "ok", "broker": "ok", "worker-here": "fail"})
    assert (own.code, verdicts(own)["worker-here"]) == (0, "ok")

    await ledger.workers.beat("celery@elsewhere", 4, WorkerFacts(aside=Aside.KEY_REFUSED))
    refused = await relabel("health", "--only", "workers")
    assert (refused.code, verdicts(refused)) == (0, {"workers": "warn"})
    assert "the API refuses the key of celery@elsewhere, which takes no shards" in refused.out


@pytest.mark.parametrize("how", ["kill", "freeze", "make_read_only"])
async def test_a_redis_that_is_away_is_exit_code_4(relabel, api, private, how):
    """Dead, hung or a replica: told once, within a bound, and the other checks are taken all the same."""
    getattr(private, how)()

    ended = await relabel("health", RELABEL_REDIS__URL=private.url, **await api())

    found = verdicts(ended)
    assert (ended.code, found["ledger"], found["api"], found["key"]) == (4, "fail", "ok", "ok")
    assert "Traceback" not in ended.err
    if how != "make_read_only":
        assert "warn  clock        not known, as Redis does not answer" in ended.out
        assert found["broker"] == "fail"


async def test_settings_of_redis_that_put_jobs_at_risk_are_a_warning(relabel, private):
    """With what to set; a warning alone is exit code 0."""
    private.admin.config_set("maxmemory-policy", "allkeys-lru")

    ended = await relabel("health", "--only", "ledger", RELABEL_REDIS__URL=private.url)

    assert ended.code == 0
    assert "warn  ledger       Redis may drop jobs when memory is short" in ended.out
    assert "set it to noeviction" in ended.out


async def test_an_api_that_is_away_is_exit_code_4_and_says_nothing_of_the_key(relabel):
    """Nobody can know."""
    ended = await relabel("health", "--only", "api,key", OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_API_KEY=KEY)

    assert (ended.code, verdicts(ended)) == (4, {"api": "fail", "key": "warn"})
    assert "look at OPENAI_BASE_URL and the network" in ended.out


@pytest.mark.parametrize(
    ("fault", "words", "then", "key"),
    [
        ("error_500", "The server had an error while processing your request", "status page", "warn"),
        ("html_502", "the API answered 502 without an explanation", "status page", "warn"),
        ("bad_body_html", "the API answered 200, but the body is not a completion object", "status page", "warn"),
        ("quota", "You exceeded your current quota, please check your plan", "add credit", "ok"),
    ],
)
async def test_an_api_that_answers_and_fails_each_request_is_exit_code_1(relabel, api, fault, words, then, key):
    """With the server's words; a status alone proves nothing, as a list may fail where completions do not."""
    ended = await relabel("health", "--only", "api,key", **await api(**{fault: 1.0}))

    assert (ended.code, verdicts(ended)) == (1, {"api": "fail", "key": key})
    assert words in ended.out
    assert then in ended.out


async def test_an_api_that_only_says_429_for_its_rate_is_well(relabel, api):
    """As it does while workers use the rate that they may."""
    ended = await relabel("health", "--only", "api,key", **await api(rate_limited=1.0))

    assert (ended.code, verdicts(ended)) == (0, {"api": "ok", "key": "ok"})


async def test_health_never_contradicts_the_status(relabel, ledger, make_job):
    """A job that a worker paused fails with what its status shows; one that a person paused is named."""
    broken = await make_job(ROW)
    mine = await make_job(ROW)
    why = "the API refuses the key (401): Incorrect API key provided (worker w1@a)"
    await ledger.jobs.pause(broken.job_id, by="w1@a", code="invalid_api_key", reason=why)
    await ledger.jobs.pause(mine.job_id, by="ada@desk", code="paused", reason="ada@desk: look at it first")

    health = await relabel("health", "--only", "jobs")
    facts = json.loads((await relabel("health", "--only", "jobs", "--json")).out)
    status = await relabel("status", broken.job_id)

    assert (health.code, status.code) == (1, 3)
    assert all(why in ended.out for ended in (health, status))
    assert all(
        f"orrect OPENAI_API_KEY, then go on with `relabel resume {broken.job_id}`" in ended.out
        for ended in (health, status)
    )
    (fact,) = facts
    assert (fact["verdict"], broken.job_id in fact["said"]) == ("fail", True)
    assert [(each["verdict"], mine.job_id in each["said"]) for each in fact["more"]] == [("warn", True)]
    assert "look at it first" in health.out


async def test_health_says_what_the_ledger_knows_of_the_api(relabel, ledger):
    """That it fails the workers, and how far their rate is slowed down, also where a look from here is answered."""
    failing, slowed = (SharedLimit(f"relabel:limit:{name}", Limit(10.0, 1)) for name in ("a", "b"))
    for limit in (failing, slowed):
        await record_use(ledger.redis, limit, endpoint=f"https://{limit.key[-1]}.example/v1")
    breaker = CircuitBreaker(ledger.redis, failing.key)
    breaker.record(write=True, succeeded=False)
    await breaker.row_at_fault(write=True)
    now = await ledger.jobs.now()
    await ledger.redis.hset(health_key(failing.key), "write_since", now - 240)
    await Limits(ledger.redis).acquire(10, slowed)
    await Limits(ledger.redis).pause(slowed.key, 600.0)

    ended = await relabel("health", "--only", "rate")

    assert (ended.code, verdicts(ended)) == (1, {"rate": "fail"})
    assert "fail  rate         a.example: the API has failed for 4 minutes" in ended.out
    assert re.search(
        r"warn  rate +b\.example: paused by a 429 for .*; the rate is slowed down to [\d.]+/min", ended.out
    )


async def test_health_names_a_silent_beat_a_missed_night_and_one_with_rejected_files(relabel, ledger):
    """Where a worker says that a nightly run is scheduled, whoever asks."""
    nights, schedule = Nights(ledger.redis), Schedule("30 2 * * *", "UTC")
    facts = WorkerFacts(settings=dict(zip(NIGHTLY, schedule, strict=True)))
    await ledger.workers.beat("w1@a", 2, facts)
    unseen = await relabel("health", "--only", "nightly")
    await nights.note_beat(schedule)
    well = await relabel("health", "--only", "nightly")

    now = await ledger.jobs.now()
    long_ago = {"beat_at": now - 7200, "since": now - 3 * 86_400}
    await ledger.redis.hset(NIGHTLY_SCHEDULE, mapping=long_ago)
    night, _ = await nights.begin("2026-11-20", asked_by="schedule", overlap="skip")
    rejected = NightFile(name="a.csv", state=FileState.REJECTED, size=1, changed_ns=1, taken_at=now)
    await nights.put(msgspec.structs.replace(night, state=NightState.FINISHED, ended_at=now), [rejected])
    ended = await relabel("health", "--only", "nightly")

    assert (unseen.code, verdicts(unseen)) == (0, {"nightly": "warn"})
    assert (well.code, verdicts(well)) == (0, {"nightly": "ok"})
    assert ended.code == 1
    assert "beat is silent for 2 hours" in ended.out
    assert re.search(r"fail  nightly +the run of \d{4}-\d\d-\d\d was missed", ended.out)
    assert "with 1 rejected file of 1" in ended.out


async def test_health_names_a_worker_that_is_started_again_and_again(relabel, ledger):
    """As the alert does."""
    for start in "abcd":
        await ledger.workers.beat("w1@a", 2, WorkerFacts(start=start, up_s=2.0))

    ended = await relabel("health", "--only", "workers")

    assert (ended.code, verdicts(ended)) == (1, {"workers": "fail"})
    assert "w1@a was started 4 times within 15 minutes" in ended.out


async def test_a_check_that_is_none_is_wrong_use(relabel):
    """With those there are."""
    ended = await relabel("health", "--only", "ledger,disk")

    assert (ended.code, "unknown check 'disk'; choose from ledger, jobs" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("ahead", "verdict", "words"),
    [
        (0.3, Verdict.OK, "agrees"),
        (-20.0, Verdict.WARN, "20 s behind that of Redis"),
        (600.0, Verdict.FAIL, "600 s ahead of that of Redis"),
    ],
)
async def test_a_clock_is_judged_by_what_it_does_to_celery(redis_url, ahead, verdict, words):
    """Measured against the server's own."""
    async with asyncio.timeout(30), open_ledger(redis_url) as redis:
        seconds, micros = await redis.time()
        real = seconds + micros / 1e6
        measured = await clock_ahead_s(redis, clock=lambda: real + ahead)

    assert abs(measured - ahead) < 10  # the clock that is passed in stands still meanwhile
    look = judge_clock(ahead)
    assert (look.verdict, words in look.message) == (verdict, True)
