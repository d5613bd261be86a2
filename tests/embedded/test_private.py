"""The state folder is its owner's alone, whatever the umask, and so are the logs in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.errors import NotPrivate
from embedded.private import make_private, open_private
from embedded.server import embedded_server


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A umask that keeps nothing from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_not_there_is_made_for_its_owner_alone(state_dir: Path) -> None:
    """And so is each above it: who may write to one of those could put another in its place."""
    folder = state_dir / "state" / "relabel"

    make_private(folder)

    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)


def test_a_folder_of_release_one_is_closed(state_dir: Path) -> None:
    """It was readable, with a log in it that was, too."""
    folder = state_dir / "relabel"
    (folder / "redis").mkdir(parents=True)
    folder.chmod(0o755)

    make_private(folder)

    assert mode(folder) == 0o700


@pytest.mark.parametrize(("old", "with_redis"), [(0o755, False), (0o777, True), (0o1777, True), (0o770, True)])
def test_a_folder_that_others_may_change_is_refused(state_dir: Path, old: int, with_redis: bool) -> None:
    """Such as /tmp or a home; it keeps its mode, and no server is started there."""
    folder = state_dir / "shared"
    (folder / "redis").mkdir(parents=True) if with_redis else folder.mkdir()
    folder.chmod(old)

    with pytest.raises(NotPrivate, match="chmod 700"), embedded_server(folder):
        pass

    assert mode(folder) == old


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_is_refused(state_dir: Path) -> None:
    """As where sudo keeps the home."""
    folder = state_dir / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)

    with pytest.raises(NotPrivate, match="another user"), embedded_server(folder):
        pass


def test_a_log_is_its_owners_alone_and_written_at_its_end(state_dir: Path) -> None:
    """Also one that was readable before."""
    log = state_dir / "worker.log"
    log.write_text("before\n")
    log.chmod(0o644)

    with open_private(log) as file:
        file.write(b"after\n")

    assert log.read_text() == "before\nafter\n"
    assert mode(log) == 0o600


@pytest.mark.parametrize("kind", ["link", "dangling link", "second name", "pipe"])
def test_nothing_is_written_where_a_log_was_replaced(state_dir: Path, kind: str) -> None:
    """Neither through a link, nor into a pipe that nobody reads."""
    log, theirs = state_dir / "worker.log", state_dir / "theirs"
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "second name":
        theirs.touch()
        log.hardlink_to(theirs)
    else:
        log.symlink_to(theirs)
        if kind == "link":
            theirs.touch()

    with pytest.raises((NotPrivate, OSError)), open_private(log) as file:
        file.write(b"secret")

    assert not theirs.exists() or theirs.read_bytes() == b""
