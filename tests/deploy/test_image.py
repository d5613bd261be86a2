"""The image: what goes into it, and its build steps carried out without a container engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LONGEST_S = 240.0


def build_context() -> list[str]:
    """What `.dockerignore` lets through; all else is left out."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_every_package_and_nothing_secret_goes_into_the_image():
    """A package that is new is let through; what is let through is in the repository's own list of files."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    files = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "deploy/build.sh", "examples"}

    assert set(build_context()) == packages | files
    for secret in (".env", "secrets/"):
        assert secret in (ROOT / ".gitignore").read_text().splitlines()


def test_the_dockerfile_has_nothing_that_its_linter_knows_better():
    """hadolint, with its default rules."""
    hadolint = Path(sys.executable).parent / "hadolint"
    linted = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_image_has_one_pinned_base_and_no_root():
    """The Python that the tests ran with, twice, and a user by number."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)

    assert len(bases) == 2
    assert set(bases) == {bases[0]}
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    assert DOCKERFILE.rindex("USER 10001:10001") > DOCKERFILE.rindex("RUN ")


@pytest.mark.promise
def test_the_build_steps_make_a_relabel_that_works_alone(tmp_path: Path):
    """From the files of the build context, by the script that the Dockerfile runs; then a rehearsal, far from here."""
    assert "RUN deploy/build.sh /opt/relabel\n" in DOCKERFILE
    context, home = tmp_path / "context", tmp_path / "home"
    home.mkdir()
    for name in build_context():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, context / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELABEL_", "OPENAI_", "PYTHON"))}
    told = {"HOME": str(home), "PYTHON": sys.executable, "RELABEL_RATE__PER_MINUTE": "6000"}
    environment = kept | told | {"XDG_STATE_HOME": str(home)}

    program = tmp_path / "made" / "bin" / "relabel"
    rehearsal = [str(program), "run", "--sandbox", str(context / "examples" / "relabel.csv")]
    steps = [["deploy/build.sh", str(tmp_path / "made")], rehearsal]
    for folder, step in zip((context, home), steps, strict=True):
        done = subprocess.run(
            step, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert program.with_name("celery").exists()
