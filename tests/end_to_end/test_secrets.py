"""Nothing that a run leaves behind holds the key; logs and messages hold neither ids nor metadata."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.end_to_end.cli_process import CliProcess
from tests.end_to_end.conftest import StartServer
from tests.end_to_end.expectation import new_ids
from tests.end_to_end.independent_server import IndependentServer
from tests.harness.wait import wait_until

KEY = "canary.Key/5d0c+word"
"""Unlike a real key, so that nothing is saved by its look."""
VALUE, OLD_VALUE = "canary value 81f3", "canary before 20c7"
ROWS = 160
BROKER = b"relabel:celery:"
SLOWLY = {"RELABEL_WORKER__IN_FLIGHT": "4", "RELABEL_JOB__SHARD_ROWS": "10", "RELABEL_WORKER__CHILDREN": "2"}


@pytest.mark.promise
async def test_neither_key_nor_rows_turn_up_where_they_do_not_belong(relabel: CliProcess, serve: StartServer) -> None:
    """A run with errors that quote the key, a killed child and a lockout, down to its command lines and its Redis."""
    ids = new_ids(ROWS)
    server = await serve({name: {"before": OLD_VALUE} for name in ids}, key=KEY, latency_s=0.03)
    server.said = f"Bad key {KEY} for {ids[0]} with {VALUE}"
    server.refused = set(ids[3:6])
    rows = "id,note\n" + "".join(f"{name},{VALUE}\n" for name in ids) + f"{ids[0]},{'x' * 513}\n"
    running = await relabel.start("run", relabel.file("rows.csv", rows), "--json", RELABEL_LOG_LEVEL="DEBUG", **SLOWLY)
    job_id = await running.job_id()
    await wait_until(lambda: server.asked("POST") > 20, within=60, what="some rows are written")

    commands = [process.cmdline() for process in relabel.processes()]
    relabel.worker().children()[0].kill()
    dumped = dict(dump(relabel.state))
    await wait_until(lambda: server.asked("POST") > 60, within=60, what="the rows go on")
    lock_out(server)
    ended = await running.ended()

    assert ended.code == 3
    server.locked_out = None
    said = [ended, await relabel("run", "--resume", job_id, OPENAI_API_KEY="canary.other.Key/77")]
    assert said[-1].code == 4
    resumed = await relabel("run", "--resume", job_id, "--json", RELABEL_LOG_LEVEL="DEBUG")
    assert (resumed.code, resumed.facts["rows"]["pending"], resumed.facts["rows"]["failed"]) == (1, 0, 3)
    verbs = (["config"], ["status", job_id], ["log", job_id], ["report", job_id])
    said += [resumed, *[await relabel(*verb) for verb in verbs]]

    everything = [one.said.encode() for one in said] + [" ".join(command).encode() for command in commands]
    everything += [content for _, content in relabel.left_behind()] + list(dumped.values())
    for held in everything:
        assert KEY.encode() not in held
        assert b"canary.other" not in held
    messages = [value for name, value in dumped.items() if name.startswith(BROKER)]
    assert any(job_id.encode() in message for message in messages), dumped.keys()
    logs = [content for name, content in relabel.left_behind() if name.endswith(".log")]
    assert len(logs) >= 2
    for held in [*logs, *messages, *dumped, *[" ".join(command).encode() for command in commands]]:
        for private in (VALUE, OLD_VALUE, *ids):
            assert private.encode() not in held
    assert "Traceback" not in ended.err + resumed.err
    assert server.completions == {
        name: {"before": OLD_VALUE} | ({} if name in server.refused else {"note": VALUE}) for name in ids
    }


def lock_out(server: IndependentServer) -> None:
    """Refuse every request from now on, and quote the key in doing so."""
    error = {"message": f"Key {KEY} was revoked", "type": "invalid_request_error", "code": "invalid_api_key"}
    server.locked_out = {"error": error}


def dump(state: Path) -> Iterator[tuple[bytes, bytes]]:
    """Every key in Redis with all that it holds, unpacked where it is packed."""
    with Redis(unix_socket_path=str(state / "relabel" / "redis" / "redis.sock")) as redis:
        for key in redis.scan_iter():
            yield key, b"\n".join(unpacked(value) for value in held_by(redis, key))


def held_by(redis: Redis, key: bytes) -> Iterator[bytes]:
    """All that a key holds."""
    reads: dict[bytes, Any] = {
        b"string": lambda: [redis.get(key)],
        b"list": lambda: redis.lrange(key, 0, -1),
        b"set": lambda: redis.smembers(key),
        b"hash": lambda: [part for pair in redis.hgetall(key).items() for part in pair],
        b"zset": lambda: redis.zrange(key, 0, -1),
        b"none": list,
    }
    for value in reads[redis.type(key)]():
        yield value or b""


def unpacked(value: bytes) -> bytes:
    """A value as it is, and what it holds where it is compressed from some place on."""
    found = [value]
    for start in range(min(len(value), 8)):
        with suppress(zlib.error):
            found.append(zlib.decompressobj().decompress(value[start:]))
    return b"\n".join(found)
