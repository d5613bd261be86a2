"""Finds what deserves a look in an input that is read all the same: a cut last line, values that are rarely meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from producer.csv_names import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from producer.profile import Profile

API_FIELDS = frozenset(
    {"object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "deleted", "request_id"}
)
"""The fields of a completion beside its id and metadata. Source: API reference, chat completion object."""

_is_padded = re.compile(r"\s|.*\s\Z", re.DOTALL).match
_is_hidden = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]").search
_is_marked = re.compile(r"'\d[\d.,/-]*").fullmatch
_is_misread = re.compile(
    "\ufffd|[\u00c2\u00c3][\u0080-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]|\u00e2\u20ac"
).search
_is_shortened = re.compile(r"[+-]?\d([.,]\d+)?E[+-]?\d+", re.ASCII).fullmatch
_is_formula = re.compile(r'="[^"]*"').fullmatch
_ODD_VALUES = (
    (_is_padded, "begin or end with white space, which is sent with them"),
    (_is_hidden, "have characters that nobody sees, such as U+200B, which are sent with them"),
    (_is_marked, "begin with ', as a spreadsheet marks numbers that are text; the ' is sent, too"),
    (_is_misread, "have signs such as Ã¼ or \ufffd, as of text read in a wrong encoding; save the file as UTF-8 again"),
    (_is_shortened, "are numbers in scientific notation, as spreadsheets shorten long ones"),
    (_is_formula, 'are formulas such as ="007", which are sent as text'),
)
"""What values may be that is rarely meant, and how that is told."""


def about_cut(names: Sequence[str]) -> Iterator[str]:
    """Return the notice about files without a last line end, by their names."""
    if names:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        yield f"the last line of {names[0]}{more} has no line end, so it may be cut; check it if the file was copied"


def about_keys(profile: Profile) -> Iterator[str]:
    """Return a notice where several keys are what the API calls the parts of a completion itself."""
    keys = [key.key for key in profile.keys if key.key in API_FIELDS]
    if len(keys) > 1:
        yield f"{listed(keys)} are parts of a completion itself, and would become keys; --columns leaves them out"
    alike: dict[str, list[str]] = {}
    for key in profile.keys:
        alike.setdefault(key.key.strip().casefold(), []).append(key.key)
    for names in alike.values():
        if len(names) > 1:
            yield f"keys {listed(names)} differ by case or blanks only, and stay keys of their own"


def about_values(profile: Profile) -> Iterator[str]:
    """Return a notice for each kind of odd value among the samples; it names the keys, and shows no value."""
    for is_odd, what in _ODD_VALUES:
        if keys := [key.key for key in profile.keys if any(map(is_odd, key.samples))]:
            yield f"values of {listed(keys)} {what}"
