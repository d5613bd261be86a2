"""Several files that are checked as one input."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.input_files import InputFile, place_of
from ledger.job_spec import Mode
from ledger.row import Patch
from producer.check_files import check_files
from producer.checked import Checked
from producer.errors import UnreadableFile
from producer.find_files import FoundFile
from producer.source import InputLimits

LIMITS = InputLimits()
RED, NONE = "id,team\na,b\n", "id,team\n"


@pytest.fixture
def together(tmp_path: Path) -> Any:
    """Write files and check them as one input; what was checked is closed after the test."""
    opened: list[Checked] = []

    def check_together(limits: InputLimits = LIMITS, **contents: str) -> Checked:
        files = []
        for name, content in contents.items():
            name = name.replace("_", ".")  # noqa: PLW2901
            raw = content.encode()
            (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
            files.append(FoundFile(str(tmp_path / name), name))
        opened.append(check_files(files, mode=Mode.MERGE, limits=limits, spool_dir=tmp_path))
        return opened[-1]

    yield check_together
    for one in opened:
        one.close()


def patches(checked: Checked) -> list[Patch]:
    return [patch for shard in checked.shards(10) for patch in msgspec.msgpack.decode(shard.body, type=list[Patch])]


def places(checked: Checked, *lines: int) -> list[str]:
    return [str(place_of(line, checked.columns.files)) for line in lines]


def test_rows_of_all_files_are_one_input_and_know_their_places(together):
    """In the order of the files, each compressed or not, with or without a last line end."""
    checked = together(
        a_csv="id,team\nabc,red\n\ndef,blue", b_csv_gz="id,team\nghi,red\n,pink\n", c_csv="id,team\njkl,red\n"
    )

    found = patches(checked)
    assert [patch.completion_id for patch in found] == ["abc", "def", "ghi", "jkl"]
    assert places(checked, *(patch.line for patch in found)) == [
        "a.csv, line 2",
        "a.csv, line 4",
        "b.csv.gz, line 2",
        "c.csv, line 2",
    ]
    assert places(checked, *(row.line for row in checked.rejections())) == ["b.csv.gz, line 3"]


def test_an_empty_file_beside_others_is_passed_over_and_noted(together):
    """Spark writes a part for each of its partitions, also for those without a row."""
    checked = together(a_csv="", b_csv=RED, c_csv="")

    assert [patch.completion_id for patch in patches(checked)] == ["a"]
    assert places(checked, 2) == ["b.csv, line 2"]
    assert checked.reading.notices == ("2 files are empty, the first is a.csv",)


def test_rows_of_one_id_are_folded_over_files_and_the_later_file_wins(together):
    """Name order is the order of time where days are files."""
    checked = together(a_jsonl='{"id":"x","metadata":{"a":"1"}}\n', b_jsonl='\n{"id":"x","metadata":{"a":"2"}}\n')

    assert [patch.metadata for patch in patches(checked)] == [{"a": "2"}]
    [folded] = checked.unsent()
    assert places(checked, folded.line, folded.folded_into) == ["b.jsonl, line 2", "a.jsonl, line 1"]


def test_a_row_that_is_too_much_with_one_of_another_file_names_both(together):
    """The reason stands beside the row in the report."""
    many = "".join(f',"k{n}":"x"' for n in range(16))[1:]
    checked = together(
        a_jsonl=f'{{"id":"x","metadata":{{{many}}}}}\n', b_jsonl='{"id":"x","metadata":{"one":"more"}}\n'
    )

    [rejection] = checked.rejections()
    assert rejection.reason.startswith("with a.jsonl, line 1 it sets 17 pairs")
    assert places(checked, rejection.line) == ["b.jsonl, line 1"]


def test_one_file_has_no_list_of_files(together):
    """Its job is stored as those of release one are."""
    assert together(a_csv="id,team\nabc,red\n").columns.files == []


def test_a_header_alone_passes_beside_files_with_rows(together):
    """Spark writes such a part where it has no rows for one."""
    checked = together(a_csv="id,team\n", b_csv="id,team\nabc,red\n")

    assert checked.columns.files == [InputFile("a.csv", 0), InputFile("b.csv", 1)]
    assert checked.total == 1


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"a_csv": RED, "b_jsonl": '{"id":"x","metadata":{}}\n'}, "b.jsonl: this file is JSONL, but a.csv is CSV"),
        (
            {"a_csv": RED, "b_csv": "id,Team\na,b\n"},
            "b.csv: the columns are not those of a.csv (missing: 'team'; new: ",
        ),
        ({"a_csv": "id,x,y\na,b,c\n", "b_csv": "id,y,x\na,b,c\n"}, "of a.csv (they stand in another order)"),
        ({"a_csv": "", "b_csv": ""}, "b.csv: the file is empty"),
        ({"a_csv": RED, "b_csv": 'id,team\na,"b\nc,d\n'}, "b.csv, line 2, column 2: a quote is opened here"),
        ({"a_csv": NONE, "b_csv": NONE}, "a.csv and 1 more: there are no rows"),
    ],
)
def test_files_that_do_not_belong_together_are_refused_by_name(together, contents, said):
    """The file that is named is the one to look at."""
    with pytest.raises(UnreadableFile) as caught:
        together(**contents)

    assert said in str(caught.value)


def test_no_valid_row_names_the_file_of_the_first_one(together):
    """The place is that in the file."""
    checked = together(a_csv="id,team\n,red\n", b_csv="id,team\n,red\n")

    with pytest.raises(UnreadableFile, match=r"a day: all 2 rows are rejected.* a\.csv, line 2, column id: the id is"):
        checked.require_valid_row("a day")


@pytest.mark.parametrize("limits", [InputLimits(rows=2), InputLimits(size=30)])
def test_the_limits_are_those_of_all_files(together, limits):
    """A folder of small files fills the disk as one large file does."""
    with pytest.raises(UnreadableFile, match=r"c\.csv.*RELABEL_INPUT__MAX_ROWS"):
        together(limits, a_csv="id,team\na,b\n", b_csv="id,team\nc,d\n", c_csv="id,team\ne,f\n")
