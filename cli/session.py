"""Opens what a verb needs: the settings, and a ledger that is either given or embedded."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import click
from pydantic import SecretStr

from cli.console import echo
from config.api_key import has_key
from config.environment import load_settings, warn_of_base_url
from config.errors import SettingsError
from config.groups import RedisSettings
from config.logs import set_up_logging
from config.settings import Settings
from embedded.server import EmbeddedServer, embedded_server
from ledger.connect import open_ledger
from ledger.ledger import Ledger

T = TypeVar("T")
P = ParamSpec("P")


def pass_settings(verb: Callable[Concatenate[Settings, P], T]) -> Callable[P, T]:
    """Hand the settings to a verb as its first argument; they are read when it runs, so `--help` always works."""

    @functools.wraps(verb)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return verb(_settings(), *args, **kwargs)

    return wrapper


def _settings() -> Settings:
    settings = load_settings()
    if log_format := click.get_current_context().find_root().obj:
        settings = settings.model_copy(update={"log_format": log_format})
    # a verb tells people what it does in its own words; the log holds what went wrong beside that
    set_up_logging("ERROR" if settings.log_level == "ERROR" else "WARNING", settings.log_format)
    return settings


def need_api_key(settings: Settings, *, otherwise: str = "") -> None:
    """Refuse to go on where nothing could be sent; `otherwise` is another way to go."""
    if not has_key(settings):
        raise SettingsError(f"OPENAI_API_KEY is not set; set it{otherwise}.")
    warn_before_sending(settings)


def warn_before_sending(settings: Settings) -> None:
    """Say where the key is about to go, where that is not from where the key is."""
    if warning := warn_of_base_url(settings):
        echo(f"Warning: {warning}", err=True)


def need_workers(settings: Settings, instead: str) -> None:
    """Refuse to hand work to workers that cannot be there: they share a Redis server."""
    if settings.redis.url is None:
        raise SettingsError(f"RELABEL_REDIS__URL is not set, so there are no deployed workers; use {instead}.")


@contextmanager
def server_for(settings: Settings) -> Iterator[tuple[Settings, EmbeddedServer | None]]:
    """Give settings that name a Redis server: the given one, else the embedded one, up for as long as it is used."""
    if settings.redis.url is not None:
        yield settings, None
        return
    with embedded_server(settings.state_folder) as server:
        update = {
            "redis": RedisSettings(url=SecretStr(server.ledger_url)),
            "broker_url": settings.broker_url or SecretStr(server.broker_url),
        }
        yield settings.model_copy(update=update), server


@asynccontextmanager
async def ledger_of(settings: Settings) -> AsyncIterator[Ledger]:
    """Open the ledger that the settings name."""
    async with open_ledger(settings.ledger_url) as redis:
        yield Ledger(redis)


def with_ledger(settings: Settings, verb: Callable[[Ledger], Awaitable[T]]) -> T:
    """Carry out an asynchronous verb on the ledger, for as long as it takes."""

    async def run(reachable: Settings) -> T:
        async with ledger_of(reachable) as ledger:
            return await verb(ledger)

    with server_for(settings) as (reachable, _):
        return asyncio.run(run(reachable))
