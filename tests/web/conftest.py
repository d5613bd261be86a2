"""`relabel serve` as a process that the tests of this process share, over their Redis, and tokens for it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jsonschema
import pytest
from starlette.types import ASGIApp

from config.settings import Settings
from config.web import Scope
from embedded.server import EmbeddedServer
from ledger.connect import open_ledger
from ledger.ledger import Ledger
from ledger.tokens import TokenRequest
from metrics.requests import RequestMetrics
from tests.cli.conftest import end_rows, environment, make_job, read, relabel  # noqa: F401 - fixtures
from tests.harness.command import ROOT
from tests.harness.free_port import free_port
from tests.harness.program import start_logged
from tests.harness.wait import wait_until
from web.app import make_app

LONGEST_S = 60.0
TARGET = "https://api.openai.com/v1"


class Served(NamedTuple):
    """A running server: its process, its address, the file with what it wrote, and the port for scrapes, if any."""

    process: Any
    url: str
    log: Path
    web_port: int = 0


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of a command without any settings of the machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELABEL_", "OPENAI_"))}
    return kept | {"PYTHONPATH": str(ROOT), "TZ": "UTC"} | settings


def start_server(folder: Path, *options: str, **settings: str) -> Served:
    """Start `relabel serve` on a free port and wait until it listens."""
    log = folder / "serve.log"
    arguments = ["serve", "--port", "0", *options]
    process = start_logged("relabel", arguments, cwd=folder, env=clean_environment(**settings), log=log)

    def listens() -> str:
        assert process.poll() is None, log.read_text()
        found = re.search(r"relabel on (https?://\S+)", log.read_text())
        return found[1] if found else ""

    url = asyncio.run(wait_until(listens, within=LONGEST_S, what="the server listens"))
    return Served(process, url, log, int(settings.get("RELABEL_METRICS__WEB_PORT", "0")))


def end_server(served: Served) -> None:
    """End a server, in order where it still can."""
    served.process.send_signal(signal.SIGTERM)
    try:
        asyncio.run(wait_until(lambda: served.process.poll() is not None, within=LONGEST_S, what="the server ended"))
    finally:
        if served.process.poll() is None:
            served.process.send_signal(signal.SIGKILL)


@pytest.fixture(scope="session")
def served(session_redis: EmbeddedServer) -> Iterator[Served]:
    """The server that the tests of this process share; nothing may end it, and its rate is no bound."""
    with tempfile.TemporaryDirectory(prefix="relabel-") as path:
        settings = {
            "RELABEL_REDIS__URL": session_redis.ledger_url,
            "RELABEL_RATE__NAME": "tests",
            "RELABEL_WEB__REQUESTS_PER_MINUTE": "1000000",
            "RELABEL_METRICS__WEB_PORT": str(free_port()),
            "TMPDIR": path,
        }
        served = start_server(Path(path), **settings)
        yield served
        end_server(served)


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """The ledger of the server, empty."""
    async with open_ledger(redis_url) as redis:
        yield Ledger(redis)


@pytest.fixture
def new_token(ledger: Ledger) -> Callable[..., Awaitable[str]]:
    """Make a token with these scopes."""

    async def make(*scopes: Scope | str, name: str = "", owner: str = "ada") -> str:
        wanted = [Scope(scope) for scope in scopes]
        name = name or "-".join(["t", *wanted])
        request = TokenRequest(name=name, owner=owner, scopes=wanted, created_by="tests")
        return (await ledger.tokens.create(request, life_s=3600))[0]

    return make


class Document:
    """The OpenAPI document of the server, and whether an answer is what it says."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validators: dict[str, jsonschema.Draft202012Validator] = {}
        self._paths = [
            (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), operations)
            for path, operations in document["paths"].items()
        ]

    async def check(self, answer: httpx.Response) -> None:
        """Check that the operation may answer with this status and, where it is JSON, this content."""
        method, path = answer.request.method.lower(), answer.request.url.path
        operation = next(
            (known[method] for form, known in self._paths if form.fullmatch(path) and method in known), None
        )
        if operation is None:
            return
        documented = operation["responses"].get(str(answer.status_code))
        assert documented, f"{method} {path} answered {answer.status_code}, which the document does not know"
        if answer.status_code == 204:
            return
        kind = answer.headers["content-type"].partition(";")[0]
        content = {name.partition(";")[0]: each for name, each in documented["content"].items()}
        assert kind in content, f"{method} {path} answered {kind}"
        if kind in {"application/json", "application/problem+json"}:
            await answer.aread()
            self._validator(content[kind]["schema"]).validate(answer.json())

    def _validator(self, schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
        name = str(schema)
        if name not in self._validators:
            whole = schema | {"components": self._document["components"]}
            self._validators[name] = jsonschema.Draft202012Validator(whole)
        return self._validators[name]


@pytest.fixture(scope="session")
def document(served: Served) -> Document:
    """The document of the shared server."""
    return Document(httpx.get(f"{served.url}/openapi.json", trust_env=False, timeout=LONGEST_S).json())


@pytest.fixture
def connect(served: Served, document: Document) -> Callable[..., Any]:
    """Return a client of the server with a token; each answer is compared with the document."""

    @asynccontextmanager
    async def open_client(token: str = "") -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options: dict[str, Any] = {"base_url": served.url, "timeout": LONGEST_S, "trust_env": False}
        options["verify"] = False  # it speaks plain HTTP; loading the CAs would cost each test 40 ms
        options["event_hooks"] = {"response": [document.check]}
        async with httpx.AsyncClient(headers=headers, **options) as client:
            yield client

    return open_client


@pytest.fixture
async def client(
    connect: Callable[..., Any], new_token: Callable[..., Awaitable[str]]
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that may do everything."""
    async with connect(await new_token(*Scope, name="all")) as client:
        yield client


@asynccontextmanager
async def in_process(
    settings: Settings, *, peer: str = "127.0.0.1", metrics: RequestMetrics | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """The application without a server, asked from an address that a test chooses."""
    app: ASGIApp = make_app(settings, stopping=asyncio.Event(), metrics=metrics)
    async with started(app):
        transport = httpx.ASGITransport(app=app, client=(peer, 12345))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Send the application the events of its start and of its end, as a server does."""
    received: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.create_task(app(scope, received.get, sent.put))  # type: ignore[arg-type]
    await received.put({"type": "lifespan.startup"})
    assert (await sent.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await received.put({"type": "lifespan.shutdown"})
        await task


def settings_of(redis_url: str, **web: Any) -> Settings:
    """Settings of a server, with those of the group `web` that a test chooses."""
    return Settings(_env_file=None, redis={"url": redis_url}, web=web)  # type: ignore[call-arg]
