"""Opens the ledger's server, and explains its errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 - the server's, not the system's
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - the server's, not the system's
)
from redis.sentinel import MasterNotFoundError

from config.text import sanitize
from ledger.errors import LedgerUnreachable
from ledger.sentinel import is_sentinel, sentinel_client

SOCKET_TIMEOUT_S = 5.0
"""Bound of one round trip, so that a dead link cannot hold a worker."""
LOOK_TIMEOUT_S = 2.0
"""The same for readers that would rather know soon that the server is away."""

DRIVER = DriverInfo(lib_version=redis.__version__)
"""What a connection says of itself; redis-py would read the metadata of its package, a millisecond for each one."""

ERROR_CHARS = 120
"""Most that is shown of an error's words, which the server wrote."""

AWAY = (ConnectionError, TimeoutError, ResponseError, OSError)
"""Errors that pass when the server is back, has room again or is a primary again (facts section 1.2, rows s-u).

A refusal counts whatever its name: a full disk (MISCONF) or a missing replica (NOREPLICAS) has no class of its own.
"""


class NoConnectionFree(ConnectionError):
    """All connections of a client that has a bounded number were in use for too long; the server may be there."""


def describe(error: Exception) -> str:
    """Return one sentence on what is wrong with the server and what to do about it."""
    for each in _with_causes(error):
        if sentence := _refusal(each):
            return sentence
    if isinstance(error, OutOfMemoryError):
        return "Redis is out of memory (maxmemory); give it more or remove old data, then try again."
    if isinstance(error, ReadOnlyError):
        return "Redis is a read-only replica; point RELABEL_REDIS__URL at the primary and try again."
    if isinstance(error, ResponseError):
        return f"Redis refuses to work ({sanitize(str(error), ERROR_CHARS)}); fix it and try again."
    if any(isinstance(each, ConnectionResetError) for each in _with_causes(error)):
        # since Python 3.12, asyncio may meet the end of a refused TLS connection before the alert that explains it
        look = "check that the server runs and, where it asks for a client certificate, RELABEL_REDIS__CERT_FILE"
        return f"Redis closed the connection; {look}."
    return f"Redis cannot be reached ({type(error).__name__}); check RELABEL_REDIS__URL and that the server runs."


def _refusal(error: BaseException) -> str:
    """Return the sentence on a refused connection that one error of a chain shows; '' where it shows none."""
    if isinstance(error, AuthenticationError | AuthorizationError):
        return "Redis refuses the user or password in RELABEL_REDIS__URL; correct it and try again."
    if isinstance(error, NoPermissionError):
        said = sanitize(str(error), ERROR_CHARS)
        return f"Redis does not permit what relabel needs ({said}); give its user deploy/redis/users.acl."
    if isinstance(error, MasterNotFoundError):
        return "The sentinels in RELABEL_REDIS__URL name no primary; check them, their password and the service's name."
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return f"The certificate of Redis is refused ({why}); fix it, or name its CA in RELABEL_REDIS__CA_FILE."
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "unknown").lower().replace("_", " ")
        return f"TLS with Redis fails ({why}); check that the server speaks TLS and takes RELABEL_REDIS__CERT_FILE."
    return ""


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    # redis-py wraps what it meets while it connects, with or without naming it as the cause
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@asynccontextmanager
async def open_ledger(url: str, *, retry: bool = True) -> AsyncIterator[Redis]:
    """Connect to the ledger and close the connection at the end; `retry=False` tries nothing twice.

    Raises:
        LedgerUnreachable: the server is away, full, read-only or refuses the password, now or while it is in use.

    """
    redis = new_client(url, retry=retry)
    try:
        with errors_explained():
            await redis.ping()
            yield redis
    finally:
        await redis.aclose()


@contextmanager
def errors_explained() -> Iterator[None]:
    """Raise LedgerUnreachable, with what to do, in place of an error of the server."""
    try:
        yield
    except RedisError as error:
        raise LedgerUnreachable(describe(error)) from error


class _BoundedPool(BlockingConnectionPool):
    """A pool that says of itself, and not of the server, that it has no connection."""

    async def get_connection(self, *_: Any, **__: Any) -> Any:
        """Return a connection. Raises NoConnectionFree where none was free in time."""
        try:
            return await super().get_connection()  # type: ignore[no-untyped-call]
        except ConnectionError as error:
            if isinstance(error.__cause__, asyncio.TimeoutError):
                raise NoConnectionFree(str(error)) from error
            raise


def new_client(
    url: str, *, retry: bool = True, most: int | None = None, free_within_s: float = SOCKET_TIMEOUT_S
) -> Redis:
    """Return a client for the ledger; the caller closes it. With `retry=False` it tries nothing twice.

    With `most` it has so many connections at most; who needs one waits, and then meets NoConnectionFree.
    """
    timeout_s = SOCKET_TIMEOUT_S if retry else LOOK_TIMEOUT_S
    once: dict[str, Any] = {} if retry else {"retry": Retry(NoBackoff(), 0)}
    return _client(
        url,
        most,
        free_within_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        health_check_interval=25,
        driver_info=DRIVER,
        **once,
    )


def _client(url: str, most: int | None, free_within_s: float, **bounds: Any) -> Redis:
    if is_sentinel(url):
        return sentinel_client(url, **bounds)
    if most is not None:
        pool = _BoundedPool.from_url(url, max_connections=most, timeout=free_within_s, **bounds)
        return Redis.from_pool(pool)
    client: Redis = Redis.from_url(url, **bounds)
    return client


async def persistence_warnings(redis: Redis) -> list[str]:
    """Return a sentence for each setting of the server that puts jobs at risk: eviction, or nothing written to disk."""
    try:
        policy = await _setting(redis, "maxmemory-policy")
        append_only = await _setting(redis, "appendonly")
        written = await _setting(redis, "appendfsync")
    except ResponseError:  # managed servers may refuse CONFIG
        return []
    warnings = []
    if policy not in {None, "noeviction"}:
        warnings.append(f"Redis may drop jobs when memory is short (maxmemory-policy {policy}); set it to noeviction.")
    if append_only not in {None, "yes"}:
        warnings.append("Redis forgets jobs when it restarts (appendonly no); set appendonly yes.")
    elif written not in {None, "always"}:
        what = f"Redis may forget its last seconds, and with them before-images (appendfsync {written})"
        warnings.append(f"{what}; set it to always.")
    return warnings


async def _setting(redis: Redis, name: str) -> str | None:
    answer: dict[Any, Any] = await redis.config_get(name)
    for value in answer.values():
        return value.decode() if isinstance(value, bytes) else str(value)
    return None
