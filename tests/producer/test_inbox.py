"""Which files of a folder are taken, and how they are put away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from producer.inbox import DONE, Dropped, Inbox

NOW = 1_763_900_000.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.csv", "a.JSONL.zst", "c.ndjson", "part.csv.tmp", ".x.csv", "read me.txt", "young.csv"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (NOW - 3600,) * 2)
    os.utime(tmp_path / "young.csv", (NOW - 59,) * 2)
    (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "sub.csv").mkdir()
    return tmp_path


def test_whole_files_are_taken_in_name_order_and_others_are_left_with_a_reason(folder):
    """Hidden files, half-written ones by their name, and folders are not even mentioned."""
    found = Inbox(folder).look(quiet_s=60, now=NOW)

    assert [file.name for file in found if not file.left] == ["a.JSONL.zst", "b.csv", "c.ndjson"]
    left = {file.name: file.left for file in found if file.left}
    assert set(left) == {"link.csv", "read me.txt", "young.csv"}
    assert "60 s" in left["young.csv"]
    assert "no plain file" in left["link.csv"]


def test_a_name_that_nothing_can_be_done_with_is_left_with_a_reason(folder):
    """It is not UTF-8, or leaves no room for the name of a report."""
    (folder / f"{'n' * 200}.csv").write_text("x")
    (folder / os.fsdecode(b"caf\xe9.csv")).write_text("x")

    left = {file.name: file.left for file in Inbox(folder).look(quiet_s=0, now=NOW)}

    assert left["caf\\xe9.csv"] == "its name is not UTF-8; rename it"
    assert left[f"{'n' * 200}.csv"].startswith("its name is longer than 200 bytes")


def test_nothing_in_done_is_overwritten(folder):
    """A file, or a report without its file, keeps its name to itself."""
    inbox = Inbox(folder)
    assert inbox.free_place(DONE, "b.csv", "2026-11-25") == "done/b.csv"
    (folder / DONE / "b.csv.report.csv").write_text("a report")
    assert inbox.free_place(DONE, "b.csv", "2026-11-25") == "done/2026-11-25.b.csv"
    (folder / DONE / "2026-11-25.b.csv").write_text("a file")
    assert inbox.free_place(DONE, "b.csv", "2026-11-25") == "done/2026-11-25.2.b.csv"

    with pytest.raises(FileExistsError):
        inbox.file_away(taken(folder, "b.csv"), "done/2026-11-25.b.csv")
    assert (folder / DONE / "2026-11-25.b.csv").read_text() == "a file"
    assert (folder / "b.csv").read_text() == "b.csv"


def test_a_file_is_moved_once_and_only_if_it_is_the_one_that_was_read(folder):
    """Said twice, the second time is no fault."""
    inbox = Inbox(folder)
    read = taken(folder, "b.csv")
    place = inbox.free_place(DONE, "b.csv", "2026-11-25")

    assert inbox.file_away(read, place)
    assert inbox.file_away(read, place)
    (folder / "b.csv").write_text("a new one of that name")
    assert not inbox.file_away(read, place)
    assert (folder / "b.csv").read_text() == "a new one of that name"
    assert (folder / place).read_text() == "b.csv"


def test_the_mark_of_an_inbox_stays(folder):
    """Whoever asks, and nothing else is left."""
    mark = Inbox(folder).mark()

    assert Inbox(folder).mark() == mark
    assert len(mark) == 16
    assert [path.name for path in folder.glob(".relabel*")] == [".relabel-inbox"]


def taken(folder: Path, name: str) -> Dropped:
    """A file as it was looked at."""
    found = (folder / name).stat()
    return Dropped(name, found.st_size, found.st_mtime_ns)
