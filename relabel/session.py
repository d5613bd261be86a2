"""Opens what a use case needs: a ledger that is either given or embedded."""

from __future__ import annotations

import getpass
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from config.api_key import has_key
from config.errors import SettingsError
from config.groups import RedisSettings
from config.settings import Settings
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.person import unverified

if TYPE_CHECKING:
    from embedded.server import EmbeddedServer


class Session(NamedTuple):
    """An open ledger, the settings that name its server, and who asks, as audit logs name them (`ledger.person`).

    `server` is the embedded server, None where the settings named another. `rehearsal` tells that the API is the
    bundled one, which ends with the session. `verified`: a token or a trusted proxy vouches for who asks.
    """

    ledger: Ledger
    settings: Settings
    user: str
    server: EmbeddedServer | None = None
    rehearsal: bool = False
    verified: bool = False


@asynccontextmanager
async def open_session(settings: Settings, *, server: EmbeddedServer | None = None) -> AsyncIterator[Session]:
    """Open the ledger that the settings name, for as long as the block runs.

    Where they name none, the embedded server is started, which blocks for as long as that takes. `server` is the one
    that was started before, for settings that name it.

    Raises:
        LedgerUnreachable: the ledger is away, full, read-only or refuses the password, now or later.
        ServerNotStarted: the embedded server does not start.

    """
    with server_for(settings) as (reachable, started):
        async with open_ledger(reachable.ledger_url) as redis:
            session = Session(Ledger(redis), reachable, local_user(settings), server or started)
            if session.server is None:
                yield session
                return
            from relabel.remember import remembering  # noqa: PLC0415 - only who has an embedded server needs it

            async with remembering(session.ledger, settings.state_folder, seen_by=local_name(settings)):
                yield session


@contextmanager
def server_for(settings: Settings) -> Iterator[tuple[Settings, EmbeddedServer | None]]:
    """Yield settings that name a Redis server: the given one, else the embedded one, up as long as the block runs."""
    if settings.redis.url is not None:
        yield settings, None
        return
    from embedded.server import embedded_server  # noqa: PLC0415 - only who names no server needs one

    with embedded_server(settings.state_folder) as server:
        update = {
            "redis": RedisSettings(url=SecretStr(server.ledger_url)),
            "broker_url": settings.broker_url or SecretStr(server.broker_url),
        }
        yield settings.model_copy(update=update), server


def require_api_key(settings: Settings, *, otherwise: str = "") -> None:
    """Raise SettingsError where there is no API key to send; `otherwise` ends the sentence with another way to go."""
    if not has_key(settings):
        raise SettingsError(f"OPENAI_API_KEY is not set; set it{otherwise}.")


def require_workers(settings: Settings, instead: str) -> None:
    """Raise SettingsError where no deployed worker can see the job, as workers share a Redis server."""
    if settings.redis.url is None:
        raise SettingsError(f"RELABEL_REDIS__URL is not set, so there are no deployed workers; use {instead}.")


def local_user(settings: Settings) -> str:
    """Return who uses this command line or program, as audit logs name them: nobody vouches for it."""
    return unverified(local_name(settings))


def local_name(settings: Settings) -> str:
    """Return the name that the settings have for who uses this machine, else user@host."""
    if settings.user:
        return settings.user
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
