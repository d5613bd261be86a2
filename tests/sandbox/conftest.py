"""A real sandbox on a free loopback port, and clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import openai
import pytest

from sandbox import Sandbox, SandboxOptions

COMPLETION = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqX"


@pytest.fixture
def completion_id() -> str:
    """An id of the recorded form."""
    return COMPLETION


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Sandbox]]]:
    """Start a sandbox with some options; one completion is stored in it."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Sandbox:
            sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(**options)))
            sandbox.store.load({COMPLETION: {"team": "blue"}})
            return sandbox

        yield start


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
