"""A Redis on a port, with options of its own: TLS, users, a replica, a sentinel."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import redis

from tests.harness.certificates import HOST, Certificate
from tests.harness.end_with_parent import end_with_parent
from tests.harness.free_port import free_port

START_S = 30.0
NO_TLS_SERVER = "no Redis with TLS is here: install Debian's redis-tools"


def tls_server(folder: Path) -> Path | None:
    """The server program that Debian's redis-tools carries under another name; None where it is not installed."""
    program = shutil.which("redis-check-rdb")
    if program is None:
        return None
    link = folder / "redis-server"
    link.unlink(missing_ok=True)
    link.symlink_to(program)
    return link


def tls_options(certificate: Certificate) -> dict[str, str]:
    """What makes a server speak TLS to all, and ask clients and other servers for a certificate."""
    return {
        "tls-cert-file": str(certificate.cert),
        "tls-key-file": str(certificate.key),
        "tls-ca-cert-file": str(certificate.ca),
        "tls-auth-clients": "yes",
        "tls-replication": "yes",
    }


class RedisNode:
    """One server process; `admin` is a client to it, which `login` lets in."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        *,
        options: dict[str, str],
        certificate: Certificate | None = None,
        sentinel: bool = False,
        login: dict[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._command = [str(program), str(folder / "redis.conf"), *(["--sentinel"] if sentinel else [])]
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()
        where = {"port": "0", "tls-port": str(self.port)} if certificate else {"port": str(self.port)}
        lines = {"bind": HOST, "dir": str(folder)} | where | options
        (folder / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        tls: dict[str, Any] = {}
        if certificate:
            files = {"ssl_ca_certs": certificate.ca, "ssl_certfile": certificate.cert, "ssl_keyfile": certificate.key}
            tls = {"ssl": True} | {name: str(path) for name, path in files.items()}
        self.admin = redis.Redis(host=HOST, port=self.port, socket_timeout=5, **tls, **login or {})

    def __enter__(self) -> Self:
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it only makes a system call
            )
        self.wait_for(self.admin.ping, "it answers")
        return self

    def __exit__(self, *_: object) -> None:
        self.admin.close()
        self.kill()

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait_for(self, condition: Any, what: str) -> None:
        """Wait until a look at the server finds something true."""
        deadline = time.monotonic() + START_S
        while not self._is_so(condition):
            log = (self._folder / "redis.log").read_text()[-800:]
            assert time.monotonic() < deadline, f"not within {START_S:.0f} s: {what}; its log ends: {log}"
            time.sleep(0.02)

    @staticmethod
    def _is_so(condition: Any) -> bool:
        try:
            return bool(condition())
        except redis.RedisError:
            return False
