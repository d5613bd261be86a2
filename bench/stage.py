"""What a part needs around it: a folder, a fast server, a private Redis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.api_server import Server, api_server
from embedded.server import EmbeddedServer, embedded_server


class Stage(NamedTuple):
    """Where a part is measured."""

    folder: Path
    api: Server
    redis: EmbeddedServer


@contextmanager
def stage() -> Iterator[Stage]:
    """Start it all, and end it with the block."""
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary:
        folder = Path(temporary)
        with api_server(folder) as api, embedded_server(folder / "state") as server:
            yield Stage(folder, api, server)
