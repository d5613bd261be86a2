"""Broken uploads: whatever is cut, altered or wrongly declared is refused as such, and leaves nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies

from config.groups import InputSettings
from config.web import Scope
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest
from tests.harness.compress import zst
from tests.harness.rows import PatchRows
from tests.web.conftest import in_process, settings_of

IDS = PatchRows(5).ids
CSV = ("id,team\n" + "".join(f"{each},t\n" for each in IDS)).encode()
LINES = "".join(json.dumps({"id": each, "metadata": {"team": "t"}}) + "\n" for each in IDS).encode()
ROWS = json.dumps({"rows": [{"id": each, "metadata": {"team": "t"}} for each in IDS]}).encode()
PLAN = json.dumps({"select": {"where": 'metadata.team == "t"', "limit": 3}, "set": {"team": "u"}}).encode()
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="rate"\r\n\r\n600/m\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n' + CSV + b"\r\n--b--\r\n"
)
BOMB = gzip.compress(b"id,team\n" + b"chatcmpl-1,x\n" * 200_000)
WHOLE = [
    ("text/csv", "", CSV),
    ("application/x-ndjson", "", LINES),
    ("application/json", "", ROWS),
    ("application/json", "", PLAN),
    ("multipart/form-data; boundary=b", "", FORM),
    ("text/csv", "gzip", gzip.compress(CSV)),
    ("application/json", "zstd", zst(ROWS)),
    ("application/octet-stream", "", zst(LINES)),
]
"""Uploads as they should be: their type, their encoding and their bytes."""
TYPES = ["multipart/form-data", "multipart/form-data; boundary=", "image/png", "application/gzip", ""]


@strategies.composite
def broken(draw: Any) -> tuple[str, str, bytes]:
    """An upload of which something is wrong: it is cut, altered, repeated, or not what its headers say."""
    kind, encoding, body = draw(strategies.sampled_from(WHOLE))
    start = draw(strategies.integers(0, len(body)))
    end = draw(strategies.integers(start, min(len(body), start + 40)))
    how = draw(strategies.sampled_from(["cut", "altered", "left out", "repeated", "type", "encoding", "bomb"]))
    changed = {
        "cut": body[:start],
        "altered": body[:start] + draw(strategies.binary(max_size=20)) + body[end:],
        "left out": body[:start] + body[end:],
        "repeated": body[:end] + body[start:],
        "bomb": BOMB,
    }
    if how == "type":
        kind = draw(strategies.sampled_from([*TYPES, *(each for each, _, _ in WHOLE)]))
    if how in {"encoding", "bomb"}:
        encoding = draw(strategies.sampled_from(["", "gzip", "zstd", "br", "gzip, zstd"]))
    return kind, encoding, changed.get(how, body)


class Uploads:
    """The application in a loop of its own, to which uploads are sent one by one."""

    def __init__(self, runner: asyncio.Runner, redis_url: str) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        runner.run(self._open(redis_url))

    async def _open(self, redis_url: str) -> None:
        few = settings_of(redis_url, requests_per_minute=1_000_000)
        small = few.model_copy(update={"input": InputSettings(max_gib=0.001)})
        self._client = await self._stack.enter_async_context(in_process(small))
        self._ledger = Ledger(await self._stack.enter_async_context(open_ledger(redis_url)))
        request = TokenRequest(name="fuzz", owner="ada", scopes=[Scope.SUBMIT], created_by="tests")
        self._token, _ = await self._ledger.tokens.create(request, life_s=3600)

    def send(self, path: str, kind: str, encoding: str, body: bytes, **headers: str) -> Any:
        """Send a body under these headers."""
        return self._runner.run(self._send(path, kind, encoding, body, headers))

    async def _send(self, path: str, kind: str, encoding: str, body: bytes, more: dict[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind} | more
        return await self._client.post(
            path, content=body, headers=headers | ({"Content-Encoding": encoding} if encoding else {})
        )

    def states(self) -> set[str]:
        """The states of all jobs there are, but for plans whose list is to be read."""
        jobs = self._runner.run(self._ledger.jobs.latest(10_000))
        return {str(job.state) for job in jobs if job.selection is None}

    def close(self) -> None:
        """End the application."""
        self._runner.run(self._stack.aclose())


@pytest.fixture
def uploads(redis_url: str) -> Iterator[Uploads]:
    with asyncio.Runner() as runner:
        each = Uploads(runner, redis_url)
        yield each
        each.close()


def test_a_broken_upload_is_refused_as_such_and_leaves_nothing(uploads):
    """What can still be understood is a job; all else is a problem with a code, and no job is left half stored."""

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(upload=broken(), path=strategies.sampled_from(["/v1/jobs", "/v1/plans"]))
    @example(("application/json", "", b"[" * 100_000), "/v1/jobs")
    @example(("application/json", "gzip", gzip.compress(b'{"rows": [' + b" " * (40 << 20) + b"]}")), "/v1/jobs")
    @example(("application/octet-stream", "", BOMB), "/v1/jobs")
    @example(("multipart/form-data; boundary=b", "", FORM[:-30]), "/v1/plans")
    @example(("text/csv", "gzip", gzip.compress(CSV)[:-9]), "/v1/jobs")
    @example(("text/csv", "zstd", zst(CSV)[:-5]), "/v1/jobs")
    def check(upload: tuple[str, str, bytes], path: str) -> None:
        answer = uploads.send(path, *upload)
        assert answer.status_code in {200, 201, 413, 415, 422}, (answer.status_code, answer.text)
        if answer.status_code > 201:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"]

    check()
    assert uploads.states() <= {"running", "held", "finished"}


@pytest.mark.parametrize("cut", [4, 7, 30, 80, 200])
def test_a_form_without_its_end_is_no_form(uploads, cut):
    """A file or an option that came last may be missing: nothing is made of what is there."""
    other = b'--b\r\nContent-Disposition: form-data; name="mode"\r\n\r\nreplace\r\n--b--\r\n'
    whole = FORM.removesuffix(b"--b--\r\n") + other
    assert uploads.send("/v1/jobs", "multipart/form-data; boundary=b", "", whole).json()["mode"] == "replace"

    answer = uploads.send("/v1/jobs", "multipart/form-data; boundary=b", "", whole[:-cut])

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("length", ["0", "5", "999999", "-1", "x", "1" * 30])
def test_a_body_of_another_length_than_it_says_is_no_fault_of_ours(uploads, length):
    """The server in front of the application refuses most of them; what is left is taken by what really comes."""
    answer = uploads.send("/v1/jobs", "text/csv", "", CSV, **{"Content-Length": length})

    assert answer.status_code in {200, 201, 413}, answer.text
    assert uploads.states() <= {"running"}
