"""Real servers for the whole suite: each test process (xdist worker) has its own, so a flush hurts nobody else."""

from __future__ import annotations

import functools
import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from config import text
from embedded.server import EmbeddedServer, embedded_server

pytest_plugins = ["tests.harness.worker_harness", "tests.harness.idle_worker"]
"""Fixtures for tests of the worker, the API client and the shared rate; a worker that stays."""

# before any of them is imported; a failed assert in these says as much as one in a test
pytest.register_assert_rewrite(
    "tests.harness",
    "tests.end_to_end.independent_server",
    "tests.end_to_end.cli_process",
    "tests.flower.flower_process",
    "tests.flower.scene",
    "tests.metrics.scrape",
)

settings.register_profile("quick", max_examples=15, deadline=None)
settings.register_profile("test", max_examples=50, deadline=None)
settings.register_profile("soak", max_examples=1000, deadline=None)

# what is loaded and collected stays: to look for garbage among it takes an eighth of the time
gc.disable()

# compiled anew, our own modules cost each process of a test a fifth of its start
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a script that runs the tests in the background has it ignored, which commands would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


TESTS = Path(__file__).parent
WHOLE = (
    *(
        "faults",
        "console",
        "end_to_end",
        "flower",
        "deploy",
        "embedded",
        "release_one",
        "simulation",
        "metrics/test_real_job.py",
    ),
    *(
        f"cli/test_{name}.py"
        for name in (
            "applied",
            "approved_apply",
            "confirm",
            "follow_ups",
            "former",
            "full_redis",
            "hostile_ledger",
            "metrics",
            "planned",
            "probe",
            "select",
            "startup",
            "verify",
            "watch",
        )
    ),
    "relabel/test_python.py",
    "relabel/test_remember.py",
    "sandbox/test_command.py",
    "web/test_costs.py",
    "web/test_serve.py",
    "test_examples.py",
)
"""What starts whole process trees or servers, or takes seconds: `make test-fast` leaves it out, `make test` begins it.

A single test of that kind in another file is marked `whole`.
"""


TOGETHER = (
    "chromium",
    "idle_worker",
    "test_imports.py",
    "test_language.py",
    "test_retry_after.py",
    "test_stored_jobs.py",
)
"""What costs seconds once in each process that needs it, so that one process runs all of its tests.

A fixture of a session, or a file whose tests all read the whole source.
"""


@functools.cache
def is_whole(path: Path) -> bool:
    """Return whether a file or folder of tests is in `WHOLE`."""
    return path.is_relative_to(TESTS) and str(path.relative_to(TESTS)).startswith(WHOLE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test-fast`."""
    parser.addoption("--quick", action="store_true", help="only the quick tests, with fewer examples of each property")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples of each property are tried."""
    settings.load_profile("quick" if config.option.quick else os.environ.get("HYPOTHESIS_PROFILE", "test"))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing that the quick tests leave out: each process of them would pay for it."""
    return True if config.option.quick and is_whole(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is in `WHOLE`."""
    if is_whole(item.path):
        item.add_marker("whole")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and leave out the slowest, unless marks or names are asked for."""
    if not (config.option.markexpr or any("::" in name for name in config.args)):
        late = [item for item in items if item.get_closest_marker("slow") or item.get_closest_marker("promise")]
        leave_out(config, items, late)
    if config.option.quick:
        leave_out(config, items, [item for item in items if item.get_closest_marker("whole")])
    items.sort(key=lambda item: item.get_closest_marker("whole") is None)
    items[:] = share_out(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def leave_out(config: pytest.Config, items: list[pytest.Item], some: list[pytest.Item]) -> None:
    """Take some of the tests out of those that run."""
    config.hook.pytest_deselected(items=some)
    left = set(some)
    items[:] = [item for item in items if item not in left]


def pytest_collection_finish() -> None:
    """Collect garbage from here on, among what the tests themselves make."""
    gc.freeze()
    gc.enable()


def share_out(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """Return the tests in the order in which xdist, which hands them out in runs of equal length, shares them well.

    Each process begins with its share of the longest. What is to be together is one process's.
    """
    kept = [
        [item for item in items if name in (item.path.name, *getattr(item, "fixturenames", ()))] for name in TOGETHER
    ]
    together = {item for group in kept for item in group}
    shares: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for group in kept:
        min(shares, key=len).extend(group)
    for item in items:
        if item not in together:
            min(shares, key=len).append(item)
    return [item for share in sorted(shares, key=len) for item in share]


@pytest.fixture(autouse=True)
def secrets_of_one_test() -> Iterator[None]:
    """Forget the keys that a test registered: each command is a process of its own, which knows no others."""
    registered = text._secrets[:]
    yield
    text._secrets[:] = registered


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A private folder with a path short enough for a socket; pytest's own `tmp_path` is not."""
    with tempfile.TemporaryDirectory(prefix="relabel-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def session_redis() -> Iterator[EmbeddedServer]:
    """The server that the tests of this process share, one after the other; never stop or kill it."""
    with tempfile.TemporaryDirectory(prefix="relabel-") as path, embedded_server(Path(path)) as server:
        yield server


@pytest.fixture(scope="session")
def emptying(session_redis: EmbeddedServer) -> Iterator[redis.Redis]:
    """A connection to the shared server: one that each test made anew would take a tenth of a small test."""
    with redis.Redis.from_url(session_redis.ledger_url) as client:
        yield client


@pytest.fixture
def shared_redis(session_redis: EmbeddedServer, emptying: redis.Redis) -> EmbeddedServer:
    """The shared server, emptied: use its `ledger_url` and `broker_url`."""
    emptying.flushdb()
    return session_redis


@pytest.fixture
def redis_url(shared_redis: EmbeddedServer) -> str:
    """The ledger URL of an empty Redis."""
    return shared_redis.ledger_url


@pytest.fixture
def broker_url(shared_redis: EmbeddedServer) -> str:
    """The Celery URL of the same Redis as `redis_url`."""
    return shared_redis.broker_url


@pytest.fixture
def private_redis(state_dir: Path) -> Iterator[EmbeddedServer]:
    """A server for one test alone, which may flush it, stop it or kill it."""
    with embedded_server(state_dir) as server:
        yield server


@pytest.fixture(scope="session")
def faketime() -> None:
    """Skip where the clock of a server cannot be set; in CI that is a failure."""
    from tests.simulation.server import why_no_clock

    if why := why_no_clock():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
