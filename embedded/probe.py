"""A question to the server over its socket, asked without a client library: the answer is one line."""

from __future__ import annotations

import enum
import socket
from pathlib import Path

_REPLY_SECONDS = 1.0


class Answer(enum.Enum):
    """What the server says to a PING."""

    NONE = "nobody answers"
    LOADING = "the append-only file is being read"
    READY = "commands are carried out"


def ping(socket_path: Path) -> Answer:
    """Ask whether the server carries out commands."""
    reply = _ask(socket_path, b"PING\r\n")
    if not reply:
        return Answer.NONE
    # Other errors, such as -BUSY while a script runs, come from a server that is up.
    return Answer.LOADING if reply.startswith(b"-LOADING") else Answer.READY


def shut_down(socket_path: Path) -> None:
    """Ask the server to flush its append-only file and end."""
    _ask(socket_path, b"SHUTDOWN\r\n")


def _ask(socket_path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_REPLY_SECONDS)
        try:
            link.connect(str(socket_path))
            link.sendall(command)
            return link.recv(64)
        except OSError:
            return b""
