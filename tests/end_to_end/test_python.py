"""A program without a Redis: the client brings a server and a worker, and ends both without losing a row."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import relabel
from sandbox import Sandbox

IDS = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpg{number:02d}" for number in range(4)]


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """The API, and no settings of the machine."""
    for name in os.environ:
        if name.startswith(("RELABEL_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    async with Sandbox() as sandbox:
        sandbox.store.load({completion_id: {"team": "blue"} for completion_id in IDS})
        yield sandbox


@pytest.mark.promise
async def test_a_job_pauses_when_its_client_is_closed_and_the_next_one_goes_on(api: Sandbox, state_dir: Path) -> None:
    """It is known by what ended it; and where there is no key, nothing is stored."""

    def connect(key: str | None = "sk-test") -> relabel.Client:
        return relabel.connect(openai_api_key=key, openai_base_url=api.base_url, state_dir=state_dir)

    def begin() -> str:
        with connect() as client:
            job = client.submit([(completion_id, {"team": "red"}) for completion_id in IDS], rate=60)
            next(status for status in job.watch() if status.waits.in_flight or status.waits.for_rate)
        return job.job_id

    def go_on(job_id: str) -> tuple[relabel.JobStatus, relabel.JobStatus]:
        with connect() as client:
            job = client.job(job_id)
            paused = job.status()
            job.set_rate(600)
            job.resume()
            return paused, job.wait()

    def without_a_key() -> int:
        with connect(None) as client:
            with pytest.raises(relabel.SettingsError, match="OPENAI_API_KEY"):
                client.submit([(IDS[0], {"team": "green"})])
            return len(client.jobs())

    job_id = await asyncio.to_thread(begin)
    paused, ended = await asyncio.to_thread(go_on, job_id)

    assert (paused.state, paused.reason_code) == ("paused", "interrupted")
    assert "Python client was closed" in (paused.reason or "")
    assert (ended.state, ended.rows.updated) == ("finished", 4)
    assert api.store.dump() == {completion_id: {"team": "red"} for completion_id in IDS}
    assert await asyncio.to_thread(without_a_key) == 1
