"""`relabel probe`: the truth about a service, and a completion that is restored whatever happens."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ledger.claims import Claimant, claim_of
from ledger.keys import claim_key
from ledger.service_profile import Behaviour, Null, Semantics
from relabel.advice import about_rows
from sandbox import Sandbox, SandboxOptions
from tests.harness.program import Program, start_program
from tests.harness.redis_server import PrivateRedis
from tests.harness.wait import wait_until

KEY = "sk-canary-probe"
COMPLETION = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqX"
BEFORE = {"team": "canary blue", "a": "1", "quality": "góod"}
LONGEST_S = 90


class Service:
    """The API's stand-in with one completion, and the settings that lead to it."""

    def __init__(self, sandbox: Sandbox, state: Path) -> None:
        self.sandbox = sandbox
        self.state = state
        self.settings = {
            "OPENAI_BASE_URL": sandbox.base_url,
            "OPENAI_API_KEY": KEY,
            "RELABEL_RATE__PER_MINUTE": "60000",
            "RELABEL_API__TIMEOUT_S": "1",
            "RELABEL_STATE_DIR": str(state),
        }

    @property
    def held(self) -> dict[str, str] | None:
        """What the completion holds."""
        completion = self.sandbox.store.find(COMPLETION)
        return None if completion is None else completion.metadata

    @property
    def copies(self) -> list[Path]:
        """What probes have left on disk."""
        return list(self.state.glob("probe-*.json"))

    def updates(self) -> int:
        """How many updates were asked for."""
        return sum(entry.method == "POST" for entry in self.sandbox.log.entries)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Start a service with the completion."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Service:
            sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(api_key=KEY, **options)))
            sandbox.store.load({COMPLETION: BEFORE})
            return Service(sandbox, tmp_path / "state")

        yield start


@pytest.fixture
async def start_probe(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Any]:
    """Start the command; a test that fails leaves none running."""
    started = []

    async def start(service: Service, **settings: str) -> Program:
        process = await start_program(
            "relabel",
            *("probe", COMPLETION),
            cwd=tmp_path,
            env=environment | service.settings | settings,
            stdout=asyncio.subprocess.DEVNULL,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    ("semantics", "null_map", "words"),
    [
        ("replace", Null.REMOVES, "replaces all metadata: a key that it leaves out is gone"),
        ("merge", Null.IGNORED, "merges: a key that it leaves out stays"),
    ],
)
async def test_what_a_service_does_is_found_out_kept_and_shown(relabel, serve, ledger, semantics, null_map, words):
    """In the ledger stands nothing of the completion, and the completion is as it was."""
    service = await serve(semantics=semantics, visibility_lag_s=0)

    ended = await relabel("probe", COMPLETION, **service.settings)
    found = json.loads((await relabel("config", "--json", **service.settings)).out)["probe"]

    assert (ended.code, service.held, service.copies) == (0, BEFORE, [])
    assert f"An update   {words}\n" in ended.out
    shown = (await relabel("config", **service.settings)).out
    assert f"for all metadata {'removes' if semantics == 'replace' else 'changes nothing'}\n" in shown
    assert (found["semantics"], found["null_value"], found["null_map"]) == (f"{semantics}s", "refused", null_map)
    assert 0 < found["read_s"] < LONGEST_S
    assert 0 < found["visible_after_s"] < LONGEST_S
    kept = [await ledger.redis.dump(key) for key in await ledger.redis.keys()]  # a server of the tests' own
    assert [word for word in (COMPLETION, "canary", KEY) if any(word.encode() in dump for dump in kept)] == []


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ([{"fault": "error_500_after", "times": 1, "after": 2}, {"fault": "reset_after", "times": 1, "after": 1}], 0),
        ([{"fault": "hang_after", "times": 1, "after": 1}, {"fault": "rate_limited", "times": 2, "seconds": 0.2}], 0),
        ([{"fault": "unauthorized", "times": 3, "after": 2}], 1),
        ([{"fault": "ignored", "times": 1, "after": 2}, {"fault": "bad_body_html", "times": 5, "after": 1}], 1),
    ],
    ids=["lost answers", "hangs and 429s", "a key that is refused", "answers that are none"],
)
async def test_the_completion_is_restored_whatever_goes_wrong(relabel, serve, faults, code):
    """Updates fail in the middle: the probe goes on, or breaks off and says so; nothing of it is left."""
    service = await serve()
    service.sandbox.add_faults(rules=[{"match": {"method": "POST"}, **fault} for fault in faults])

    ended = await relabel("probe", COMPLETION, **service.settings)

    assert (ended.code, service.held, service.copies) == (code, BEFORE, [])
    assert ("the probe was broken off" in ended.err) == bool(code)
    assert "Traceback" not in ended.err
    assert "canary" not in ended.err


@pytest.mark.parametrize("redis_dies", [False, True])
async def test_ctrl_c_restores_the_completion_first(start_probe, serve, state_dir, redis_dies):
    """Pressed twice, and where Redis is gone, too."""
    service = await serve(latency_s=0.2)
    with PrivateRedis(state_dir) as redis:
        process = await start_probe(service, RELABEL_REDIS__URL=redis.url)
        await wait_until(lambda: service.held != BEFORE, within=LONGEST_S, what="the completion is changed")
        if redis_dies:
            redis.kill()

        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LONGEST_S):
            _, err = await process.communicate()

    assert (process.returncode, service.held, service.copies) == (130, BEFORE, [])
    assert "it was interrupted. The completion holds what it held before." in err.decode()


