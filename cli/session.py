"""Hands a verb the settings, and runs it in a session."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from cli.console import echo
from config.environment import load_settings, warn_of_base_url
from config.logs import set_up_logging
from config.settings import Settings
from relabel.session import Session, open_session, require_api_key, server_for

if TYPE_CHECKING:
    from embedded.server import EmbeddedServer

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
    require_api_key(settings, otherwise=otherwise)
    warn_before_sending(settings)


def warn_before_sending(settings: Settings) -> None:
    """Show where the key is about to be sent, where the URL comes from elsewhere than the key."""
    if warning := warn_of_base_url(settings):
        echo(f"Warning: {warning}", err=True)


def in_session(settings: Settings, verb: Callable[[Session], Awaitable[T]]) -> T:
    """Run a use case in a session: one event loop and one connection for the whole command.

    The embedded server starts before the loop, so that Ctrl-C ends the command while it does.
    """

    async def run(reachable: Settings, server: EmbeddedServer | None) -> T:
        async with open_session(reachable, server=server) as session:
            return await verb(session)

    with server_for(settings) as (reachable, server):
        try:
            return asyncio.run(run(reachable, server))
        except asyncio.CancelledError:  # by a signal that was handled here
            raise click.Abort from None
