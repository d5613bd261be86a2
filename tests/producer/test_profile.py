"""What the rows of an input do, key by key, and the questions that they raise."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from ledger.job_spec import Mode
from ledger.row import Patch
from producer.checked import Checked
from producer.profile import MOST_KEYS, NULL_TEXTS, SAMPLE_CHARS, Profiler
from producer.questions import QUESTIONS, questions_about
from tests.harness.rows import lines, usual_id
from tests.producer.conftest import Check


def codes(checked: Checked) -> list[str]:
    """The codes of the questions that an input raises."""
    return [question.code for question in questions_about(checked)]


def test_keys_are_counted_as_a_plain_loop_counts_them() -> None:
    """Whatever mix of keys, removals and texts the rows have, and however many rows are counted together."""
    chance = random.Random(4)
    values = ["good", "bad", None, "", *sorted(NULL_TEXTS)]
    rows = [
        Patch(line, "c", {key: chance.choice(values) for key in chance.sample("abcdefgh", chance.randrange(9))})
        for line in range(1, 1500)
    ]
    profiler = Profiler()
    for start in range(0, len(rows), 64):
        profiler.add(rows[start : start + 64])

    profile = profiler.profile()

    pairs = [pair for row in rows for pair in row.metadata.items()]
    assert {each.key: each.set_in for each in profile.keys} == Counter(key for key, value in pairs if value is not None)
    assert {each.key: each.removed_in for each in profile.keys} == Counter(key for key, value in pairs if value is None)
    assert profile.null_texts == Counter(value for _, value in pairs if value in NULL_TEXTS)
    assert profile.rows == len(rows)


def test_keys_beyond_the_bound_are_counted_together() -> None:
    """Rows with keys of their own cost memory for the first thousand only."""
    profiler = Profiler()
    for row in range(MOST_KEYS + 500):
        profiler.add([Patch(row, "c", {f"k{row}": "v" * 512})])

    profile = profiler.profile()

    assert (len(profile.keys), profile.other_pairs) == (MOST_KEYS, 500)
    assert profile.keys[0].samples == ["v" * (SAMPLE_CHARS - 1) + "…"]


def test_samples_are_the_first_different_values_and_come_from_later_rows_too(checked: Check) -> None:
    """An empty cell is no value."""
    rows = ["good,", "good,search", "bad,", *["good,"] * 5000, *["good,docs"] * 200]

    quality, team = checked("p.csv", lines(*rows)).profile.keys

    assert (quality.samples, team.samples) == (["good", "bad"], ["search", "docs"])


@pytest.mark.parametrize(
    ("header", "rows", "is_asked"),
    [
        ("completion_id,Unnamed: 0,q", ["7,x"], True),
        ("completion_id,__index_level_0__,q", ["a,x"], True),
        ("completion_id,index,q", ["17,x", "23,x"], True),
        ("completion_id,index,q", ["left,x", "23,x"], False),
        ("completion_id,X,q", ["1,x", "2,x"], True),
        ("completion_id,No.,q", ["1,x", "2,x"], True),
        ("completion_id,Column,q", ["1.,x", "2.,x"], True),
        ("completion_id,n,q", ["0,x", "1,x", "2,x"], True),
        ("completion_id,n,q", ["0,x", "1,x"], False),
        ("completion_id,n,q", [f"{number},x" for number in range(1, 11)], True),
        ("completion_id,n,q", ["1,x", "2,x", "3,x"], False),
        ("completion_id,n,q", ["0,x", "1,x", "1,x"], False),
        ("completion_id,n,q", ["0,x", "700,x", "900,x"], False),
        ("completion_id,n,q", ["0,x", ",x", "2,x"], False),
        ("completion_id,n,q", ["0,x", "²,x", "3,x"], False),
    ],
)
def test_a_column_of_row_numbers_is_asked_about(
    checked: Check, header: str, rows: list[str], *, is_asked: bool
) -> None:
    """By the name that a tool gives it, or as its values count the rows; the question names its place alone."""
    result = checked("p.csv", lines(*rows, header=header))

    assert codes(result) == ["index_column"] * is_asked
    if is_asked:
        [(_, sentence)] = questions_about(result)
        assert sentence.startswith("column 2 ")


@pytest.mark.parametrize(
    ("value", "notice"),
    [
        (" good", "begin or end with white space"),
        ("good\u00a0", "begin or end with white space"),
        ("sch\u00c3\u00b6n", "read in a wrong encoding"),
        ("it\u00e2\u20ac\u2122s", "read in a wrong encoding"),
        ("caf\ufffd", "read in a wrong encoding"),
        ("good\u200b", "nobody sees"),
        ("'007", "begin with '"),
        ("it's 007", ""),
        ("1.23457E+15", "numbers in scientific notation"),
        ('"=""007"""', "formulas"),
        ("sch\u00f6n", ""),
        ("S\u00c3O PAULO", ""),
        ("1e5d", ""),
        ("a = b", ""),
    ],
)
def test_values_that_are_rarely_meant_are_noted(checked: Check, value: str, notice: str) -> None:
    """By their keys; the notice shows no value."""
    notices = checked("p.csv", lines(f"x,{value}", header="completion_id,q,r")).reading.notices

    assert len(notices) == bool(notice)
    assert all(each.startswith("values of 'r' ") and notice in each for each in notices)


