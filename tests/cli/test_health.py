"""`relabel health`: what is wrong is found, and told with what to do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack

import pytest

from ledger.connect import open_ledger
from ledger.server_info import clock_ahead_s
from ledger.workers import Aside, WorkerFacts
from relabel.check_result import Verdict
from relabel.health import judge_clock
from sandbox import Sandbox, SandboxOptions
from tests.harness.redis_server import PrivateRedis

KEY = "sk-canary-health"


@pytest.fixture
async def api() -> AsyncIterator[Callable[..., Awaitable[dict[str, str]]]]:
    """Start the API's stand-in, and give the settings that lead to it."""
    async with AsyncExitStack() as stack:

        async def start() -> dict[str, str]:
            sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(api_key=KEY)))
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
    """Each check and its verdict."""
    return {line.split()[1]: line.split()[0] for line in ended.out.splitlines()}


async def test_a_deployment_that_is_well_is_exit_code_0(relabel, api, ledger):
    """Each check says so in one line, and none of them shows the key."""
    await ledger.workers.beat("celery@elsewhere", 4)

    ended = await relabel("health", **await api())
    facts = json.loads((await relabel("health", "--json", **await api())).out)

    assert (ended.code, set(verdicts(ended).values())) == (0, {"ok"})
    assert list(verdicts(ended)) == ["ledger", "jobs", "broker", "workers", "clock", "archive", "api", "key"]
    assert "ok    workers      1 alive, with 4 children" in ended.out
    assert [fact["verdict"] for fact in facts] == ["ok"] * 8
    assert KEY not in ended.out + ended.err


async def test_what_an_answer_tells_to_be_wrong_is_exit_code_1(relabel, api):
    """No worker, and a key that is refused, with the server's words and without the key."""
    ended = await relabel("health", **await api() | {"OPENAI_API_KEY": "sk-wrong-0815"})

    assert ended.code == 1
    found = verdicts(ended)
    assert {name for name, verdict in found.items() if verdict == "fail"} == {"workers", "key"}
    assert "no worker is alive; start one with `celery -A tasks.app worker" in ended.out
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
