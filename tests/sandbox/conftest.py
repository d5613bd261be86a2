"""Clients for a real sandbox; `start` and `completion_id` are those of `tests.harness.worker_harness`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from sandbox import Sandbox

if TYPE_CHECKING:
    from openai import AsyncOpenAI


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client that brings a key."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-test"}) as session:
        yield session


@pytest.fixture(scope="session")
def openai() -> ModuleType:
    """The official client's package: loaded for the tests that use it, because that takes a second."""
    return importlib.import_module("openai")


@pytest.fixture
async def official(openai: ModuleType) -> AsyncIterator[Callable[..., AsyncOpenAI]]:
    """The official client for a sandbox, retries off so that each error is seen."""
    async with AsyncExitStack() as stack:
        clients = []

        def connect(sandbox: Sandbox, **options: Any) -> AsyncOpenAI:
            given = {"api_key": "sk-test", "max_retries": 0} | options
            clients.append(openai.AsyncOpenAI(base_url=sandbox.base_url, **given))
            return clients[-1]

        yield connect
        for client in clients:
            stack.push_async_callback(client.close)
