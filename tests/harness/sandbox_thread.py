"""The sandbox in a thread, for programs that wait for commands; on request also by https, with a CA of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future

import trustme

from sandbox.options import SandboxOptions
from sandbox.server import Sandbox

PORT = 8443


class Api:
    """What a person at the API's side sees."""

    def __init__(self, sandbox: Sandbox, ca: bytes) -> None:
        self._sandbox = sandbox
        self.ca = ca
        self.base_url = sandbox.base_url

    def load(self, metadata: Mapping[str, Mapping[str, str]]) -> None:
        """Store completions."""
        self._sandbox.store.load(metadata)

    def metadata(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what these completions hold."""
        held = self._sandbox.store.dump()
        return {completion_id: held[completion_id] for completion_id in ids}

    def updates(self, ids: Iterable[str]) -> Counter[str]:
        """Return how many updates each of these completions got."""
        wanted = set(ids)
        return Counter(entry.id for entry in list(self._sandbox.log.entries) if entry.id in wanted and entry.applied)

    def longest_gap(self, ids: Iterable[str]) -> float:
        """Return the longest time (seconds) between two updates of these completions that followed each other."""
        wanted = set(ids)
        times = [entry.time for entry in list(self._sandbox.log.entries) if entry.id in wanted and entry.applied]
        return max(later - earlier for earlier, later in itertools.pairwise(sorted(times)))


@contextlib.contextmanager
def running_api(options: SandboxOptions, *, tls_at: str = "") -> Iterator[Api]:
    """Run the sandbox for as long as the block runs, on loopback, and by https at an address where one is given."""
    authority, stop = trustme.CA(), asyncio.Event()
    up: Future[tuple[Sandbox, asyncio.AbstractEventLoop]] = Future()

    async def serve() -> None:
        async with Sandbox(options) as sandbox, contextlib.AsyncExitStack() as stack:
            if tls_at:
                port = int(sandbox.address.rpartition(":")[2])
                tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                authority.issue_cert(tls_at).configure_cert(tls)
                front = await asyncio.start_server(lambda *ends: _pass_on(*ends, port), tls_at, PORT, ssl=tls)
                await stack.enter_async_context(front)
            up.set_result((sandbox, asyncio.get_running_loop()))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    sandbox, loop = up.result(30)
    try:
        yield Api(sandbox, authority.cert_pem.bytes())
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry bytes both ways between a client, whose TLS ends here, and the sandbox."""
    with contextlib.suppress(OSError, asyncio.CancelledError):  # the end of the loop cancels it, and wants no report
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
