"""What cannot be meant is refused in one sentence, before anything is stored or sent."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.end_to_end.cli_process import CliProcess, Ended
from tests.end_to_end.expectation import new_ids, simple_csv

ONE, TWO = new_ids(2)
GOOD = simple_csv([ONE, TWO])
KEY = {"OPENAI_API_KEY": "sk-secret-4711", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
BAD_FILES: list[tuple[str, bytes, list[str]]] = [
    ("empty.csv", b"", []),
    ("no id column.csv", b"team,stage\nblue,1\n", ["id column"]),
    ("no metadata column.csv", b"completion_id\nchatcmpl-a\n", ["metadata column"]),
    ("two id columns.csv", b"id,completion_id,team\na,b,c\n", ["column 2"]),
    ("same column twice.csv", b"id,team,team\na,b,c\n", ["column 3"]),
    ("nameless column.csv", b"id,,team\na,b,c\n", ["column 2"]),
    ("metadata and key.csv", b'id,metadata,team\na,"{}",c\n', ["column 3", "team"]),
    ("unclear.csv", f"completion_id,a;b\n{ONE},x;y\n".encode(), ["line 1", "--delimiter ';'"]),
    ("space before quote.csv", f'completion_id,team\n{ONE}, "blue"\n'.encode(), ["line 2", "column 2", "space"]),
    ("unclosed quote.csv", f'completion_id,team\n{ONE},"blue\n{TWO},red\n'.encode(), ["line 2"]),
    ("utf-16.csv", GOOD.encode("utf-16"), ["UTF-16"]),
    ("torn.csv.gz", gzip.compress(GOOD.encode() * 50)[:-20], []),
    ("not packed.csv.gz", GOOD.encode(), []),
    ("not packed.jsonl.zst", b"{}", []),
    ("array.json", b'[{"completion_id": "chatcmpl-a"}]', ["jq -c '.[]' array.json"]),
    ("rows.parquet", b"PAR1", ["Parquet", "CSV"]),
    ("rows.txt", GOOD.encode(), ["--input-format csv"]),
]


def refused(ended: Ended) -> str:
    """Check that the command was refused in one sentence; give the sentence."""
    assert (ended.code, ended.out) == (2, ""), ended
    sentence = ended.err.splitlines()[-1]
    assert sentence.startswith("relabel: ")
    assert "Traceback" not in ended.err
    assert "sk-secret" not in ended.err
    return sentence


@pytest.mark.parametrize(("name", "content", "words"), BAD_FILES, ids=[name for name, _, _ in BAD_FILES])
async def test_a_bad_file_is_refused_with_its_name_and_the_place(
    relabel: CliProcess, name: str, content: bytes, words: list[str]
) -> None:
    """Exit code 2, and not even a Redis server was started."""
    ended = await relabel.here("run", relabel.file(name, content), **KEY)

    sentence = refused(ended)
    assert len(ended.err.splitlines()) == 1
    assert sentence.startswith(f"relabel: {name}")
    for word in words:
        assert word in sentence
    assert not any(relabel.state.iterdir())


async def test_a_file_that_is_not_there_is_refused(relabel: CliProcess) -> None:
    """Exit code 2, with the name."""
    assert "missing.csv" in refused(await relabel.here("run", "missing.csv", **KEY))


async def test_strict_refuses_a_file_with_an_invalid_row(relabel: CliProcess) -> None:
    """The row is named, and nothing is stored or sent."""
    ended = await relabel.here("run", relabel.file("rows.csv", GOOD + ",green\n"), "--strict", **KEY)

    assert "--strict" in refused(ended)
    assert "line 4, column completion_id: the id is empty" in ended.err
    assert not any(relabel.state.iterdir())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"OPENAI_API_KEY": ""}, ["OPENAI_API_KEY is not set", "--sandbox"]),
        ({"OPENAI_BASE_URL": "http://api.example.com/v1"}, ["OPENAI_BASE_URL", "https"]),
        ({"RELABEL_RATE__PERMINUTE": "60"}, ["RELABEL_RATE__PERMINUTE", "did you mean RELABEL_RATE__PER_MINUTE?"]),
        ({"RELABEL_WORKER__CHILDREN": "none"}, ["RELABEL_WORKER__CHILDREN"]),
    ],
)
async def test_a_wrong_setting_is_refused_by_its_name(
    relabel: CliProcess, settings: dict[str, str], words: list[str]
) -> None:
    """Exit code 2 and what to do about it, before the file is looked at."""
    sentence = refused(await relabel.here("run", relabel.file("rows.csv", GOOD), **KEY | settings))

    for word in words:
        assert word in sentence
    assert not any(relabel.state.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "rows.csv", "--resume", "20261123-205318-c81e"],
        ["run", "rows.csv", "--rate", "fast"],
        ["run", "rows.csv", "--mode", "append"],
        ["run", "rows.csv", "--delimiter", "ab"],
        ["run", "rows.csv", "--columns", "team,team"],
        ["run", "rows.jsonl", "--delimiter", ";"],
        ["submit", "rows.csv"],
        ["dance"],
    ],
)
async def test_a_call_that_cannot_be_meant_is_refused(relabel: CliProcess, arguments: list[str]) -> None:
    """Exit code 2, no traceback."""
    relabel.file("rows.csv", GOOD)
    relabel.file("rows.jsonl", b"{}")

    ended = await relabel.here(*arguments, **KEY)

    assert (ended.code, ended.out, "Traceback" in ended.err) == (2, "", False)


async def test_a_verb_that_is_mistyped_is_answered_with_the_one_that_was_meant(relabel: CliProcess) -> None:
    """Where one is near; a stranger gets no guess."""
    mistyped, strange = await relabel("statsu", "x"), await relabel("dance")

    assert (mistyped.code, "did you mean 'status'?" in mistyped.err) == (2, True)
    assert (strange.code, "did you mean" in strange.err) == (2, False)


async def test_a_job_that_is_not_there_is_told(relabel: CliProcess) -> None:
    """Exit code 2, and where to look."""
    ended = await relabel("run", "--resume", "20261123-205318-c81e", "--sandbox")

    assert "there is no job 20261123-205318-c81e; `relabel jobs` lists them" in refused(ended)


@pytest.mark.parametrize("url", ["redis://:pass-4711@127.0.0.1:9/0", "unix:///no/such/redis.sock?db=0"])
async def test_a_redis_that_cannot_be_reached_is_exit_code_4(relabel: CliProcess, url: str) -> None:
    """One sentence, and its password is not shown."""
    for arguments in (["run", "--sandbox", relabel.file("rows.csv", GOOD)], ["jobs"]):
        ended = await relabel(*arguments, RELABEL_REDIS__URL=url)

        assert (ended.code, ended.out) == (4, "")
        assert "Redis cannot be reached" in ended.err.splitlines()[-1]
        assert "Traceback" not in ended.err
        assert "pass-4711" not in ended.err


async def test_a_state_folder_that_cannot_be_made_is_told(relabel: CliProcess) -> None:
    """Exit code 4 and the folder's name."""
    in_the_way = Path(relabel.files / relabel.file("rows.csv", GOOD))

    ended = await relabel("run", "rows.csv", "--sandbox", RELABEL_STATE_DIR=str(in_the_way))

    assert (ended.code, "Traceback" in ended.err) == (4, False)
    assert str(in_the_way) in ended.err
