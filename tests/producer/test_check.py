"""A whole file, checked and cut into shards."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ledger.codec import pack_shard, unpack_shard
from ledger.job_spec import Columns, Mode
from ledger.row import Patch, Rejection
from producer.check import check, check_rows
from producer.errors import UnreadableFile
from producer.source import open_source


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


CSV = "id,team\n" + "".join(f"id-{n},red\n" for n in range(10))


@pytest.mark.parametrize(("size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (100, [10]), (1, [1] * 10)])
def test_shards_hold_the_patches_in_order(checked, size, sizes):
    """All shards but the last are full, and each body is an array as the ledger stores it."""
    shards = list(checked("p.csv", CSV).shards(size))
    patches = [patch for shard in shards for patch in unpack_shard(pack_shard(shard.body), shard.rows)]

    assert [shard.rows for shard in shards] == sizes
    assert patches == [Patch(n + 2, f"id-{n}", {"team": "red"}) for n in range(10)]


def test_shards_skip_the_rows_that_were_folded(checked):
    """Rows folded away leave no holes, and rewritten rows stand where the first one stood."""
    content = "id,k\na,1\nb,1\na,2\nc,1\nb,2\nd,1\na,3\n"
    result = checked("p.csv", content)

    for size in (1, 2, 3, 4, 9):
        shards = list(result.shards(size))
        patches = [patch for shard in shards for patch in unpack_shard(pack_shard(shard.body), shard.rows)]

        assert [(patch.line, patch.completion_id, patch.metadata["k"]) for patch in patches] == [
            (2, "a", "3"),
            (3, "b", "2"),
            (5, "c", "1"),
            (7, "d", "1"),
        ]


def test_counts_add_up_to_the_rows_of_the_file(checked):
    """Good, unchanged, folded and rejected rows are all there is."""
    result = checked("p.csv", "id,k\na,1\n,1\na,2\nshort\nb,1\n\nc,\n")

    assert (result.total, result.unchanged, result.folded, result.rejected) == (2, 1, 1, 2)
    assert [row.line for row in result.rejections()] == [3, 5]
    assert list(result.rejections()) == list(result.rejections())


def test_a_header_alone_is_refused(checked):
    """A job without rows would be a success that did nothing."""
    with pytest.raises(UnreadableFile, match=r"^p\.csv: there are no rows below the header; add at least one$"):
        checked("p.csv", "id,k\n")


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("p.csv", "id,k,l\na,1,\nb,,\n,2,\na,,\n", [3, 5]),
        ("p.csv", 'id,metadata\na,"{""k"": ""1""}"\nb,{}\n,{}\na,\n', [3, 5]),
        (
            "p.jsonl",
            '{"id": "a", "metadata": {"k": "1"}}\n{"id": "b", "metadata": {}}\n{}\n{"id": "a", "metadata": { }}\n',
            [2, 4],
        ),
    ],
)
def test_a_row_without_a_change_is_unchanged_in_merge_mode(checked, name, content, lines):
    """Nothing is sent for it; a row whose id is missing is rejected."""
    result = checked(name, content, mode=Mode.MERGE)

    assert (result.total, result.unchanged, result.folded, result.rejected, result.cleared) == (1, 2, 0, 1, 0)
    assert [(row.line, row.patch.metadata, row.folded_into) for row in result.unsent()] == [
        (line, {}, None) for line in lines
    ]


def test_a_row_without_metadata_means_none_in_replace_mode(checked):
    """It is counted, by what is left of it where rows of one id replace each other."""
    content = 'id,metadata\na,{}\nb,{}\nb,"{""k"": ""1""}"\nc,"{""k"": ""1""}"\nc,{}\nd,{}\nd,{}\n'

    result = checked("p.csv", content, mode=Mode.REPLACE)

    [shard] = result.shards(10)
    patches = unpack_shard(pack_shard(shard.body), shard.rows)
    assert [(patch.completion_id, patch.metadata) for patch in patches] == [
        ("a", {}), ("b", {"k": "1"}), ("c", {}), ("d", {}),
    ]  # fmt: skip
    assert (result.total, result.unchanged, result.folded, result.cleared) == (4, 0, 3, 3)


def test_a_file_without_a_valid_row_says_why(checked):
    """With the place and the reason of the first; one valid row, or one without a change, is enough."""
    with pytest.raises(UnreadableFile) as refused:
        checked("p.csv", "id,k\na\n,x\n").require_valid_row("p.csv")

    assert str(refused.value) == (
        "p.csv: all 2 rows are rejected, so there is no job; correct the file. Line 2: the row has 1 cell; the "
        "header has 2"
    )
    assert refused.value.line == 2
    checked("p.csv", "id,k\na\n,x\nb,\n").require_valid_row("p.csv")
    checked("p.csv", "id,k\na\n,x\nb,x\n").require_valid_row("p.csv")


def test_the_fingerprint_is_that_of_the_content(checked):
    """Compression, BOM and line ends do not change it; a value, an order, a rejected or an unchanged row does."""
    same = [
        checked("p.csv", CSV),
        checked("other.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        checked("p.csv.gz", gzip.compress(CSV.encode())),
    ]
    lines = CSV.splitlines(keepends=True)
    different = [
        checked("p.csv", CSV.replace("id-9,red", "id-9,blue")),
        checked("p.csv", "".join([lines[0], *reversed(lines[1:])])),
        checked("p.csv", CSV + "short\n"),
        checked("p.csv", CSV + "id-10,\n"),
    ]

    assert len({result.fingerprint for result in same}) == 1
    assert len({result.fingerprint for result in [same[0], *different]}) == 5
    assert len(bytes.fromhex(same[0].fingerprint)) == 32


def test_the_fingerprint_does_not_depend_on_the_process(tmp_path):
    """Python salts its hashes for each process; the same file must still be known again."""
    path = tmp_path / "p.csv"
    path.write_text(CSV + "id-3,blue\n,x\n")
    script = (
        "import sys; from pathlib import Path; from ledger.job_spec import Mode\n"
        "from producer.check import check; from producer.source import open_source\n"
        "with open_source(sys.argv[1]) as s, check(s, mode=Mode.MERGE, spool_dir=Path(sys.argv[2])) as c:\n"
        "    print(c.fingerprint, [shard.body.hex() for shard in c.shards(3)])\n"
    )
    seen = {
        subprocess.check_output(
            [sys.executable, "-c", script, path, tmp_path], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    }

    assert len(seen) == 1


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path):
    """The files have no name even while they are in use."""
    path = tmp_path / "p.csv"
    path.write_text(CSV)
    with open_source(path) as source, check(source, mode=Mode.MERGE, spool_dir=tmp_path) as result:
        assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]
        assert result.total == 10
    result.close()


def test_an_unreadable_file_leaves_nothing_behind(tmp_path):
    """The temporary files are closed on the way out."""
    path = tmp_path / "p.csv"
    path.write_text(CSV + 'x,"open\n')
    before = open_files()
    with pytest.raises(UnreadableFile), open_source(path) as source:
        check(source, mode=Mode.MERGE, spool_dir=tmp_path)

    assert open_files() == before


def test_a_missing_folder_for_temporary_files_is_named(tmp_path):
    """The message says which folder and why."""
    path = tmp_path / "p.csv"
    path.write_text(CSV)
    with open_source(path) as source, pytest.raises(UnreadableFile, match=r"gone: .*No such file or directory"):
        check(source, mode=Mode.MERGE, spool_dir=tmp_path / "gone")


def test_a_full_disk_is_one_plain_error(tmp_path):
    """A file size limit stands in for a full disk: it fails the same write in the same place."""
    path = tmp_path / "p.csv"
    path.write_text("id,k\n" + "".join(f"id-{n},{'x' * 400}\n" for n in range(5000)))
    script = (
        "import resource, signal, sys; from pathlib import Path; from ledger.job_spec import Mode\n"
        "from producer.check import check; from producer.source import open_source\n"
        "from producer.errors import UnreadableFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    with open_source(sys.argv[1]) as s, check(s, mode=Mode.MERGE, spool_dir=Path(sys.argv[2])) as c: pass\n"
        "except UnreadableFile as error: print(error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, path, tmp_path], capture_output=True, text=True, check=True
    )

    assert "cannot be kept here (File too large); free some space" in run.stdout
    assert run.stderr == ""


def test_rows_that_come_from_elsewhere_are_checked_the_same(tmp_path):
    """An undo job reads its rows from the journal, not from a file."""

    class Given:
        columns = Columns("jsonl", "id", [])

        def __iter__(self):
            yield Patch(1, "abc", {"a": "1"})
            yield Rejection(2, None, "no", [])
            yield Patch(3, "abc", {"b": None})

    with check_rows(Given(), mode=Mode.MERGE, spool_dir=tmp_path) as result:
        [shard] = result.shards(10)

    assert msgspec.msgpack.Decoder(list[Patch]).decode(shard.body) == [Patch(1, "abc", {"a": "1", "b": None})]
    assert (result.folded, result.rejected) == (1, 1)
