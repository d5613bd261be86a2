"""The sessions of browsers that are signed in: each stands for a token, and ends with it at once."""

from __future__ import annotations

import hashlib
import secrets

from redis.asyncio import Redis

from ledger.keys import browser_session_key
from ledger.tokens import Token, Tokens, digest_of

LIFE_S = 12 * 3600
"""Life of a session, however much it is used."""
SECRET_BYTES = 32


class BrowserSessions:
    """The sessions of one ledger. Of the secret that a browser has, and of its token, only hashes are kept."""

    def __init__(self, redis: Redis, tokens: Tokens) -> None:
        self._redis = redis
        self._tokens = tokens

    async def begin(self, token: str) -> str:
        """Begin a session for whoever has a valid token; return the secret by which it is found."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self._redis.set(_key(secret), digest_of(token), ex=LIFE_S)
        return secret

    async def find(self, secret: str) -> Token | None:
        """Return the token of a session; None where it has ended, or its token is no longer valid."""
        digest = await self._redis.get(_key(secret))
        return await self._tokens.find_digest(digest.decode()) if isinstance(digest, bytes) else None

    async def end(self, secret: str) -> None:
        """End a session at once."""
        await self._redis.delete(_key(secret))


def _key(secret: str) -> str:
    return browser_session_key(hashlib.sha256(secret.encode()).hexdigest())
