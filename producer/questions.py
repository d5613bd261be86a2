"""The questions that a file raises: what makes it likely that it is not meant as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from producer.checked import Checked

ALL_EMPTY, INDEX_COLUMN, LARGE_JOB, ODD_IDS = "all_empty", "index_column", "large_job", "odd_ids"

QUESTIONS = {
    INDEX_COLUMN: "a column looks like row numbers and would become a key",
    ODD_IDS: "more than half of the ids do not look like chat completion ids",
    ALL_EMPTY: "no row names a key: nothing changes, or in replace mode all metadata is removed",
    LARGE_JOB: "more than 10,000 completions are changed",
}
"""What each code stands for. Codes are stable: programs may rely on them."""


class Question(NamedTuple):
    """What somebody has to confirm before anything is sent.

    The sentence leaves the machine with the reason of a held job, so it holds no key, value or id.
    """

    code: str
    sentence: str


def questions_about(checked: Checked) -> list[Question]:
    """Return the questions that the content of a file raises; its size is none."""
    found = (_index_column(checked), _odd_ids(checked), _all_empty(checked))
    return [question for question in found if question is not None]


def _index_column(checked: Checked) -> Question | None:
    index = [key.key for key in checked.profile.keys if key.is_index]
    if not index:
        return None
    header = [name.removeprefix("metadata.") for name in checked.columns.header]
    places = ", ".join(str(header.index(key) + 1) for key in index if key in header)
    one = len(index) == 1
    what = f"column{'' if one else 's'} {places}" if places else ("a key" if one else f"{len(index)} keys")
    looks = "looks like row numbers and would become a key" if one else "look like row numbers and would become keys"
    leave = f"leave {'it' if one else 'them'} out, or name the keys with --columns"
    return Question(INDEX_COLUMN, f"{what} {looks} of each completion; {leave}")


def _odd_ids(checked: Checked) -> Question | None:
    number, _, rejected = checked.odd_ids
    odd, rows = number + rejected, checked.profile.rows + rejected
    if odd * 2 <= rows:
        return None
    return Question(ODD_IDS, f"{odd:,} of {rows:,} ids do not look like chat completion ids (chatcmpl-...)")


def _all_empty(checked: Checked) -> Question | None:
    if checked.total and checked.cleared == checked.total:
        return Question(ALL_EMPTY, "no row names a key, so every completion would lose all its metadata")
    if checked.unchanged and not checked.total:
        return Question(ALL_EMPTY, "no row names a key, so nothing would change")
    return None
