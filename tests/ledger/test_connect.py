"""What is wrong with the server is said in one sentence, and what passes is told from what does not."""

from __future__ import annotations

import asyncio

import pytest
import redis
from redis.asyncio import Redis

from ledger.cancellation import end_tasks
from ledger.connect import AWAY, NoConnectionFree, describe, new_client, open_ledger, persistence_warnings
from ledger.errors import LedgerUnreachable
from tests.harness.wait import wait_until


async def error_of(client: Redis) -> Exception:
    """What a write meets."""
    with pytest.raises(AWAY) as caught:
        await client.set("key", "value")
    return caught.value


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("maxmemory", "1", "out of memory"), ("min-replicas-to-write", "1", "Not enough good replicas")],
)
async def test_a_server_that_takes_no_writes_is_away_for_a_while(private_redis, setting, value, words):
    """Full, or without its replicas: it passes, and the sentence tells which."""
    client = new_client(private_redis.ledger_url)
    await client.config_set(setting, value)

    assert words in describe(await error_of(client))
    await client.aclose()


async def test_a_read_only_server_is_away_for_a_while(private_redis):
    """During a failover the primary changes."""
    client = new_client(private_redis.ledger_url)
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")

    assert "read-only replica" in describe(await error_of(client))
    await client.aclose()


async def test_a_server_that_is_not_there_is_told_in_one_sentence():
    """With what to check; the address is not repeated, as it may hold a password."""
    with pytest.raises(LedgerUnreachable, match="cannot be reached") as caught:
        async with open_ledger("redis://user:canary@127.0.0.1:1/0"):
            raise AssertionError("nobody is there")

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("password", ["", ":wrong@"])
async def test_a_missing_or_wrong_password_is_told(private_redis, password):
    """Not as if the server were away."""
    client = new_client(private_redis.ledger_url)
    await client.config_set("requirepass", "secret")
    await client.aclose()

    with pytest.raises(LedgerUnreachable, match="user or password"):
        async with open_ledger(private_redis.ledger_url.replace("unix://", f"unix://{password}")):
            raise AssertionError("the password is another")


async def test_a_server_that_loses_jobs_is_warned_of(private_redis):
    """Eviction, or nothing on disk; the embedded server has neither fault."""
    client = new_client(private_redis.ledger_url)
    assert await persistence_warnings(client) == []

    await client.config_set("maxmemory-policy", "allkeys-lru")
    await client.config_set("appendonly", "no")

    eviction, forgetting = await persistence_warnings(client)
    assert "noeviction" in eviction
    assert "appendonly" in forgetting
    await client.aclose()


async def test_a_client_without_a_free_connection_does_not_blame_the_server(redis_url):
    """Others of the same process use them all; the server is there."""
    client = new_client(redis_url, most=1, free_within_s=0.01)
    holder = asyncio.create_task(client.blpop("nothing", timeout=60))
    try:
        await wait_until(lambda: not client.connection_pool.can_get_connection(), within=30, what="it is in use")
        with pytest.raises(NoConnectionFree):
            await client.get("key")
    finally:
        await end_tasks([holder])
        await client.aclose()


async def test_a_connection_says_which_library_it_is_of(redis_url):
    """Operators find it in CLIENT LIST."""
    async with open_ledger(redis_url) as client:
        info = await client.client_info()

    assert (info["lib-name"], info["lib-ver"]) == ("redis-py", redis.__version__)
