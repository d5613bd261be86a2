"""Tokens over HTTP: made once, listed by name, revoked at once."""

from __future__ import annotations

import re

import pytest

from config.web import Scope
from ledger.keys import TOKENS
from ledger.tokens import digest_of

WANTED = {"name": "ci", "scopes": ["submit"], "owner": "eve@example.org", "days": 7}


async def test_a_token_is_made_listed_and_revoked(client, connect):
    """Its text is in one answer only, and opens the door until it is revoked."""
    made = await client.post("/v1/tokens", json=WANTED)
    assert made.status_code == 201
    text = made.json()["token"]
    async with connect(text) as theirs:
        assert (await theirs.get("/v1/jobs")).status_code == 200
        listed = await client.get("/v1/tokens")
        assert text not in listed.text
        assert [(each["name"], each["owner"], each["scopes"]) for each in listed.json()["data"]] == [
            ("all", "ada", ["read", "submit", "control", "approve", "admin"]),
            ("ci", "eve@example.org", ["read", "submit"]),
        ]
        assert listed.json()["data"][1]["created_by"] == "ada (token all)"
        assert (await client.delete("/v1/tokens/ci")).status_code == 204
        assert (await theirs.get("/v1/jobs")).status_code == 401
    assert (await client.delete("/v1/tokens/ci")).status_code == 422


@pytest.mark.parametrize(
    "change",
    [{"name": "all"}, {"name": "a b"}, {"scopes": []}, {"scopes": ["root"]}, {"owner": "eve (token all)"},
     {"owner": ""}, {"days": 0}, {"days": 5000}, {"more": 1}],
)  # fmt: skip
async def test_a_token_that_may_not_be_is_refused(client, change):
    """A name that is taken, an owner who looks like a token, a life that does not end."""
    refused = await client.post("/v1/tokens", json=WANTED | change)

    assert refused.status_code == 422
    assert len((await client.get("/v1/tokens")).json()["data"]) == 1


async def test_tokens_are_listed_page_by_page(client):
    """By name."""
    for number in range(3):
        await client.post("/v1/tokens", json=WANTED | {"name": f"t{number}"})

    first = (await client.get("/v1/tokens", params={"limit": 2})).json()
    rest = (await client.get("/v1/tokens", params={"after": first["last_id"]})).json()

    assert [each["name"] for each in first["data"] + rest["data"]] == ["all", "t0", "t1", "t2"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_a_wrong_token_is_looked_up_like_a_right_one(ledger, new_token):
    """By its hash, with the same command: how long that takes says nothing of how much of a guess is right."""
    token = await new_token(Scope.READ)
    await ledger.tokens.find(token)  # records that it was used, which is done once a minute
    last = "A" if token[-1] != "A" else "B"
    guesses = [token, token[:-1] + last, token[:8] + "x" * (len(token) - 8), "rlb_" + "0" * 43]
    sent = []
    async with ledger.redis.monitor() as monitor:
        for guess in guesses:
            await ledger.tokens.find(guess)
            command = ""
            while not (command.startswith("EVALSHA") and TOKENS in command):  # the connection says hello, too
                command = (await monitor.next_command())["command"]
            sent.append(command.split())

    digests = [re.findall(r"[0-9a-f]{64}", " ".join(command)) for command in sent]
    shapes = {re.sub(r"[0-9a-f]{64}", "*", " ".join(command)) for command in sent}
    assert len(shapes) == 1
    assert [set(each) for each in digests] == [{digest_of(guess)} for guess in guesses]
    assert not any(guess in str(sent) for guess in guesses)
