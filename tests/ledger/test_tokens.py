"""Tokens are kept by their hash, are valid until they expire or are revoked, and leave nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from redis.asyncio import Redis

from config.web import Scope
from ledger.keys import TOKENS, TOKENS_USED
from ledger.person import person_of
from ledger.tokens import PREFIX, NameTaken, Token, TokenRequest, Tokens, TooManyTokens

LIFE_S = 600.0


def wanted(name: str = "ci", *scopes: Scope) -> TokenRequest:
    """A token of ada's."""
    return TokenRequest(name=name, owner="ada", scopes=list(scopes or (Scope.READ,)), created_by="root@host")


async def expire(redis: Redis, name: str) -> None:
    """Let the life of a token be over."""
    for digest, packed in (await redis.hgetall(TOKENS)).items():
        record = json.loads(packed)
        if record["name"] == name:
            await redis.hset(TOKENS, digest, json.dumps(record | {"expires_at": 1.0}))


@pytest.fixture
def tokens(redis: Redis) -> Tokens:
    """The tokens of an empty ledger."""
    return Tokens(redis)


async def test_a_token_is_found_by_its_text_and_only_its_hash_is_kept(tokens, redis):
    """256 random bits, with a prefix that scanners of code know."""
    text, made = await tokens.create(wanted("ci", Scope.READ, Scope.SUBMIT), life_s=LIFE_S)

    assert text.startswith(PREFIX)
    assert len(text) == len(PREFIX) + 43
    assert await tokens.find(text) == made
    assert made.expires_at - made.created_at == pytest.approx(LIFE_S, abs=0.01)
    kept = b"".join([*(await redis.hgetall(TOKENS)), *(await redis.hgetall(TOKENS)).values()])
    assert text.removeprefix(PREFIX).encode() not in kept
    assert hashlib.sha256(text.encode()).hexdigest().encode() in kept


async def test_another_text_finds_nothing(tokens):
    """Not one that differs in its last character, nor the name, nor the hash."""
    text, _ = await tokens.create(wanted(), life_s=LIFE_S)
    other = "A" if text[-1] != "A" else "B"

    for wrong in (
        text[:-1] + other,
        text[:-1],
        text + " ",
        text.lower(),
        "ci",
        "",
        PREFIX,
        hashlib.sha256(b"").hexdigest(),
    ):
        assert await tokens.find(wrong) is None


async def test_a_name_belongs_to_one_valid_token_however_many_ask_at_once(tokens):
    """It is free again once the token is revoked."""
    made = await asyncio.gather(*(tokens.create(wanted(), life_s=LIFE_S) for _ in range(8)), return_exceptions=True)

    assert sum(isinstance(each, tuple) for each in made) == 1
    assert sum(isinstance(each, NameTaken) for each in made) == 7
    assert await tokens.revoke("ci")
    await tokens.create(wanted(), life_s=LIFE_S)


async def test_a_revoked_token_is_invalid_at_once(tokens, redis):
    """And nothing is left of it."""
    text, _ = await tokens.create(wanted(), life_s=LIFE_S)
    await tokens.find(text)

    assert await tokens.revoke("ci")

    assert await tokens.find(text) is None
    assert not await tokens.revoke("ci")
    assert await redis.exists(TOKENS, TOKENS_USED) == 0


async def test_an_expired_token_is_neither_valid_nor_listed_and_is_forgotten_with_the_next(tokens, redis):
    """Its name is free."""
    text, _ = await tokens.create(wanted(), life_s=LIFE_S)
    await tokens.find(text)
    await expire(redis, "ci")

    assert await tokens.find(text) is None
    assert await tokens.all() == []
    assert not await tokens.revoke("ci")
    await tokens.create(wanted(), life_s=LIFE_S)
    assert await redis.hlen(TOKENS) == 1
    assert await redis.hlen(TOKENS_USED) == 0


async def test_what_is_kept_lives_as_long_as_the_token_that_lives_longest(tokens, redis):
    """Nothing stays for ever."""
    await tokens.create(wanted("long"), life_s=LIFE_S)
    text, _ = await tokens.create(wanted("short"), life_s=10.0)
    await tokens.find(text)

    for key in (TOKENS, TOKENS_USED):
        assert 10 < await redis.ttl(key) <= LIFE_S


async def test_a_use_is_written_once_a_minute(tokens, redis):
    """However often the token is used."""
    text, _ = await tokens.create(wanted(), life_s=LIFE_S)
    [known] = await tokens.all()
    assert known.used_at is None

    await tokens.find(text)
    [first] = await redis.hvals(TOKENS_USED)
    await tokens.find(text)
    assert await redis.hvals(TOKENS_USED) == [first]
    await redis.hset(TOKENS_USED, next(iter(await redis.hkeys(TOKENS_USED))), str(float(first) - 61))
    await tokens.find(text)

    [known] = await tokens.all()
    assert known.used_at is not None
    assert known.used_at >= float(first)


async def test_a_token_lets_its_owner_in_while_redis_is_at_its_memory_limit(tokens, redis):
    """Reading is what helps then."""
    text, made = await tokens.create(wanted(), life_s=LIFE_S)
    await redis.config_set("maxmemory", "1")
    try:
        assert await tokens.find(text) == made
        assert await tokens.revoke("ci")
    finally:
        await redis.config_set("maxmemory", "0")


async def test_there_is_a_most_of_tokens(tokens, redis):
    """Each of them is looked at by the scripts; what somebody else wrote there opens nothing and goes."""
    await redis.hset(TOKENS, mapping={"odd": "no JSON", "other": "[]", **{
        str(number): json.dumps({"name": str(number), "expires_at": 1e10}) for number in range(1000)
    }})  # fmt: skip

    with pytest.raises(TooManyTokens):
        await tokens.create(wanted(), life_s=LIFE_S)
    assert await redis.hlen(TOKENS) == 1000
    assert await tokens.all() == []


@pytest.mark.parametrize("scope", Scope)
def test_each_scope_permits_itself_and_reading(scope):
    """And nothing else; `admin` is no key to everything."""
    token = Token(name="t", owner="ada", scopes=[scope], created_by="", created_at=0, expires_at=0)

    assert {each for each in Scope if token.permits(each)} == {scope, Scope.READ}


def test_the_person_is_known_from_the_name_in_a_log():
    """Two tokens of one person are one person."""
    one, other = (
        Token(name=name, owner="ada@x", scopes=[], created_by="", created_at=0, expires_at=0) for name in "ab"
    )

    assert one.acts_as != other.acts_as
    assert person_of(one.acts_as) == person_of(other.acts_as) == person_of("ada@x") == "ada@x"
