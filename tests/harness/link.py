"""A TCP link to a server, which may go silent without a word, as a network between two machines may."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Self


class Link:
    """Forwards a loopback port to a Unix socket (`target` is a path) or a local port."""

    def __init__(self, target: Path | int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._gates: set[asyncio.Event] = set()
        self._drip_s = 0.0
        self._cuts = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    def go_silent(self) -> int:
        """Forward nothing more on the connections there are, and close none; new ones work. Gives their number."""
        silenced = len(self._gates)
        for gate in self._gates:
            gate.clear()
        self._gates.clear()
        return silenced

    def drip(self, seconds: float) -> None:
        """From now on let answers pass a byte at a time, with this pause after each; 0 ends it."""
        self._drip_s = seconds

    def cut_answers(self, number: int) -> None:
        """Break the next so many answers off in the middle, with their connections."""
        self._cuts = number

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        else:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        gate = asyncio.Event()
        gate.set()
        self._gates.add(gate)
        for source, sink, answers in ((reader, far_writer, False), (far_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, gate, answers=answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while received := await source.read(65_536):
                await gate.wait()
                if answers and self._cuts:
                    self._cuts -= 1
                    sink.write(received[: len(received) // 2])
                    await sink.drain()
                    break
                if answers and self._drip_s:
                    await self._drip(received, sink)
                else:
                    sink.write(received)
                    await sink.drain()
        await gate.wait()
        sink.close()

    async def _drip(self, received: bytes, sink: asyncio.StreamWriter) -> None:
        for byte in received:
            sink.write(bytes([byte]))
            await sink.drain()
            await asyncio.sleep(self._drip_s)
