"""Listens, serves and ends: uvicorn with bounds, TLS where certificates are named, and an end that loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from config.checks import is_loopback
from config.errors import SettingsError
from config.groups import MetricsSettings
from config.settings import Settings
from config.web import WebSettings
from ledger.cancellation import until_first
from metrics.listener import listener as metrics_listener
from metrics.requests import RequestMetrics
from producer.find_files import MAX_FILES
from relabel.session import open_session
from relabel.worker_process import worker_process
from web.app import make_app
from web.connections import HEADERS_WITHIN_S, BoundedConnection
from web.console.sign_in import OneTimeLink
from web.submit_endpoints import UPLOADS_AT_ONCE

if TYPE_CHECKING:
    from embedded.server import EmbeddedServer

HEAD_BYTES = 32 * 1024
END_WITHIN_S = 10.0
"""Time that requests under way get to end."""
BACKLOG = 1024
OTHER_DESCRIPTORS = 512
"""Files and connections of a server beside those of its clients: Redis, the broker, logs, libraries."""


def require_safe_address(settings: WebSettings, address: str) -> None:
    """Raise SettingsError where tokens would cross a network in clear text.

    Any address but loopback needs a certificate, or a proxy that speaks TLS in front.
    """
    if is_loopback(address) or settings.cert_file or settings.trusted_proxies:
        return
    raise SettingsError(
        f"{address} can be reached from other machines, and tokens would cross the network in clear text: set "
        "RELABEL_WEB__CERT_FILE and RELABEL_WEB__KEY_FILE, or RELABEL_WEB__TRUSTED_PROXIES to the address of the proxy "
        "that speaks TLS in front (in a container, too)."
    )


@contextlib.contextmanager
def listening(address: str, port: int) -> Iterator[socket.socket]:
    """Listen on an address; port 0 takes a free one.

    Raises:
        OSError: the address is in use, or is none of this machine.

    """
    family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
    # asyncio switches Nagle's algorithm off where the protocol is named; else each answer would wait 40 ms for an ACK
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        yield listener


async def serve(
    settings: Settings,
    server: EmbeddedServer | None,
    listener: socket.socket,
    *,
    run: bool,
    started: Callable[[], None],
    link: OneTimeLink | None = None,
) -> signal.Signals:
    """Serve until SIGTERM or Ctrl-C, which ends it in order; return the signal.

    `run` also works on the jobs, `link` signs in once. `server` is the embedded server that the settings name, where
    they do. Any other may be away: each answer says so.

    Raises:
        WorkerDied: with `run`, the worker ended by itself, again and again.
        SettingsError: the certificate cannot be used, or scrapes cannot be listened for.

    """
    async with contextlib.AsyncExitStack() as stack:
        signals = stack.enter_context(_Signals())
        watching = [asyncio.create_task(signals.came())]
        if server is not None:  # records what it loses
            await stack.enter_async_context(open_session(settings, server=server))
        if run:
            keep_open = (server.lock_fd,) if server else ()
            worker = await stack.enter_async_context(worker_process(settings, keep_open=keep_open))
            watching.append(asyncio.create_task(worker.watch()))
        stopping, metrics = asyncio.Event(), RequestMetrics()
        allow_descriptors(settings.web.connections + UPLOADS_AT_ONCE * MAX_FILES + OTHER_DESCRIPTORS)
        app = make_app(settings, stopping=stopping, metrics=metrics, link=link)
        stack.enter_context(_scraped(settings.metrics, metrics))
        await stack.enter_async_context(_served(_config(settings.web, app), listener, started))
        try:
            await until_first(watching)
        finally:
            stopping.set()
        return signals.first


def allow_descriptors(wanted: int) -> None:
    """Raise the bound on open files, which is often 1,024, as far as may be: beyond it nobody is let in."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@asynccontextmanager
async def _served(config: uvicorn.Config, listener: socket.socket, started: Callable[[], None]) -> AsyncIterator[None]:
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not (server.started or task.done()):  # noqa: ASYNC110 - uvicorn sets no event
            await asyncio.sleep(0.01)
        if not task.done():
            started()
        yield
    finally:
        server.should_exit = True
        await task


@contextlib.contextmanager
def _scraped(settings: MetricsSettings, metrics: RequestMetrics) -> Iterator[None]:
    """Answer scrapes while the block runs, where a port is set for them."""
    with contextlib.ExitStack() as stack:
        if settings.web_port is not None:
            answered = metrics_listener(
                metrics.registry,
                address=settings.address,
                port=settings.web_port,
                allowed_hosts=settings.allowed_hosts,
            )
            try:
                stack.enter_context(answered)
            except OSError as error:
                raise SettingsError(
                    f"cannot listen on {settings.address}:{settings.web_port} for scrapes ({error.strerror}); choose "
                    "RELABEL_METRICS__ADDRESS and RELABEL_METRICS__WEB_PORT."
                ) from error
        yield


def _config(web: WebSettings, app: ASGIApp) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # a path may hold the id of a completion
        proxy_headers=False,  # `web.peers` decides whose headers count
        server_header=False,
        limit_concurrency=web.connections,
        backlog=BACKLOG,
        timeout_keep_alive=int(HEADERS_WITHIN_S),
        timeout_graceful_shutdown=int(END_WITHIN_S),
        h11_max_incomplete_event_size=HEAD_BYTES,
        ssl_certfile=web.cert_file,
        ssl_keyfile=web.key_file,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"RELABEL_WEB__CERT_FILE and RELABEL_WEB__KEY_FILE cannot be used ({error.strerror or 'not PEM'}); "
            "they must be a certificate and its own key, in PEM."
        ) from None
    return config


class _Server(uvicorn.Server):
    """A server that leaves signals to `serve`, as uvicorn would end the process by the same signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Signals:
    """SIGTERM and Ctrl-C while the block runs. The first one ends the server in order, the next at once."""

    def __init__(self) -> None:
        self.first = signal.SIGTERM
        self._came = asyncio.Event()
        self._main = asyncio.current_task()

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)

    async def came(self) -> None:
        """Wait for the first signal."""
        await self._came.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._came.is_set() and self._main is not None:
            self._main.cancel()
        else:
            self.first = number
        self._came.set()
