"""The tokens that open the HTTP API: who has one, what it permits and until when. Of a token only its hash is kept."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from typing import NamedTuple

import msgspec
from redis.asyncio import Redis

from config.web import Scope
from ledger.connect import AWAY
from ledger.keys import TOKENS, TOKENS_USED
from ledger.person import by_token
from ledger.scripts import load_script
from ledger.snapshot import as_hash, read_together

PREFIX = "rlb_"
"""What a token begins with, so that scanners of source code recognise one."""
SECRET_BYTES = 32
MOST_TOKENS = 1000
"""Tokens of a ledger; scripts look at all of them."""
USED_EVERY_S = 60.0
"""How often a use of a token is written: a token that is used all the time costs one write a minute."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token. `owner` is the person who acts by it; times are seconds since the epoch."""

    name: str
    owner: str
    scopes: list[Scope]
    created_by: str
    created_at: float
    expires_at: float

    @property
    def acts_as(self) -> str:
        """The name under which what is done by the token stands in a job's log."""
        return by_token(self.owner, self.name)

    def permits(self, scope: Scope) -> bool:
        """Return whether the token permits what needs this scope."""
        return scope is Scope.READ or scope in self.scopes


class KnownToken(NamedTuple):
    """A token and when it was used last, to the minute; None where it never was."""

    token: Token
    used_at: float | None


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a new token is to be."""

    name: str
    owner: str
    scopes: list[Scope]
    created_by: str


class NameTaken(Exception):
    """A token of that name is valid."""


class TooManyTokens(Exception):
    """There are as many tokens as a ledger may have."""


_decode = msgspec.json.Decoder(Token).decode


class Tokens:
    """The tokens of one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._create = load_script(redis, "create_token")
        self._touch = load_script(redis, "touch_token")
        self._revoke = load_script(redis, "revoke_token")

    async def create(self, request: TokenRequest, *, life_s: float) -> tuple[str, Token]:
        """Make a token that is valid for so many seconds; return it, which nobody can ask for again, and its record.

        Raises:
            NameTaken: a token of that name is valid.
            TooManyTokens: the ledger has as many as it may have.

        """
        text = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        made = await self._create(
            [TOKENS, TOKENS_USED],
            [digest_of(text), msgspec.json.encode(request), request.name, life_s, MOST_TOKENS],
        )
        if made == -1:
            raise NameTaken(request.name)
        if made == -2:
            raise TooManyTokens
        return text, _decode(made)

    async def find(self, text: str) -> Token | None:
        """Return the record of a token, and record that it was used; None where it is not valid."""
        return await self.find_digest(digest_of(text)) if text.startswith(PREFIX) else None

    async def find_digest(self, digest: str) -> Token | None:
        """Return the record of a token of which only what Redis keeps of it is known, as `find` does."""
        found = await read_together(self._redis, [(TOKENS, f"HGET {digest}"), (TOKENS_USED, f"HGET {digest}")])
        packed, used_at = found.answers
        token = _read(packed)
        if token is None or token.expires_at <= found.now:
            return None
        if used_at is None or found.now - float(used_at) >= USED_EVERY_S:
            with contextlib.suppress(*AWAY):  # a full or read-only server still lets its readers in
                await self._touch([TOKENS, TOKENS_USED], [digest])
        return token

    async def all(self) -> list[KnownToken]:
        """Return the valid tokens by name."""
        (flat, flat_uses), now = await read_together(self._redis, [(TOKENS, "HGETALL"), (TOKENS_USED, "HGETALL")])
        uses = as_hash(flat_uses)
        found = []
        for digest, packed in as_hash(flat).items():
            token = _read(packed)
            if token is not None and token.expires_at > now:
                used_at = uses.get(digest)
                found.append(KnownToken(token, None if used_at is None else float(used_at)))
        return sorted(found, key=lambda known: known.token.name)

    async def revoke(self, name: str) -> bool:
        """Make the token of that name invalid at once; return whether there was one."""
        return bool(await self._revoke([TOKENS, TOKENS_USED], [name]))


def digest_of(text: str) -> str:
    """Return what is kept of a token. It holds 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read(packed: bytes | None) -> Token | None:
    try:
        return None if packed is None else _decode(packed)
    except msgspec.MsgspecError:  # somebody else wrote it
        return None
