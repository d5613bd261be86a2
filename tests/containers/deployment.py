"""The deployment as its operators see it: their commands, what they read of it, and the jobs that they follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.containers.documented import Documented
from tests.containers.engine import Engine
from tests.harness.rehearsal import Done, Rows, check_done, new_rows, parent_of, processes_here, wait_for
from tests.harness.sandbox_thread import Api

RATE_PER_MINUTE = 12_000
SUBMIT = "docker compose run --rm -T relabel submit"


class Deployment:
    """What runs, from outside."""

    def __init__(self, engine: Engine, api: Api, documented: Documented) -> None:
        self.engine = engine
        self.sh = engine.sh
        self.api = api
        self.documented = documented
        self.figures: list[str] = []
        self._jobs = 0

    def do(self, beginning: str, *, stdin: bytes = b"", check: bool = True, **replaced: str) -> Done:
        """Carry out the documented command that begins so, with words of it replaced."""
        command = self.documented.command(beginning)
        for word, value in replaced.items():
            command = command.replace(word, value)
        return self.sh(command, stdin=stdin, check=check)

    def note(self, what: str) -> None:
        """Print a figure or a fact that was found."""
        self.figures.append(what)
        print(f"  {what}", flush=True)  # noqa: T201

    def rows(self, number: int) -> Rows:
        """Return new completions at the API, which no job has changed yet."""
        self._jobs += 1
        rows = new_rows(number, job=self._jobs)
        self.api.load(rows.before)
        return rows

    def submit(self, rows: Rows) -> str:
        """Submit the rows as the operations say; return the job's id."""
        self.write("patches.csv", rows.csv())
        return self.do(SUBMIT).out.split()[-1]

    def write(self, name: str, content: bytes) -> Path:
        """Write a file into the project's folder."""
        path = self.engine.tree / "project" / name
        path.write_bytes(content)
        return path

    def status(self, job_id: str) -> dict[str, Any]:
        """Return the JSON of a job."""
        shown = self.sh(f"docker compose run --rm -T relabel status {job_id} --json", check=False)
        facts: dict[str, Any] = json.loads(shown.out)
        return facts

    def wait_for_rows(self, rows: Rows, number: int) -> None:
        """Wait until so many of the rows were written, as the API saw it."""
        wait_for(lambda: len(self.api.updates(rows.before)) >= number, what=f"{number} rows are written")

    def check_done(self, job_id: str, rows: Rows) -> None:
        """Wait for the job's end; check that the API holds what each row asked for, and that each counts once."""
        self.note(check_done(self.api, rows, lambda: self.status(job_id)))

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers that run."""
        return self.sh(f"docker compose ps --quiet {service}").out.split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return all that the engine knows of a container."""
        facts: dict[str, Any] = json.loads(self.sh(f"docker inspect {container}").out)[0]
        return facts

    def processes(self, container: str) -> list[int]:
        """Return the processes of a container by their numbers here, its init first."""
        found = [int(self.inspect(container)["State"]["Pid"])]
        parents = {number: parent_of(number) for number in processes_here()}
        for number in found:
            found += [child for child, parent in parents.items() if parent == number]
        return found

    def main_process(self, container: str) -> int:
        """Return the number of a container's main process, the first below its init."""
        return self.processes(container)[1]

    def children(self, container: str) -> list[int]:
        """Return the numbers of the processes that a container's main process started."""
        main = self.main_process(container)
        return [number for number in self.processes(container) if parent_of(number) == main]
