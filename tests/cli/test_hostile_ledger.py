"""What stands in Redis may come from anybody who can write there: nothing of it acts on a terminal."""

from __future__ import annotations

import json

import msgspec
import pytest

from ledger.audit import AuditLine
from ledger.codec import Detail, pack_detail
from ledger.keys import NIGHTS, WORKERS, JobKeys, night_key
from ledger.row import Outcome
from nightly.state import FileState, Night, NightFile, NightState
from tests.hostile_text import EVERYTHING, HOSTILE, KEY, left_in

TEXT = EVERYTHING.replace(HOSTILE["bytes"], "")
"""As Redis can hold it in the places that are read as UTF-8."""
ENVIRONMENT = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "RELABEL_API__ATTEMPTS": "1"}


@pytest.fixture
async def job_id(ledger, make_job, fails):
    """A paused job, with hostile text wherever text is held, as release one or an intruder may have left it."""
    job = await make_job("id,k\nc1,1\nc2,1\nc3,1\n", {0: fails("bad", status=400), 1: Outcome.UPDATED})
    keys, redis = JobKeys(job.job_id), ledger.redis
    spec = msgspec.structs.replace(job, name=TEXT, target=TEXT, parent=None)
    fields = {"spec": msgspec.json.encode(spec), "state": "paused", "reason": TEXT, "reason_code": HOSTILE["title"]}
    await redis.hset(keys.job, mapping=fields)
    await redis.hset(keys.details, "0", pack_detail(Detail(TEXT[:60], 400, TEXT, TEXT, 1, 1.0)))
    await redis.rpush(keys.audit, msgspec.json.encode(AuditLine(1.0, TEXT, HOSTILE["clear"], TEXT)))
    facts = Night(
        date="2026-11-25", state=NightState.FINISHED, started_at=1.0, ended_at=2.0, reason=TEXT, asked_by=TEXT
    )
    file = NightFile(name=TEXT, state=FileState.REJECTED, size=1, changed_ns=1, taken_at=1.0, reason=TEXT)
    await redis.hset(
        night_key("2026-11-25"), mapping={"night": msgspec.json.encode(facts), "file:x": msgspec.json.encode(file)}
    )
    await redis.zadd(NIGHTS, {"2026-11-25": 1.0})
    await redis.zadd(WORKERS, {f"{HOSTILE['colour']}@{HOSTILE['title']}|2": (await redis.time())[0]})
    return job.job_id


async def test_no_verb_shows_what_a_terminal_would_act_on(job_id, relabel):
    """In names, reasons, errors, the log, nights and metrics; the key is cut out of all of it."""
    said = {}
    for verb in (
        ("status", job_id),
        ("watch", job_id),
        ("jobs",),
        ("log", job_id),
        ("history", "c2"),
        ("report", job_id, "--summary"),
        ("report", job_id, "--format", "jsonl"),
        ("retry", job_id, "--run"),
        ("nightly", "status"),
        ("metrics", "--once"),
        ("health", "--only", "ledger,jobs,workers,worker-here,archive,nightly,notify,rate"),
    ):
        ended = await relabel(*verb, **ENVIRONMENT)
        said[verb] = ended.out + ended.err

    assert {verb: left for verb, each in said.items() if (left := left_in(each))} == {}
    assert [verb for verb, each in said.items() if "Traceback" in each] == []


async def test_json_says_exactly_what_is_there_in_ascii(job_id, relabel):
    """Programs get the value as it is; a terminal that shows it acts on nothing."""
    ended = await relabel("status", job_id, "--json", OPENAI_API_KEY=KEY)

    assert json.loads(ended.out)["name"] == TEXT
    assert ended.out.isascii()
    assert ended.out.replace("\n", "").isprintable()
