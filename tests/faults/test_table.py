"""The table of faults in README.md tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TABLE = [line for line in (HERE / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")][2:]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", "\n".join(TABLE))))


def test_every_row_of_the_matrix_is_in_the_table() -> None:
    """Rows 1 to 39 each name a test."""
    rows = {int(number) for line in TABLE for number in re.findall(r"\d+", line.split("|")[1])}

    assert rows >= set(range(1, 40))
    assert all("::test_" in line for line in TABLE)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_table_names_is_there(file: str, name: str) -> None:
    """Renamed tests must not leave the table behind."""
    path = ROOT / file if "/" in file else HERE / file

    assert re.search(rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
