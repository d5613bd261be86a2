"""Makes, lists and revokes the tokens that open the HTTP API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from config.checks import PERSON, is_person_name
from config.text import printable
from config.web import Scope
from ledger.clock import utc_second
from ledger.person import person_of
from ledger.tokens import MOST_TOKENS, KnownToken, NameTaken, Token, TokenRequest, TooManyTokens
from relabel.errors import InvalidInput
from relabel.session import Session

DEFAULT_DAYS = 90.0
MOST_DAYS = 3650.0
DAY_S = 86_400.0
SHOWN_CHARS = 80
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class NewToken(NamedTuple):
    """A token that was made: its text, which cannot be shown again, and its record."""

    text: str
    token: Token


async def create_token(
    session: Session, name: str, scopes: Iterable[Scope], *, owner: str = "", days: float = DEFAULT_DAYS
) -> NewToken:
    """Make a token for a person, who is the caller where no `owner` is named; it is valid for so many days.

    Raises:
        InvalidInput: the name is taken or none, the person's name is none, or there is no room for another token.

    """
    wanted = sorted({Scope.READ, *scopes}, key=list(Scope).index)
    owner = owner or person_of(session.user)
    _require(name, _NAME.fullmatch, "a token's name is up to 64 letters, digits, dots, hyphens and underscores")
    _require(owner, is_person_name, f"an owner is {PERSON}")
    if not 0 < days <= MOST_DAYS:
        raise InvalidInput(f"a token is valid for up to {MOST_DAYS:,.0f} days; choose fewer.")
    request = TokenRequest(name=name, owner=owner, scopes=wanted, created_by=session.user)
    try:
        return NewToken(*await session.ledger.tokens.create(request, life_s=days * DAY_S))
    except NameTaken:
        raise InvalidInput(f"there is a token {name} already; revoke it first, or choose another name.") from None
    except TooManyTokens:
        raise InvalidInput(f"there are {MOST_TOKENS:,} tokens, the most that there may be; revoke some.") from None


async def list_tokens(session: Session) -> list[KnownToken]:
    """Return the valid tokens by name."""
    return await session.ledger.tokens.all()


async def revoke_token(session: Session, name: str) -> None:
    """Make a token invalid at once.

    Raises:
        InvalidInput: there is no valid token of that name.

    """
    if not await session.ledger.tokens.revoke(name):
        shown = printable(name, SHOWN_CHARS)
        raise InvalidInput(f"there is no token {shown!r}; `relabel token list` shows those that are valid.")


def token_facts(token: Token, used_at: float | None = None) -> dict[str, Any]:
    """Return what is known of a token as JSON takes it."""
    return {
        "name": token.name,
        "owner": token.owner,
        "scopes": [str(scope) for scope in token.scopes],
        "created_by": token.created_by,
        "created_at": utc_second(token.created_at),
        "expires_at": utc_second(token.expires_at),
        "last_used_at": None if used_at is None else utc_second(used_at),
    }


def _require(text: str, fits: Callable[[str], object], what: str) -> None:
    if not fits(text):
        raise InvalidInput(f"{printable(text, SHOWN_CHARS)!r} cannot be used: {what}.")
