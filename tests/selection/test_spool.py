"""What a selection found outlives it, up to the last page that was stored whole; and is its owner's alone."""

from __future__ import annotations

import os
import stat

import pytest

from completions.list_place import Cursor
from selection.completion import Completion
from selection.errors import BadSelection
from selection.spool import Mark, open_spool

NOW = 1_795_003_200.0
DAY = 86_400.0
PAGES = [
    [Completion("chatcmpl-aaa", 5, "gpt-4o", {"k": "v\n\u2028é"}), Completion("chatcmpl-bbb", None, None, {})],
    [],
    [Completion("chatcmpl-ccc", 4, "gpt-4o", {"[": "{"})],
]


def opened(path, fingerprint="f", now=NOW):
    return open_spool(path, fingerprint, now=now, keep_s=DAY)


def fill(path):
    with opened(path) as spool:
        for number, page in enumerate(PAGES, start=1):
            spool.add(page, Mark(Cursor("desc", pages=number), number, number, 0.5, {"reason": number}))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.csv.partial"


def test_a_selection_goes_on_behind_its_last_page(path):
    """With the moment it began at, and what it had counted."""
    fill(path)

    with opened(path, now=NOW + 60) as spool:
        assert spool.began == NOW
        assert spool.mark == Mark(Cursor("desc", pages=3), 3, 3, 0.5, {"reason": 3})
        assert list(spool.completions()) == [each for page in PAGES for each in page]
        assert list(spool.completions()) == [each for page in PAGES for each in page]


def test_wherever_it_was_cut_off_whole_pages_are_left(path, tmp_path):
    """At every byte: a page is there whole with its mark, or not at all."""
    fill(path)
    content = path.read_bytes()
    head = content.index(b"\n") + 1
    for end in range(head, len(content) + 1):
        cut = tmp_path / "cut.partial"
        cut.write_bytes(content[:end])
        with opened(cut) as spool:
            pages = spool.mark.cursor.pages if spool.mark.cursor else 0
            assert list(spool.completions()) == [each for page in PAGES[:pages] for each in page]
            spool.add([Completion("chatcmpl-ddd", 1, None, {})], Mark(Cursor("desc", pages=9)))
        with opened(cut) as spool:
            assert spool.mark.cursor == Cursor("desc", pages=9)
            assert [each.id for each in spool.completions()][-1] == "chatcmpl-ddd"
        cut.unlink()


def test_what_a_crash_of_the_machine_left_is_cut_off(path):
    """Zeros in place of the last block."""
    fill(path)
    with path.open("ab") as file:
        file.write(b"\0" * 4096)

    with opened(path) as spool:
        assert spool.mark.matched == 3


def test_an_old_one_is_begun_anew(path):
    """What it saw may have changed."""
    fill(path)

    with opened(path, now=NOW + DAY + 1) as spool:
        assert (spool.began, spool.mark, list(spool.completions())) == (NOW + DAY + 1, Mark(), [])


def test_other_options_do_not_go_on_with_it(path):
    """And leave it as it is."""
    fill(path)
    content = path.read_bytes()

    with pytest.raises(BadSelection, match="other options"):
        opened(path, "g")
    assert path.read_bytes() == content


def test_one_without_a_page_is_removed_and_stands_in_nobodys_way(path):
    """A wrong key or URL is corrected, which makes another selection of it; a killed one leaves its head."""
    with opened(path):
        head = path.read_bytes()
    assert not path.exists()

    path.write_bytes(head + b'["chatcmpl-aaa",1,"gpt-4o",{}]\n')
    with opened(path, "g") as spool:
        assert (spool.mark, list(spool.completions())) == (Mark(), [])


@pytest.mark.parametrize(
    "content", [b"completion_id,team\n", b"{}", b'{"relabel_select":2,"fingerprint":"f","began":1}\n']
)
def test_a_file_that_is_none_of_a_selection_is_left_alone(path, content):
    """Whoever wrote it."""
    path.write_bytes(content)

    with pytest.raises(BadSelection, match="delete it"):
        opened(path)
    assert path.read_bytes() == content


def test_it_is_private_and_used_by_one_at_a_time(path):
    """Also where a file of this name is there that others may read."""
    path.touch(mode=0o644)
    with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(BadSelection, match="another"):
            opened(path)
    with opened(path):
        pass


def test_a_link_is_not_followed(path, tmp_path):
    """Somebody else may have put it there."""
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadSelection, match="symbolic"):
        opened(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_named_and_nothing_whole_is_lost(path):
    """`/dev/full` has no room for anything; a folder that is not there has none either."""
    with pytest.raises(BadSelection, match="No such file"):
        opened(path.parent / "none" / "out.partial")
    fill(path)
    with opened(path) as spool:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, spool._file.fileno())
        os.close(full)
        with pytest.raises(BadSelection, match="No space left"):
            spool.add(PAGES[0], Mark(Cursor("desc", pages=4)))
    with opened(path) as spool:
        assert spool.mark.matched == 3
