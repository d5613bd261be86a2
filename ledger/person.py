"""Who acts, as jobs and their logs name somebody, and which person that is.

A caller of the HTTP API is the owner of a token, `ada (token lead)`, or whom a trusted proxy names, `ada`. A command
line has nobody who vouches for its name: `ada@laptop (unverified)`.
"""

from __future__ import annotations

import unicodedata

_ACTING = " (token "
_UNVERIFIED = " (unverified)"


def by_token(owner: str, token: str) -> str:
    """Return the name under which the owner of a token acts."""
    return f"{owner}{_ACTING}{token})"


def unverified(name: str) -> str:
    """Return the name under which somebody acts for whom nobody vouches."""
    return f"{name}{_UNVERIFIED}"


def in_parentheses(who: str) -> str:
    """Return who acts as it stands in parentheses behind a reason: `ada, token lead`; `ada` where both are equal."""
    name, _, mark = who.partition(" (")
    mark = mark.removesuffix(")")
    return name if mark in {"", f"token {name}"} else f"{name}, {mark}"


def name_of(who: str) -> str:
    """Return who acts without the mark of a name that is not verified; programs knew names before there was one."""
    return who.removesuffix(_UNVERIFIED)


def person_of(who: str) -> str:
    """Return the name of the person who acts, by whatever means."""
    return name_of(who).partition(_ACTING)[0]


def identity_of(who: str) -> str:
    """Return by what two persons are told apart: the same for `ada@laptop`, `Ada` and `ada@example.org`.

    What stands behind an `@` names a machine as often as an organisation, so it makes nobody another person.
    """
    name = unicodedata.normalize("NFKC", person_of(who))
    return name.partition("@")[0].casefold()
