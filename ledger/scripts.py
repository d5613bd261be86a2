"""Loads the Lua scripts in `lua/`, one script a file, each with the outcomes and `lua/prelude.lua` in front."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from ledger.row import OUTCOMES, TRIED

Argument = str | bytes | int | float


class Script(Protocol):
    """A Lua script bound to a server; it loads itself again after a restart or a SCRIPT FLUSH."""

    def __call__(self, keys: Sequence[str], args: Sequence[Argument]) -> Awaitable[Any]:
        """Run the script in one round trip."""


@cache
def _source(package: str, name: str) -> str:
    return (files(package) / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _with_prelude(script: str) -> str:
    """Return the script with the prelude in front, but after the line that names its flags, which has to be first."""
    first, rest = script.split("\n", 1) if script.startswith("#!") else ("", script)
    words = f"local OUTCOMES = {_list(OUTCOMES)}\nlocal TRIED = {_list(outcome.word for outcome in TRIED)}"
    return f"{first}\n{words}\n{_source('ledger', 'prelude')}\n{rest}".lstrip("\n")


def _list(words: Iterable[str]) -> str:
    """Return words as a list of Lua."""
    return "{ " + ", ".join(f"'{word}'" for word in words) + " }"


def load_script(redis: Redis, name: str, *, package: str = "ledger") -> Script:
    """Bind `lua/{name}.lua` of the package to this server."""
    return cast("Script", redis.register_script(_with_prelude(_source(package, name))))
