"""An id may tell how old its completion is; what it tells is a hint and no more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completions.age import created_at
from completions.missing import missing_hint

DAY = 86_400


def id_of(head):
    """An id of the recorded form that begins so."""
    return f"chatcmpl-{head}{'x' * 24}"


@pytest.mark.parametrize(("head", "created"), [("AyPNi", 1_738_960_610), ("B9MHD", 1_741_570_283)])
def test_documented_ids_tell_their_documented_time(head, created):
    """The samples of the API's own documentation (contract section 4)."""
    assert created_at(id_of(head)) == created


@pytest.mark.parametrize(
    "completion_id",
    [
        "",
        "chat_abc123",
        "chatcmpl-AyPNi",
        id_of("AyPNi") + "-0",
        id_of("AyPN-"),
        id_of("AyPNi") + "\n",
        "chatcmpl-" + "é" * 29,
    ],
)
def test_other_forms_tell_nothing(completion_id):
    """No time is read from an id of another form, and no hint is given."""
    assert created_at(completion_id) is None
    assert missing_hint(completion_id, 2e9) == ""


@pytest.mark.parametrize(
    ("age", "hint"),
    [
        (-5, ""),
        (0, "may not be visible yet"),
        (59, "may not be visible yet"),
        (60, ""),
        (30 * DAY, ""),
        (45 * DAY, "made 45 days ago"),
    ],
)
def test_a_missing_completion_is_explained_by_its_age(age, hint):
    """Too old or too young is worth a word; in between there is nothing to say."""
    said = missing_hint(id_of("AyPNi"), 1_738_960_610 + age)

    assert (hint in said) if hint else said == ""


@given(completion_id=st.text(max_size=50) | st.from_regex(r"chatcmpl-[0-9A-Za-z]{29}", fullmatch=True))
def test_any_id_can_be_asked(completion_id):
    """No id is an error."""
    assert isinstance(missing_hint(completion_id, 2e9), str)
