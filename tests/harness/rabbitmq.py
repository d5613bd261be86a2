"""A RabbitMQ of one test's own, which may be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.harness.end_with_parent import end_with_parent
from tests.harness.free_port import free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's package; its wrapper on PATH would change the user."""
HERE = SERVER.exists() and shutil.which("erl") is not None
START_S = 120.0
NAMES_S = 5.0


class RabbitMq:
    """A broker on loopback, with ports that were free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._name, self._distribution = f"relabel{self.port}@localhost", free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        _end_name_service()

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start, and wait until connections are taken."""
        (self._folder / "plugins").write_text("[].")
        with (self._folder / "rabbitmq.log").open("ab") as log:
            self._server = subprocess.Popen(
                [SERVER],
                env=os.environ | self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
            )
        deadline = time.monotonic() + START_S
        while not self._listens():
            assert time.monotonic() < deadline, (self._folder / "rabbitmq.log").read_text()[-800:]
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0


def _end_name_service() -> None:
    """End what Erlang left running, once it has seen the node's end; it stays where another node uses it."""
    deadline = time.monotonic() + NAMES_S
    while time.monotonic() < deadline:
        told = subprocess.run(["epmd", "-kill"], capture_output=True, text=True, check=False)
        if "not allowed" not in told.stdout:
            return
        time.sleep(0.1)
