"""`relabel token`: a token is printed once, listed by its name, and revoked."""

from __future__ import annotations

import json
import re

import pytest


async def test_a_token_is_printed_alone_on_standard_output_and_never_again(relabel):
    """So that a script can take it; what it permits and until when is on standard error."""
    made = await relabel("token", "create", "--name", "lead", "--scope", "control,approve", "--owner", "ada")

    assert made.code == 0
    assert re.fullmatch(r"rlb_[\w-]{43}\n", made.out)
    assert "ada may read, control, approve until" in made.err
    listed = await relabel("token", "list")
    assert made.out.strip() not in listed.out + listed.err
    assert "lead  read, control, approve" in listed.out
    assert "never used" in listed.out


async def test_a_token_as_json(relabel):
    """The same facts, with the token where it is made only."""
    made = json.loads((await relabel("token", "create", "--name", "ci", "--scope", "submit", "--json")).out)
    [listed] = json.loads((await relabel("token", "list", "--json")).out)

    assert made.pop("token").startswith("rlb_")
    assert made == listed
    assert listed["scopes"] == ["read", "submit"]
    assert "@" in listed["owner"]
    assert listed["last_used_at"] is None


async def test_a_revoked_token_is_listed_no_more(relabel):
    """A second revocation says that there is none."""
    await relabel("token", "create", "--name", "ci")

    assert (await relabel("token", "revoke", "ci")).code == 0
    assert (await relabel("token", "list", "--json")).out == "[]\n"
    again = await relabel("token", "revoke", "ci")
    assert again.code == 2
    assert "there is no token 'ci'" in again.err


@pytest.mark.parametrize(
    "options",
    [
        ["--name", "two words"],
        ["--name", ""],
        ["--name", "n" * 65],
        ["--name", "\x1b[2J"],
        ["--name", "ci", "--owner", "eve (token lead)"],
        ["--name", "ci", "--owner", "\u202eada"],
        ["--name", "ci", "--scope", "all"],
        ["--name", "ci", "--days", "0"],
        ["--name", "ci", "--days", "nan"],
        ["--name", "ci", "--days", "4000"],
    ],
)
async def test_a_wrong_wish_is_refused(relabel, options):
    """An owner who looks like somebody's token would lie in a log."""
    ended = await relabel("token", "create", *options)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.isascii()
    assert "\x1b" not in ended.err
    assert (await relabel("token", "list", "--json")).out == "[]\n"


async def test_a_name_that_is_taken_is_refused(relabel):
    """The first token stays."""
    await relabel("token", "create", "--name", "ci")

    again = await relabel("token", "create", "--name", "ci")

    assert again.code == 2
    assert "there is a token ci already" in again.err
