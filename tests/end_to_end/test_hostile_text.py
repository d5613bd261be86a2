"""A server, file names and options that say hostile things: nothing of it reaches the terminal, Redis or its file."""

from __future__ import annotations

import os

import pytest

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids
from tests.end_to_end.test_secrets import dump
from tests.harness.wait import wait_until
from tests.hostile_text import EVERYTHING, HOSTILE, KEY, left_in

TYPED = EVERYTHING.replace("\0", "")
"""What can be typed: no argument of a program holds a NUL."""
BYTES = os.fsencode(HOSTILE["colour"] + HOSTILE["line"] + HOSTILE["c1"] + HOSTILE["bytes"] + "[red]") + b".csv"


@pytest.mark.promise
async def test_nothing_hostile_reaches_the_terminal_or_redis(relabel: CliProcess, serve: StartServer) -> None:
    """A run with a hostile file name, job name and server, and all that is said of it afterwards."""
    ids = new_ids(30)
    server = await serve({name: {} for name in ids}, key=KEY, latency_s=0.02)
    server.said, server.refused = EVERYTHING, set(ids[:3])
    server.request_id_end = "r" * 3000 + KEY + "\x9b31m" + "\u202e"
    rows = "id,note\n" + "".join(f"{name},x\n" for name in ids)
    (relabel.files / os.fsdecode(BYTES)).write_text(rows)

    running = await relabel.start("run", os.fsdecode(BYTES), RELABEL_LOG_LEVEL="DEBUG", RELABEL_JOB__SHARD_ROWS="5")
    job_id = await running.job_id()
    await wait_until(lambda: server.asked("POST") > 5, within=60, what="some rows are written")
    dumped = dict(dump(relabel.state))
    ended = await running.ended()
    named = await relabel("run", os.fsdecode(BYTES), "--again", "--name", TYPED)

    assert (ended.code, named.code) == (1, 1)
    said = [ended.said, named.said]
    seen = (["status", job_id], ["jobs"], ["report", job_id], ["report", job_id, "--summary"], ["log", job_id])
    said += [(await relabel(*verb)).said for verb in seen]
    server.locked_out = {"error": {"message": EVERYTHING, "type": TYPED, "code": HOSTILE["link"]}}
    refused = (["health"], ["run", os.fsdecode(BYTES), "--again"], ["status", TYPED[:90]], ["run", TYPED[:200]])
    said += [(await relabel(*verb)).said for verb in refused]
    wrong = (["run", "--mode", TYPED], ["run", f"--{TYPED}"], [TYPED], ["health", "--only", TYPED])
    said += [(await relabel(*verb)).said for verb in wrong]
    said.append((await relabel("config", OPENAI_BASE_URL=f"https://h/{TYPED}")).said)

    assert [left for each in said if (left := left_in(each.replace("\r\n", "\n")))] == []
    assert not [each for each in said if "Traceback" in each]
    assert any(b"kept" in held or b"req_" in held for held in dumped.values())
    for held in [
        *dumped.values(),
        *(content for name, content in relabel.left_behind() if not name.startswith("files")),
    ]:
        assert KEY.encode() not in held
        assert KEY[:16].encode() not in held
        assert b"r" * 200 not in held
