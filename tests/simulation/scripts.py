"""The Lua scripts that processes call, by the digest that names them in a command."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import cast

from redis.commands.core import AsyncScript

from ledger.connect import new_client
from ledger.scripts import load_script

PACKAGES = ("ledger", "ratelimit")


@cache
def scripts() -> dict[str, AsyncScript]:
    """Return every script by its name, that of its file."""
    nowhere = new_client("unix:///nowhere")
    names = [(package, path.name) for package in PACKAGES for path in (files(package) / "lua").iterdir()]
    return {
        name.removesuffix(".lua"): cast("AsyncScript", load_script(nowhere, name.removesuffix(".lua"), package=package))
        for package, name in names
        if name != "prelude.lua"
    }


@cache
def _names() -> dict[str, str]:
    return {script.sha: name for name, script in scripts().items()}


def name_of(command: str) -> str:
    """Return the name of a command; that of its script where it is the digest of one."""
    return _names().get(command, command)
