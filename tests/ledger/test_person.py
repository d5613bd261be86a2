"""Who acts, whatever vouches for the name."""

from __future__ import annotations

import pytest

from ledger.person import by_token, identity_of, in_parentheses, name_of, person_of, unverified


@pytest.mark.parametrize("who", ["ada@laptop", by_token("ada@laptop", "ci"), unverified("ada@laptop")])
def test_a_person_is_the_same_however_they_act(who: str) -> None:
    """By a token, through a proxy, at a command line."""
    assert (person_of(who), identity_of(who)) == ("ada@laptop", "ada")


def test_only_the_mark_of_a_command_line_is_left_out_for_programs() -> None:
    """They knew names before there was one."""
    assert name_of(unverified("ada@laptop")) == "ada@laptop"
    assert name_of(by_token("ada", "ci")) == "ada (token ci)"


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        (by_token("ada", "ci"), "ada, token ci"),
        (by_token("lead", "lead"), "lead"),
        (unverified("ada@laptop"), "ada@laptop, unverified"),
        ("ada", "ada"),
    ],
)
def test_who_acts_stands_behind_a_reason_without_parentheses_in_parentheses(who: str, shown: str) -> None:
    """And without the same name twice."""
    assert in_parentheses(who) == shown


@pytest.mark.parametrize("other", ["Ada", "ADA@example.org", "\uff41da", "ada@x@y"])
def test_names_that_differ_in_case_form_or_place_are_one_person(other: str) -> None:
    """Whoever decides who may approve must rather take two for one than one for two."""
    assert identity_of(other) == identity_of("ada")


@pytest.mark.parametrize("other", ["adam", "bob@ada", "a.da", ""])
def test_other_names_are_other_persons(other: str) -> None:
    """What stands in front of the `@` counts whole."""
    assert identity_of(other) != identity_of("ada")
