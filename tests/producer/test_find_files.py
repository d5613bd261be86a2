"""Names, folders and patterns on the command line, and the files that they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.errors import UnreadableFile
from producer.find_files import MAX_FILES, find_files, input_name

FILES = (
    "b.csv",
    "a.csv",
    "day/2.csv",
    "day/1.csv",
    "day/_SUCCESS",
    "day/.1.csv.crc",
    "notes/x.txt",
    "notes/part-00000",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files, and stand among them."""
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "odd[1].csv").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link.csv").symlink_to("a.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["b.csv", "a.csv"], ["a.csv", "b.csv"]),
        (["b.csv", "a.csv", "b.csv", "./a.csv"], ["a.csv", "b.csv"]),
        (["a.csv", "link.csv"], ["a.csv"]),
        (["day"], ["day/1.csv", "day/2.csv"]),
        (["day/"], ["day/1.csv", "day/2.csv"]),
        (["day/*.csv"], ["day/1.csv", "day/2.csv"]),
        (["?.csv", "day"], ["a.csv", "b.csv", "day/1.csv", "day/2.csv"]),
        (["**/1.csv"], ["day/1.csv"]),
        (["odd[1].csv"], ["odd[1].csv"]),
        (["gone.csv"], ["gone.csv"]),
        (["-"], ["-"]),
    ],
)
def test_arguments_become_files_in_name_order_each_once(folder, arguments, paths):
    """What is not there stays, as opening it says so; a name with brackets that is there is no pattern."""
    assert [file.path for file in find_files(arguments)] == paths


def test_files_of_one_name_are_told_apart_by_their_paths(folder):
    """Every message and the report name the file."""
    (folder / "day" / "a.csv").write_bytes(b"")

    assert [file.name for file in find_files(["a.csv", "day/a.csv"])] == ["a.csv", "day/a.csv"]
    assert [file.name for file in find_files(["a.csv", "day/1.csv"])] == ["a.csv", "1.csv"]
    assert [file.name for file in find_files(["/dev/fd/0", "a.csv"])] == ["/dev/fd/0", "a.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], "the name of a file is empty"),
        (["a.csv", ""], "the name of a file is empty"),
        (["-", "a.csv"], "standard input"),
        (["x*.csv"], "no file matches this pattern"),
        (["empty"], "there is no file in this folder"),
        (["notes"], "part-00000: the name of this file does not show the format; set --input-format"),
        (["."], "folder in a folder"),
    ],
)
def test_arguments_that_name_no_input_are_refused_with_the_next_step(folder, arguments, said):
    """Nothing in a folder is passed over in silence but what is hidden or of Spark."""
    with pytest.raises(UnreadableFile, match=said):
        find_files(arguments)


def test_files_of_a_folder_need_no_ending_where_the_format_is_stated(folder):
    """Hadoop's parts have none."""
    assert [file.path for file in find_files(["notes"], any_name=True)] == ["notes/part-00000", "notes/x.txt"]


@pytest.mark.parametrize("argument", ["many", "many/*.csv"])
def test_more_files_than_a_job_takes_are_refused(folder, argument):
    """The number of files is bounded, as each job keeps their names."""
    (folder / "many").mkdir()
    for number in range(MAX_FILES + 1):
        (folder / "many" / f"{number}.csv").touch()

    with pytest.raises(UnreadableFile, match="more than 1,000 files"):
        find_files([argument])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["-"], "stdin"),
        (["/dev/stdin"], "stdin"),
        (["day/1.csv"], "1.csv"),
        (["day/"], "day"),
        (["day/*.csv"], "*.csv"),
        (["."], "."),
        (["day/1.csv", "day/2.csv", "b.csv"], "1.csv and 2 more"),
    ],
)
def test_a_job_is_called_after_what_was_named(arguments, name):
    """`jobs` shows it in a line."""
    assert input_name(arguments) == name
