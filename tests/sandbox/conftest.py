"""Clients for a real sandbox; `start` and `completion_id` are those of `tests.harness.worker_harness`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import openai
import pytest

from sandbox import Sandbox


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client that brings a key."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-test"}) as session:
        yield session


@pytest.fixture
async def official() -> AsyncIterator[Callable[..., openai.AsyncOpenAI]]:
    """The official client for a sandbox, retries off so that each error is seen."""
    async with AsyncExitStack() as stack:
        clients = []

        def connect(sandbox: Sandbox, **options: Any) -> openai.AsyncOpenAI:
            given = {"api_key": "sk-test", "max_retries": 0} | options
            clients.append(openai.AsyncOpenAI(base_url=sandbox.base_url, **given))
            return clients[-1]

        yield connect
        for client in clients:
            stack.push_async_callback(client.close)
