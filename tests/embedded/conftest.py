"""Users of the embedded server that are processes of their own, and so can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import redis

from embedded.server import EmbeddedServer

USER = """
import json, sys
from pathlib import Path
from embedded.server import embedded_server

with embedded_server(Path(sys.argv[1])) as server:
    print(json.dumps({"adopted": not server.started, "url": server.ledger_url}), flush=True)
    sys.stdin.read()
"""


@dataclass
class User:
    """A process that uses the server until it is told to leave, or killed."""

    process: subprocess.Popen[str]

    def greeting(self) -> dict[str, object]:
        """What the process says once it has the server."""
        assert self.process.stdout is not None
        said: dict[str, object] = json.loads(self.process.stdout.readline())
        return said

    def leave(self) -> None:
        """Let the process leave the server and end."""
        self.process.communicate("")


@pytest.fixture
def start_user(state_dir: Path) -> Iterator[Callable[..., User]]:
    """Start users of the server in `state_dir`; those still there at the end are killed."""
    users: list[User] = []

    def start(**options: object) -> User:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,  # type: ignore[call-overload]
        )
        users.append(User(process))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.process.kill()
        user.process.communicate()
    folder = str(state_dir)
    eventually(
        lambda: not any(folder in word for p in psutil.process_iter(["cmdline"]) for word in p.info["cmdline"] or ())
    )


@pytest.fixture
def server_of() -> Callable[[EmbeddedServer | str], psutil.Process]:
    """Find the process behind a server or its URL."""

    def find(server: EmbeddedServer | str) -> psutil.Process:
        url = server if isinstance(server, str) else server.ledger_url
        with redis.Redis.from_url(url) as client:
            return psutil.Process(client.info("server")["process_id"])

    return find


@pytest.fixture
def is_gone() -> Callable[[psutil.Process], bool]:
    """Return whether a process has ended; one that nobody has buried yet counts."""

    def gone(process: psutil.Process) -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return gone


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., None]:
    """Wait for a condition, with a deadline."""
    return eventually


def eventually(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
