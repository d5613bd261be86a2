"""The image: what goes into it, and its build steps carried out without a container engine."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKED = ("requirements", "build-requirements", "sbom-requirements")
"""What the image is made of, what builds it, and what lists what it holds; `make lock` writes them."""
OLDER = {"async-timeout"}
"""What Python before 3.11.3 needs, which the tests do not run with."""
PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", flags=re.MULTILINE)
LONGEST_S = 240.0


def build_context() -> list[str]:
    """What `.dockerignore` lets through; all else is left out."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def test_every_package_and_nothing_secret_goes_into_the_image():
    """A package that is new is let through; what is let through is in the repository's own list of files."""
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    files = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "examples",
        "deploy/build.sh",
        "deploy/sbom.sh",
        "deploy/sbom.py",
    }
    files |= {f"deploy/{name}.txt" for name in LOCKED}

    assert set(build_context()) == packages | files
    for secret in (".env", "secrets/"):
        assert secret in (ROOT / ".gitignore").read_text().splitlines()


def pins(file: str) -> dict[str, str]:
    """The version of each package that a file pins."""
    return {canonicalize_name(name): version for name, version in PINNED.findall((ROOT / file).read_text())}


def test_the_image_is_built_of_what_the_tests_run_with_and_each_file_is_known_by_its_hash():
    """The versions of constraints.txt; all that relabel needs, down to the last."""
    tested, built = pins("constraints.txt"), pins("deploy/requirements.txt")
    for name in LOCKED:
        entries = re.split(r"\n(?=\w)", (ROOT / "deploy" / f"{name}.txt").read_text())[1:]
        assert entries
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []

    assert needed("relabel", frozenset({"flower", "web"})) <= built.keys()
    assert built.items() - tested.items() <= {item for item in built.items() if item[0] in OLDER}
    (backend,) = PROJECT["dependency-groups"]["build"]
    assert PROJECT["build-system"]["requires"] == [backend]
    assert canonicalize_name(Requirement(backend).name) in pins("deploy/build-requirements.txt")


def needed(package: str, extras: frozenset[str]) -> set[str]:
    """Return what an installed package needs here, and what that needs."""
    found: set[str] = set()
    waiting = [(package, extras)]
    while waiting:
        name, wanted = waiting.pop()
        for line in importlib.metadata.requires(name) or ():
            requirement = Requirement(line)
            marker = requirement.marker
            counts = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted))
            if counts and canonicalize_name(requirement.name) not in found:
                found.add(canonicalize_name(requirement.name))
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return found


def test_the_dockerfile_has_nothing_that_its_linter_knows_better():
    """hadolint, with its default rules."""
    hadolint = Path(sys.executable).parent / "hadolint"
    linted = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_image_has_one_pinned_base_and_no_root():
    """The Python that the tests ran with, twice, and a user by number."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)

    assert set(bases) == {bases[0], "build", "scratch"}
    assert bases.count(bases[0]) == 2
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
