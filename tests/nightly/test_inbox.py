"""Which files of a folder are taken, and how they are put away."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

import pytest

from nightly.inbox import DONE, ID_FILE, MOST_FILES, REJECTED, Inbox, InboxFile
from report.folder import open_folder
from report.whole_file import Access, whole_file_in

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
    found = Inbox(folder).list_files(quiet_s=60, now=NOW)

    assert [file.name for file in found if not file.skip_reason] == ["a.JSONL.zst", "b.csv", "c.ndjson"]
    left = {file.name: file.skip_reason for file in found if file.skip_reason}
    assert set(left) == {"link.csv", "read me.txt", "young.csv"}
    assert "60 s" in left["young.csv"]
    assert "not a regular file" in left["link.csv"]


def test_a_name_that_nothing_can_be_done_with_is_left_with_a_reason(folder):
    """It is not UTF-8, or leaves no room for the name of a report."""
    (folder / f"{'n' * 200}.csv").write_text("x")
    (folder / os.fsdecode(b"caf\xe9.csv")).write_text("x")

    left = {file.name: file.skip_reason for file in Inbox(folder).list_files(quiet_s=0, now=NOW)}

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
    mark = Inbox(folder).inbox_id()

    assert Inbox(folder).inbox_id() == mark
    assert len(mark) == 16
    assert [path.name for path in folder.glob(".relabel*")] == [".relabel-inbox"]


# --- somebody who may write to the inbox, and means harm ---


@pytest.fixture
def secret(tmp_path_factory) -> Path:
    """A file outside the inbox that the worker may read."""
    path = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    path.write_text("sekret")  # as long as b.csv, and as old
    os.utime(path, (NOW - 3600,) * 2)
    return path


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def hard_link(path: Path, secret: Path) -> None:
    os.link(secret, path)


def link_to_zero(path: Path, secret: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, secret: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def other_file(path: Path, secret: Path) -> None:
    path.write_text(secret.read_text())
    os.utime(path, (NOW - 3600,) * 2)


SWAPS = [link, hard_link, link_to_zero, pipe, unix_socket, other_file]


@pytest.mark.parametrize("put", SWAPS)
def test_a_file_that_was_swapped_after_it_was_listed_is_neither_read_nor_filed_away(folder, secret, put):
    """Not even with the size and the time of the one that was listed."""
    inbox = Inbox(folder)
    (folder / "b.csv").write_text("honest")
    os.utime(folder / "b.csv", (NOW - 3600,) * 2)
    listed = next(file for file in inbox.list_files(quiet_s=60, now=NOW) if file.name == "b.csv")
    (folder / "b.csv").rename(folder / ".kept")  # so that its number is not given to the next file
    put(folder / "b.csv", secret)

    with inbox.opened(listed) as stream:
        assert stream is None
    assert not inbox.is_unchanged(listed)
    assert not inbox.file_away(listed, inbox.free_place(DONE, "b.csv", "2026-11-25"))
    assert names(folder / DONE) == []


@pytest.mark.parametrize("put", [link, hard_link, link_to_zero, pipe, unix_socket])
def test_what_is_no_plain_file_of_its_own_is_left_with_a_reason(folder, secret, put):
    """It may be another file of the worker, or one without an end."""
    put(folder / "new.csv", secret)

    (file,) = (file for file in Inbox(folder).list_files(quiet_s=60, now=NOW) if file.name == "new.csv")

    assert file.skip_reason


@pytest.mark.parametrize("put", [link, hard_link, link_to_zero, pipe, unix_socket])
def test_a_mark_that_relabel_did_not_write_is_refused_with_a_sentence(folder, secret, put):
    """It is neither waited for nor repeated."""
    put(folder / ID_FILE, secret)

    with pytest.raises(OSError, match=r"remove it") as caught:
        Inbox(folder).inbox_id()

    assert "sekret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe" * 8, b"0" * (1 << 20), b"../../etc/passwd"])
def test_a_mark_of_other_content_is_refused_with_a_sentence(folder, content):
    """Empty, no text, endless, or a path."""
    (folder / ID_FILE).write_bytes(content)

    with pytest.raises(OSError, match=r"16 hex digits"):
        Inbox(folder).inbox_id()


@pytest.mark.parametrize("name", [DONE, REJECTED])
def test_a_link_in_place_of_a_folder_is_refused(folder, secret, name):
    """Else reports and files would be written where it leads."""
    inbox = Inbox(folder)
    listed = taken(folder, "b.csv")
    (folder / name).symlink_to(secret.parent)

    with pytest.raises(OSError, match="put a folder in its place"):
        inbox.free_place(name, "b.csv", "2026-11-25")
    with pytest.raises(OSError, match="put a folder in its place"):
        inbox.file_away(listed, f"{name}/b.csv")
    with pytest.raises(OSError, match="put a folder in its place"), inbox.place(f"{name}/b.csv"):
        pass
    assert names(secret.parent) == ["secret.csv"]


def test_a_folder_that_is_swapped_for_a_link_while_it_is_written_to_leads_nowhere(folder, secret):
    """What was opened stays what it was."""
    inbox = Inbox(folder)
    place = inbox.free_place(DONE, "b.csv", "2026-11-25")
    with inbox.place(place) as (target, name):
        (folder / DONE).rename(folder / "moved")
        (folder / DONE).symlink_to(secret.parent)
        with whole_file_in(target, f"{name}.reason.txt") as write:
            write(b"a reason")

    assert names(secret.parent) == ["secret.csv"]
    assert names(folder / "moved") == ["b.csv.reason.txt"]


@pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "..", "", "a\0b"])
def test_a_name_or_a_place_that_is_a_path_is_refused(folder, secret, name):
    """They come from Redis, which others may write to."""
    inbox = Inbox(folder)
    with pytest.raises(OSError, match="not the name of a file"):
        inbox.is_unchanged(InboxFile(name, 6, 0))
    with pytest.raises(OSError, match="not the name of a file"):
        inbox.file_away(taken(folder, "b.csv"), f"done/{name}")
    with pytest.raises(OSError, match="not a place"):
        inbox.file_away(taken(folder, "b.csv"), f"../elsewhere/{name}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to a group that it is not in")
def test_what_lies_beside_a_file_is_for_the_same_group(folder):
    """The bits of its mode are about the file's own group."""
    with open_folder(folder) as opened, whole_file_in(opened, "report", Access(0o640, 12345)) as write:
        write(b"rows")

    found = (folder / "report").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o640, 12345)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may give a file to any group")
def test_what_cannot_be_given_to_the_files_group_is_for_no_group(folder):
    """Else the worker's own group could read it."""
    with open_folder(folder) as opened, whole_file_in(opened, "report", Access(0o640, 12345)) as write:
        write(b"rows")

    assert stat.S_IMODE((folder / "report").stat().st_mode) == 0o600


def test_at_most_so_many_files_are_listed_and_those_to_take_come_first(folder):
    """A folder full of names does not fill memory and Redis; what is left out waits for the next night."""
    for number in range(MOST_FILES + 5):
        (folder / f"{number:05}.txt").touch()

    found = Inbox(folder).list_files(quiet_s=60, now=NOW)

    assert len(found) == MOST_FILES
    assert [file.name for file in found if not file.skip_reason] == ["a.JSONL.zst", "b.csv", "c.ndjson"]


def names(folder: Path) -> list[str]:
    """The names in a folder."""
    return [path.name for path in folder.iterdir()]


def taken(folder: Path, name: str) -> InboxFile:
    """A file as it was looked at."""
    found = (folder / name).stat()
    return InboxFile(name, found.st_size, found.st_mtime_ns, inode=found.st_ino)
