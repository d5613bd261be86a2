"""A ledger whose primary is found by sentinels: `sentinel://user:password@host:26379,host:26379/SERVICE/0`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool

SENTINEL_PORT = 26379
"""Source: sentinel.conf of Redis 7.0."""
ONE_TRY: dict[str, Any] = {"retry": None}
"""For the sentinels: one that does not answer makes way for the next. redis-py would try each for 20 seconds."""


class SentinelAddress(NamedTuple):
    """Where the sentinels are, which service is meant, and how its servers are spoken to.

    `login` and `tls` hold what redis-py's connections take, for the servers; `sentinel_login` for the sentinels.
    """

    hosts: list[tuple[str, int]]
    service: str
    db: int
    login: dict[str, str]
    sentinel_login: dict[str, str]
    tls: dict[str, str] | None


def is_sentinel(url: str) -> bool:
    """Return whether sentinels are asked for the server."""
    return url.startswith(("sentinel://", "sentinels://"))


def parse_sentinel_url(url: str) -> SentinelAddress:
    """Read a URL whose form the settings have checked."""
    # parted by hand: from Python 3.14 on, `urlsplit` refuses a list of hosts with an IPv6 address in it
    scheme, _, rest = url.partition("://")
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    parts = urlsplit(f"{scheme}://{rest[len(netloc) :]}")
    login, _, hosts = netloc.rpartition("@")
    user, _, password = login.partition(":")
    service, _, db = parts.path.strip("/").partition("/")
    options = dict(parse_qsl(parts.query))
    sentinel_password = options.pop("sentinel_password", "")
    return SentinelAddress(
        hosts=[_host(each) for each in hosts.split(",")],
        service=unquote(service),
        db=int(db or 0),
        login=_set(username=unquote(user), password=unquote(password)),
        sentinel_login=_set(password=sentinel_password),
        tls=options if parts.scheme == "sentinels" else None,
    )


def sentinel_client(url: str, **bounds: Any) -> Redis:
    """Return a client that asks the sentinels for the primary at each new connection; the caller closes it."""
    address = parse_sentinel_url(url)
    encryption: dict[str, Any] = {} if address.tls is None else {"ssl": True} | address.tls
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        address.hosts,
        sentinel_kwargs=ONE_TRY | bounds | address.sentinel_login | encryption,
        **bounds | address.login | encryption,
    )
    client: Redis = sentinel.master_for(address.service, redis_class=_Client, db=address.db)
    return client


class _Client(Redis):
    """Closes its connections to the sentinels, too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        if isinstance(self.connection_pool, SentinelConnectionPool):
            await self.connection_pool.sentinel_manager.aclose()


def _host(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or SENTINEL_PORT


def _set(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
