"""The way to Redis of a simulated process: a command leaves at once, and is carried out when the scheduler says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis
import redis.connection
from redis.asyncio import UnixDomainSocketConnection
from redis.exceptions import ResponseError


class Wire:
    """The blocking connection over which all commands of a simulation go, one after the other."""

    def __init__(self, path: str) -> None:
        self._connection = redis.connection.UnixDomainSocketConnection(path=path)

    def carry_out(self, command: Command) -> list[Any]:
        """Send packed commands and return their replies; a refusal is returned as the error that it is."""
        self._connection.send_packed_command([command.packed], check_health=False)
        return [self._reply() for _ in command.names]

    def close(self) -> None:
        """Close the connection; the next command opens it again."""
        self._connection.disconnect()

    def _reply(self) -> Any:
        try:
            return self._connection.read_response(disable_decoding=True)
        except ResponseError as refusal:
            return refusal


class Command:
    """Commands on their way, which are carried out together, and the future that waits for their replies."""

    def __init__(self, packed: bytes, answer: asyncio.Future[list[Any]]) -> None:
        self.packed = packed
        self.answer = answer
        self.names = [words[words[0] == b"EVALSHA"].decode() for words in _commands(packed)]
        """The name of each command; a script's is its digest."""

    def argument(self, place: int) -> bytes:
        """Return an argument of the first command, which calls a script."""
        words = next(_commands(self.packed))
        return words[3 + int(words[2]) + place]


class SimulatedConnection(UnixDomainSocketConnection):
    """A connection of redis-py's pool whose bytes go to `send`, which queues them for the scheduler."""

    def __init__(self, *, send: Callable[[Command], None], **options: Any) -> None:
        super().__init__(**options)
        self._send = send
        self._is_open = False
        self._command: Command | None = None
        self._replies: list[Any] = []

    @property
    def is_connected(self) -> bool:
        return self._is_open

    async def _connect(self) -> None:
        self._is_open = True

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Greet nobody: the wire has done so."""

    async def disconnect(self, *_: Any, **__: Any) -> None:
        self._is_open = False
        self._command, self._replies = None, []

    async def can_read(self) -> bool:
        return False

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        self._command = Command(b"".join(command), asyncio.get_running_loop().create_future())
        self._send(self._command)

    async def _read_response_from_parser(self, **_: Any) -> Any:
        if self._command is not None:
            self._replies, self._command = list(await self._command.answer), None
        return self._replies.pop(0)


def _commands(packed: bytes) -> Iterator[list[bytes]]:
    """Yield the words of each command in the bytes that a client sends (RESP: arrays of bulk strings)."""
    at = 0
    while at < len(packed):
        number, at = _number(packed, at)
        words: list[bytes] = []
        for _ in range(number):
            length, at = _number(packed, at)
            words.append(packed[at : at + length])
            at += length + 2
        yield words


def _number(packed: bytes, at: int) -> tuple[int, int]:
    """Return the number in the line that begins at `at`, behind its sign, and where the next one begins."""
    end = packed.index(b"\r\n", at)
    return int(packed[at + 1 : end]), end + 2