async def test_a_probe_that_nobody_listens_to_any_more_restores_the_completion(start_probe, serve):
    """Its terminal is gone: what it says goes nowhere, and it is told to end."""
    service = await serve(latency_s=0.2)
    process = await start_probe(service)
    await wait_until(lambda: service.held != BEFORE, within=LONGEST_S, what="the completion is changed")

    process.stderr._transport.close()
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(LONGEST_S):
        await process.wait()

    assert (service.held, service.copies) == (BEFORE, [])


async def test_a_probe_that_was_killed_is_made_good_by_the_next(relabel, start_probe, serve, ledger):
    """From a copy that only its owner may read; the next one only restores."""
    service = await serve(latency_s=0.2)
    process = await start_probe(service)
    await wait_until(lambda: service.held != BEFORE, within=LONGEST_S, what="the completion is changed")
    process.kill()
    await process.wait()
    (copy,) = service.copies
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert service.held != BEFORE

    await ledger.redis.delete(claim_key(claim_of(service.sandbox.base_url, COMPLETION)))  # as if it had run out

    restored = await relabel("probe", COMPLETION, **service.settings)

    assert (restored.code, service.held, service.copies) == (0, BEFORE, [])
    assert "an earlier probe was killed" in restored.err.lower()


async def test_a_completion_that_cannot_be_restored_is_told_loudly_with_what_it_held(relabel, serve):
    """On standard error and in a file of this machine alone."""
    service = await serve()
    service.sandbox.add_faults(rules=[{"match": {"method": "POST"}, "fault": "unauthorized", "after": 1}])

    ended = await relabel("probe", COMPLETION, **service.settings)

    assert (ended.code, ended.out) == (1, "")
    assert "THE COMPLETION COULD NOT BE RESTORED: Incorrect API key" in ended.err
    assert '"team":"canary blue"' in ended.err
    assert json.loads(service.copies[0].read_bytes())["metadata"] == BEFORE


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "words"),
    [
        (["chatcmpl-nothing"], {}, 2, "not found. Nothing was changed"),
        ([COMPLETION], {"OPENAI_API_KEY": "sk-wrong"}, 4, "Incorrect API key"),
        ([COMPLETION], {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, 4, "the connection to the API failed"),
        ([COMPLETION], {"RELABEL_STATE_DIR": "/dev/null/x"}, 2, "cannot be written"),
    ],
    ids=["no such completion", "a wrong key", "no API", "no place for the copy"],
)
async def test_where_a_probe_cannot_begin_nothing_is_sent_that_changes_anything(
    relabel, serve, arguments, changes, code, words
):
    """One sentence and the exit code that scripts rely on."""
    service = await serve()

    ended = await relabel("probe", *arguments, **service.settings | changes)

    assert (ended.code, service.updates(), service.held) == (code, 0, BEFORE), ended.err
    assert words in ended.err.splitlines()[-1]


async def test_a_completion_without_a_key_or_in_a_jobs_hands_is_left_alone(relabel, serve, ledger):
    """A key that is added might stay for ever; a job's completion is the job's."""
    service = await serve()
    await ledger.claims.swap(Claimant("a worker", 60), take=[claim_of(service.sandbox.base_url, COMPLETION)])
    taken = await relabel("probe", COMPLETION, **service.settings)
    service.sandbox.store.load({"chatcmpl-empty": {}})
    empty = await relabel("probe", "chatcmpl-empty", **service.settings)

    assert (taken.code, empty.code, service.updates()) == (2, 2, 0)
    assert "has no metadata" in empty.err
    assert "a job or another probe is changing this completion just now" in taken.err


def found(semantics: Semantics, null_value: Null) -> Behaviour:
    """What a probe found."""
    times = {"read_s": 0.2, "write_s": 6.0, "visible_after_s": 0.3, "at": 1_763_900_000.0}
    return Behaviour(semantics=semantics, null_value=null_value, null_map=Null.IGNORED, **times)


async def test_the_advice_for_a_kept_key_is_that_of_the_probe(relabel, make_job, fails, ledger):
    """For the endpoint that the job went to."""
    job = await make_job("id,team\na,red\n", {0: fails("key_not_removed", "the service kept team", status=200)})
    before = (await relabel("report", job.job_id, "--summary")).out
    await ledger.behaviours.keep(job.target, found(Semantics.MERGES, Null.REFUSED))

    after = (await relabel("report", job.job_id, "--summary")).out

    assert "The service keeps keys once they are set." in before
    assert "By the probe of 2025-11-23, this service merges, so a key that is left out stays. Set the key to" in after


@pytest.mark.parametrize(
    ("semantics", "null_value", "words"),
    [
        (Semantics.MERGES, Null.REMOVES, "removes a key with null, which jobs send since"),
        (Semantics.REPLACES, Null.REFUSED, "removes a key that is left out, so somebody else may set it anew"),
    ],
)
def test_each_finding_has_its_own_advice(semantics, null_value, words):
    """Nobody is told that a service keeps keys which does not."""
    assert words in about_rows("key_not_removed", 200, found(semantics, null_value))
