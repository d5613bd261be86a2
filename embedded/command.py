"""The server's command line: a private socket and no port, every write in a file, no key ever dropped."""

from __future__ import annotations

import os
from pathlib import Path


def server_command(binary: Path, *, folder: Path, socket: Path, maxmemory: str | None) -> list[str]:
    """Return the command that runs *binary* with its data in *folder*, listening on *socket* only.

    *maxmemory* is written as the server reads it (`512mb`); without it, half of the machine's memory.
    Source: redis.conf of Redis 7.0 and valkey.conf of Valkey 9.1.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        # A before-image must be on disk before the write that it is for leaves. With `everysec` a server whose disk is
        # slow answers first and writes up to two seconds later; measured, `always` cost no more CPU or time a row.
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        # The append-only file holds everything; a snapshot beside it would only cost time.
        "save": "",
        # A full ledger must refuse writes: dropping a key would drop rows.
        "maxmemory": maxmemory or str(_half_of_memory()),
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _half_of_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
