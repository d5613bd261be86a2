"""A Redis of one test's own, which may be killed, emptied, frozen, squeezed or made read-only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import redis

from embedded.binary import find_server_binary
from embedded.command import server_command
from tests.harness.end_with_parent import end_with_parent

START_S = 20.0


class PrivateRedis:
    """A server on a socket in `folder`, with the options that the product's own server has.

    `options` are added to these, `environment` to that of the test; `timeout_s` bounds a command of `admin`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 5,
    ) -> None:
        self._options = options
        self._environment = environment or {}
        self._data = folder / "redis-data"
        self._log = folder / "redis.log"
        self.socket = folder / "redis.sock"
        self._server: subprocess.Popen[bytes] | None = None
        self.admin = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=timeout_s)

    @property
    def url(self) -> str:
        """The ledger's URL."""
        return f"unix://{self.socket}?db=0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()
        self.kill()

    def start(self, *, within: float = START_S) -> None:
        """Start, and wait until commands are carried out."""
        self._data.mkdir(exist_ok=True)
        command = server_command(find_server_binary(), folder=self._data, socket=self.socket, maxmemory="1gb")
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *self._options],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
            )
        deadline = time.monotonic() + within
        while not self._answers():
            assert time.monotonic() < deadline, f"Redis does not answer: {self._log.read_text()[-500:]}"
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def forget(self) -> None:
        """Remove what a killed server had on disk."""
        shutil.rmtree(self._data)

    def freeze(self) -> None:
        """SIGSTOP: it takes connections and commands, and answers nothing."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self._server is not None
        self._server.send_signal(signal.SIGCONT)

    def fill(self) -> None:
        """Fill the memory, so that no write fits."""
        self.admin.config_set("maxmemory", "1mb")

    def make_room(self) -> None:
        """Allow memory for writes again."""
        self.admin.config_set("maxmemory", "1gb")

    def make_read_only(self) -> None:
        """Let it be the replica of a primary that is not there, as after a failover."""
        self.admin.replicaof("127.0.0.1", 1)

    def make_writable(self) -> None:
        """Let it be the primary again."""
        self.admin.replicaof("NO", "ONE")

    def _answers(self) -> bool:
        try:
            return bool(self.admin.ping())
        except redis.RedisError:
            return False
