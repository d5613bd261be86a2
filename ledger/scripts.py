"""Loads the Lua scripts that lie in `lua/`, one script a file."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, cast

from redis.asyncio import Redis

Argument = str | bytes | int | float


class Script(Protocol):
    """A Lua script bound to a server; it loads itself again after a restart or a SCRIPT FLUSH."""

    def __call__(self, keys: Sequence[str], args: Sequence[Argument]) -> Awaitable[Any]:
        """Run the script in one round trip."""


@cache
def _source(package: str, name: str) -> str:
    return (files(package) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def load_script(redis: Redis, name: str, *, package: str = "ledger") -> Script:
    """Bind `lua/{name}.lua` of the package to this server."""
    return cast("Script", redis.register_script(_source(package, name)))