def test_the_parts_of_a_completion_are_noted_as_keys(checked: Check) -> None:
    """As in a table of completions that has columns with labels; a key `model` alone is a label."""
    export = checked("p.csv", lines("chat.completion,gpt-4o,good", header="completion_id,object,model,quality"))
    label = checked("q.csv", lines("gpt-4o,good", header="completion_id,model,quality"))

    [notice] = export.reading.notices
    assert notice.startswith("'object', 'model' are parts of a completion itself")
    assert label.reading.notices == ()


def test_keys_that_differ_by_case_only_are_noted(checked: Check) -> None:
    """The API takes both."""
    [notice] = checked("p.csv", lines("a,b", header="completion_id,Team,team")).reading.notices

    assert notice.startswith("keys 'Team', 'team' differ by case")


def test_fields_beside_the_metadata_of_json_lines_are_listed_as_ignored(checked: Check) -> None:
    """Those of the first row; what the API itself writes into a completion is none of them."""
    row = f'{{"id": "{usual_id(1)}", "metadata": {{"a": "x"}}, "team": "search"}}\n'
    completion = row.replace("{", '{"object": "chat.completion", ', 1)

    assert checked("p.jsonl", row).reading.ignored == ("team",)
    assert checked("q.jsonl", completion).reading.ignored == ()


def test_row_numbers_are_found_where_rows_between_are_invalid(checked: Check) -> None:
    """The numbers then have gaps, and are never above their lines."""
    content = lines("0,x", "1,x", "2,x", "3,x", header="completion_id,n,q").replace(usual_id(1), "")

    assert codes(checked("p.csv", content)) == ["index_column"]


def test_ids_are_asked_about_where_most_look_wrong(checked: Check) -> None:
    """Half of them is a warning."""
    rows = [f'{{"completion_id": "{name}", "metadata": {{"k": "v"}}}}\n' for name in ("a", "b", usual_id(1))]

    assert codes(checked("p.jsonl", "".join(rows))) == ["odd_ids"]
    assert codes(checked("p.jsonl", "".join(rows[1:]))) == []


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_rows_that_are_rejected_for_their_id_count_among_the_ids_that_look_wrong(checked: Check, name: str) -> None:
    """Other rejected rows do not."""
    ids = [usual_id(1), "a b", "c d"]
    if name == "p.csv":
        content = "completion_id,k\n" + "".join(f"{each},v\n" for each in ids) + f"{usual_id(2)},v,too many\n"
    else:
        content = "".join(f'{{"id": "{each}", "metadata": {{"k": "v"}}}}\n' for each in ids) + '{"id": "x"}\n'

    result = checked(name, content)

    assert (result.odd_ids.rejected, result.rejected, codes(result)) == (2, 3, ["odd_ids"])


def test_rows_that_contradict_an_earlier_one_are_counted_among_the_folded(checked: Check) -> None:
    """A merge is contradicted by another value of one key, a replacement by any other row."""
    rows = [
        f'{{"id": "{usual_id(1)}", "metadata": {metadata}}}\n'
        for metadata in ('{"a": "1"}', '{"b": "2"}', '{"a": "1"}', '{"a": null}')
    ]

    merged, replaced = (checked("p.jsonl", "".join(rows), mode=mode) for mode in (Mode.MERGE, Mode.REPLACE))

    assert (merged.folded, merged.conflicting) == (3, 1)
    assert (replaced.folded, replaced.conflicting) == (3, 3)


@pytest.mark.parametrize(
    ("metadata", "mode", "asked"),
    [("{}", Mode.MERGE, True), ("{}", Mode.REPLACE, True), ('{"a": "1"}', Mode.REPLACE, False)],
)
def test_a_file_of_empty_rows_alone_is_asked_about(checked: Check, metadata: str, mode: Mode, *, asked: bool) -> None:
    """It changes nothing, or it takes all metadata away."""
    rows = [f'{{"id": "{usual_id(row)}", "metadata": {each}}}\n' for row, each in enumerate(["{}", metadata])]

    assert codes(checked("p.jsonl", "".join(rows), mode=mode)) == ["all_empty"] * asked


def test_every_question_has_a_stable_code() -> None:
    """Programs rely on them."""
    assert set(QUESTIONS) >= {"index_column", "odd_ids", "all_empty", "large_job"}
