"""The language of faults: their names, and the rules that say when they strike."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec


class FaultKind(enum.StrEnum):
    """The kinds of faults; those of `APPLIED` change the completion first.

    `ignored` answers an update as if it were a get. `echo` answers one with the metadata of the request, and
    `shows_before` with that of before. All three let other operations be. `cursor_deleted` deletes the completion after
    which a list is to begin, right before it does. `answer` says what its rule says.
    """

    ERROR_500 = "error_500"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    ERROR_500_AFTER = "error_500_after"
    SLOW = "slow"
    SLOW_AFTER = "slow_after"
    HANG = "hang"
    HANG_AFTER = "hang_after"
    HTML_502 = "html_502"
    BAD_BODY_HTML = "bad_body_html"
    BAD_BODY_TRUNCATED = "bad_body_truncated"
    BAD_BODY_OTHER_ID = "bad_body_other_id"
    NO_METADATA = "no_metadata"
    NULL_METADATA = "null_metadata"
    ECHO = "echo"
    SHOWS_BEFORE = "shows_before"
    IGNORED = "ignored"
    CURSOR_DELETED = "cursor_deleted"
    REDIRECT = "redirect"
    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    RATE_LIMITED = "rate_limited"
    ANSWER = "answer"


APPLIED = frozenset(
    {
        FaultKind.RESET_AFTER,
        FaultKind.ERROR_500_AFTER,
        FaultKind.SLOW_AFTER,
        FaultKind.HANG_AFTER,
        FaultKind.BAD_BODY_HTML,
        FaultKind.BAD_BODY_TRUNCATED,
        FaultKind.BAD_BODY_OTHER_ID,
        FaultKind.NO_METADATA,
        FaultKind.NULL_METADATA,
        FaultKind.ECHO,
        FaultKind.SHOWS_BEFORE,
    }
)
"""Faults that strike after the request has been carried out."""
SHOWN_INSTEAD = frozenset({FaultKind.IGNORED, FaultKind.ECHO, FaultKind.SHOWS_BEFORE})
"""Faults that answer an update with other metadata than what is stored."""


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests a rule is for; what is left out matches everything."""

    method: str | None = None
    operation: Literal["create", "list", "get", "messages", "update", "delete"] | None = None
    id: str | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reply of the fault `answer`: any status, headers and body; a body that is no string is sent as JSON."""

    status: int
    body: Any = ""
    headers: dict[str, str] = {}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a fault script.

    It strikes `times` times (None: for ever) after letting `after` matching requests by, counted for each id alone
    with `per_id`, with `probability`, from `from_s` to `until_s` since the rule was added or since the start.
    """

    fault: FaultKind
    match: Match = Match()
    times: int | None = None
    after: int = 0
    per_id: bool = False
    probability: float = 1.0
    from_s: float = 0.0
    until_s: float | None = None
    since: Literal["posted", "start"] = "posted"
    seconds: float | None = None
    answer: Answer | None = None

    def __post_init__(self) -> None:
        """Refuse a rule that could do nothing, or not what it says."""
        if (self.fault is FaultKind.ANSWER) != (self.answer is not None):
            raise ValueError("the fault 'answer' needs the field 'answer', and no other fault takes it")
        if not 0 < self.probability <= 1:
            raise ValueError("probability must be above 0 and at most 1")


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules in order, and probabilities by fault."""

    rules: list[Rule] = []
    rates: dict[str, float] = {}


def checked_rates(rates: Mapping[str, float]) -> dict[FaultKind, float]:
    """Probabilities by fault; ValueError if a name is none, a number is none, or they are more than 1 together."""
    if unknown := sorted(rates.keys() - {kind.value for kind in FaultKind} | rates.keys() & {FaultKind.ANSWER.value}):
        raise ValueError(f"no fault that can be given a rate: {', '.join(unknown)}")
    if any(not 0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1:
        raise ValueError("fault rates must be from 0 to 1, and at most 1 together")
    return {FaultKind(name): rate for name, rate in rates.items() if rate}


def read_script(path: Path) -> Script:
    """The script in a JSON file: an object with `rules` and `rates`, or a bare list of rules."""
    return decode_script(path.read_bytes())


def decode_script(body: bytes) -> Script:
    """The script in a JSON text; ValueError says what is wrong with it."""
    decoded = msgspec.json.decode(body, type=Script | list[Rule])
    return decoded if isinstance(decoded, Script) else Script(rules=decoded)
