"""The sandbox as a server: in this process for tests, or for a command until it is told to stop."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from sandbox.api import Api
from sandbox.control import PREFIX, Control
from sandbox.faults import Faults
from sandbox.log import RequestLog
from sandbox.options import SandboxOptions
from sandbox.script import Rule, Script, read_script
from sandbox.store import Store

_LOAD_BYTES = 1 << 30
_BACKLOG = 1024
_GRACE_S = 0.1


class Sandbox:
    """A running stand-in for the API: `async with Sandbox(options) as sandbox` and talk to `sandbox.base_url`."""

    def __init__(
        self,
        options: SandboxOptions | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
    ) -> None:
        if not (allow_remote or is_loopback(host)):
            raise ValueError(f"{host} is not a loopback address: the sandbox would be open to the network")
        given = options or SandboxOptions()
        self._host = host
        self._port = port
        self._stack = AsyncExitStack()
        self.store = Store()
        self.store.fill(given.completions, seed=given.seed)
        self.log = RequestLog(limit=given.log_limit, path=given.log_file)
        self.faults = Faults(seed=given.seed, started=time.monotonic(), rates=given.fault_rates)
        if given.fault_script is not None:
            self.faults.add(read_script(given.fault_script), time.monotonic())
        self.api = Api(given, store=self.store, faults=self.faults, log=self.log)

    @property
    def options(self) -> SandboxOptions:
        """The options in force now."""
        return self.api.options

    @property
    def address(self) -> str:
        """URL of the server without a path: the control endpoints are under it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """Base URL for a client of the API."""
        return f"{self.address}/v1"

    def configure(self, **changes: Any) -> None:
        """Change live options from now on."""
        self.api.configure(changes)

    def add_faults(self, rules: Sequence[Mapping[str, Any]] = (), rates: Mapping[str, float] | None = None) -> None:
        """Add rules, written as in a script, and set probabilities by fault name."""
        script = Script(msgspec.convert(list(rules), list[Rule]))
        if rates:
            script = msgspec.convert({"rules": script.rules, "rates": dict(rates)}, Script)
        self.faults.add(script, time.monotonic())

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self.log)
        try:
            await self._listen()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _listen(self) -> None:
        api, control = self.api.answer, Control(self.api).answer

        async def answer(request: web.BaseRequest) -> web.Response:
            return await (control if request.raw_path.startswith(PREFIX) else api)(request)

        # The bare server: an aiohttp application would resolve every path a second time.
        server = web.Server(answer, request_factory=_request, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_GRACE_S)
        self._stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
        self._port = runner.addresses[0][1]


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]) -> web.BaseRequest:
    # A bulk load is far larger than aiohttp's one megabyte.
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LOAD_BYTES)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def run_sandbox(
    options: SandboxOptions,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    allow_remote: bool = False,
    load: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the base URL once requests are answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sandbox = Sandbox(options, host=host, port=port, allow_remote=allow_remote)
    sandbox.store.load(load or {})
    async with sandbox:
        ready(sandbox.base_url)
        await stop.wait()
