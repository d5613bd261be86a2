"""The walk in its namespaces: `python -m tests.containers.walk FOLDER`, started by `python -m tests.containers`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox.options import SandboxOptions
from tests.containers import keeping, starting, working
from tests.containers.deployment import Deployment
from tests.containers.documented import Documented
from tests.containers.engine import BRIDGE, running_engine
from tests.containers.stand_ins import WHEELS_PORT, load_images
from tests.harness.sandbox_thread import running_api

STEPS: tuple[Callable[[Deployment], None], ...] = (
    starting.without_an_env_file,
    starting.secrets,
    starting.build,
    starting.bill_of_materials,
    starting.rehearsal,
    starting.up,
    starting.rights,
    starting.networks,
    starting.checks,
    working.submit,
    working.killed_child,
    working.killed_main,
    working.redis_restart,
    working.scale,
    working.replaced,
    working.nightly,
    working.web,
    keeping.prometheus,
    starting.hidden,
    keeping.backup,
    keeping.down,
)


def main() -> None:
    """Walk through the operations; the first step that fails ends it, with what the containers logged."""
    folder, archives = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None
    project = folder / "project"
    api = running_api(SandboxOptions(api_key=starting.KEY, latency_s=0.01), tls_at=BRIDGE)
    with running_engine(folder / "engine", data=folder / "data", project=project, log=folder / "dockerd.log") as engine:
        print(engine.sh("docker version --format 'engine {{.Server.Version}}' && docker compose version").out, end="")  # noqa: T201
        print("storage", engine.sh("docker info --format '{{.Driver}}, control groups {{.CgroupVersion}}'").out, end="")  # noqa: T201
        with served(folder / "wheels"), api as seen:
            print("stand-ins:", ", ".join(load_images(engine, folder, archives)) or "none", flush=True)  # noqa: T201
            run = Deployment(engine, seen, Documented(project / "docs/operations.md"))
            try:
                walk(run)
            except BaseException:
                print(engine.sh("docker compose logs --tail 30", check=False).out[-6000:])  # noqa: T201
                raise


def walk(run: Deployment) -> None:
    """Take all steps, and check that no documented command of the engine's was left out."""
    for step in STEPS:
        began = time.monotonic()
        what = (step.__doc__ or "").strip().splitlines()[0]
        print(f"{step.__name__}: {what}", flush=True)  # noqa: T201
        step(run)
        print(f"  ok, {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201
    assert (left := run.documented.not_run("docker ")) == [], f"documented, and not run: {left}"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[None]:
    """Serve the files that the image is built of, to the containers that build it."""
    command = [sys.executable, "-m", "http.server", str(WHEELS_PORT), "--bind", BRIDGE, "--directory", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        server.kill()


if __name__ == "__main__":
    main()
