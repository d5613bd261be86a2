"""The Pythons that relabel says it is for are those that `make pythons` runs the tests on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.pythons.__main__ import RUNS, normal

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_package_names_the_pythons_that_are_tested():
    """In its classifiers, and as the oldest that it takes; the oldest and the newest libraries are tried, too."""
    tested = {version for version, _ in RUNS}

    assert {line.rpartition(" :: ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line} == tested
    assert PROJECT["requires-python"] == f">={min(tested)}"
    assert {which for _, which in RUNS} == {"oldest", "pinned", "newest"}


def test_a_name_is_spelt_in_one_way():
    """As files of pins spell it differently."""
    assert {normal(pin) for pin in ("backports.zstd==1", "backports-zstd==1.8 ; x", "Backports_zstd==2")} == {
        "backports-zstd"
    }
    assert not re.search("[A-Z]", normal("PyYAML==6"))
