"""The rules for ids and metadata, and a sentence for each violation."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from ledger.completion_id import id_problem
from ledger.row import MAX_KEY_CHARS, MAX_KEYS, MAX_PAIRS, MAX_VALUE_CHARS
from producer.errors import BadRow
from producer.profile import NULL_TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping

_USUAL_ID = re.compile(r"chatcmpl-(?![A-Za-z0-9-]*-[0-9]{1,6}\Z)[A-Za-z0-9-]{29,36}").fullmatch
_within = re.compile(r"chatcmpl-[A-Za-z0-9-]{29,36}").finditer
_SOUND_ID = re.compile(r"(?!(?i:null|nan|none|nat|undefined)\Z)[A-Za-z0-9_][A-Za-z0-9!$%*+.:@^_~-]{2,254}").fullmatch
"""Ids that are surely sent as they stand: no short words, nothing that divides a URL or stands around a text."""
_AROUND = "'\"`()[]{}<>,;|=&\\"
_IN_URLS = "/?#"
_SHOWN_ID_CHARS = 4
_JOINERS = "\u200c\u200d"
"""Characters without a look of their own that Persian and emoji are written with."""
_SHOWN_KEY_CHARS = 64


class Number(str):
    """A number's text as the JSON had it, so that turning it into a string loses nothing."""

    __slots__ = ()


def is_usual_id(completion_id: str) -> bool:
    """Return whether an id looks like those of the API, and not like a message's `<completion id>-<n>` (contract 4)."""
    return _USUAL_ID(completion_id) is not None


def holds_usual_id(text: str) -> bool:
    """Return whether an id of the API stands in the text, alone or with more."""
    return any(is_usual_id(match[0]) for match in _within(text))


def is_sound_id(completion_id: str) -> bool:
    """Return whether an id is surely allowed as it stands; the fast answer, `checked_id` is the full one."""
    return _SOUND_ID(completion_id) is not None


def checked_id(value: object, column: str) -> str:
    """Return the id trimmed; raises BadRow. Opaque otherwise: providers' ids differ (contract section 4)."""
    if value is None:
        raise BadRow(column, "the id is missing")
    if isinstance(value, Number) or not isinstance(value, str):
        raise BadRow(column, f"the id is {_kind(value)}, not a string")
    completion_id = value.strip()
    if is_sound_id(completion_id):
        return completion_id
    if completion_id in NULL_TEXTS:
        raise BadRow(column, f"the id is {completion_id!r}, which stands for a missing value")
    if problem := id_problem(completion_id) or _unlike_an_id(completion_id) or _around_an_id(completion_id):
        raise BadRow(column, f"the id {problem}{_meant_id(completion_id)}")
    return completion_id


def _unlike_an_id(text: str) -> str:
    if "://" in text:
        return "is a URL"
    for place, char in enumerate(text, start=1):
        if char in _IN_URLS:
            return f"has {char!r} at character {place}, as a path or a URL has"
    found = hidden_char(text, allowed="")
    return f"has {found}" if found else ""


def _around_an_id(text: str) -> str:
    """Return which character beside an id of the API shows that the text is more than this id; '' where none does."""
    for match in _within(text):
        if is_usual_id(match[0]):
            for place in (match.start() - 1, match.end()):
                if 0 <= place < len(text) and (text[place] in _AROUND or not text[place].isascii()):
                    return f"has {text[place]!r} at character {place + 1}"
    return ""


def _meant_id(text: str) -> str:
    """Return which id is meant where one stands in the text, by its place and its ends: no reason shows an id."""
    found = {match[0]: match.span() for match in _within(text) if is_usual_id(match[0])}
    if len(found) > 1:
        return f"; it holds {len(found)} ids, which need a row each"
    if not found:
        return ""
    [(completion_id, (start, end))] = found.items()
    ends = f"{completion_id[: len('chatcmpl-') + _SHOWN_ID_CHARS]}…{completion_id[-_SHOWN_ID_CHARS:]}"
    return f"; the id seems to be {ends}, its characters {start + 1} to {end}: leave only these"


def hidden_char(text: str, *, allowed: str = _JOINERS) -> str:
    """Return which character of a text nobody sees, and where; '' where there is none."""
    for place, char in enumerate(text, start=1):
        if unicodedata.category(char) in {"Cf", "Cc"} and char not in allowed:
            return f"the invisible character U+{ord(char):04X} ({_char_name(char)}) at character {place}"
    return ""


def _char_name(char: str) -> str:
    return unicodedata.name(char, "a control character").capitalize()


def checked_metadata(value: object, column: str, *, stringify: bool) -> dict[str, str | None]:
    """Return the pairs to set (None removes a key), perhaps none; raises BadRow."""
    if not isinstance(value, dict):
        raise BadRow(column, f"the metadata is {_kind(value)}, not an object")
    metadata = {
        checked_key(key, column): checked_value(key, item, column, stringify=stringify) for key, item in value.items()
    }
    check_pairs(metadata, column)
    return metadata


def check_pairs(metadata: Mapping[str, str | None], column: str | None) -> None:
    """Raise BadRow where a patch alone sets more pairs than a completion may hold, or names too many keys."""
    if fault := too_much(metadata):
        raise BadRow(column, f"it {fault}")


def too_much(metadata: Mapping[str, str | None]) -> str:
    """Return what is too much in a patch, '' where nothing is."""
    if len(metadata) > MAX_KEYS:
        return f"names {len(metadata):,} keys; {MAX_KEYS} are allowed, those to remove included"
    pairs = pairs_set(metadata)
    return f"sets {pairs} pairs; the API allows {MAX_PAIRS}" if pairs > MAX_PAIRS else ""


def pairs_set(metadata: Mapping[str, str | None]) -> int:
    """Count the pairs that a patch sets; removals are not among them."""
    return sum(value is not None for value in metadata.values())


def checked_key(key: str, column: str | None) -> str:
    """Return the key; raises BadRow."""
    if not key:
        raise BadRow(column, "a metadata key is empty")
    if len(key) > MAX_KEY_CHARS:
        raise BadRow(column, f"key {shown(key)} has {len(key)} characters; the API allows {MAX_KEY_CHARS}")
    _refuse_broken_text(key, column, "key", key)
    return key


def checked_value(key: str, value: object, column: str | None, *, stringify: bool) -> str | None:
    """Return the value as the API takes it; raises BadRow. `stringify` accepts numbers and booleans as JSON text."""
    if stringify and isinstance(value, bool):
        value = "true" if value else "false"
    elif stringify and isinstance(value, Number):
        value = str(value)
    if value is None:
        return None
    if isinstance(value, Number) or not isinstance(value, str):
        advice = "; use --stringify to send its text" if isinstance(value, Number | bool) else ""
        raise BadRow(column, f"value of {shown(key)} is {_kind(value)}, not a string{advice}")
    if len(value) > MAX_VALUE_CHARS:
        raise BadRow(column, f"value of {shown(key)} has {len(value)} characters; the API allows {MAX_VALUE_CHARS}")
    _refuse_broken_text(value, column, "value of", key)
    return value


def shown(name: str) -> str:
    """Quote a key or column name for a message, shortened, with what cannot be printed escaped."""
    return repr(name[:_SHOWN_KEY_CHARS] + "…" if len(name) > _SHOWN_KEY_CHARS else name)


def _refuse_broken_text(text: str, column: str | None, what: str, key: str) -> None:
    if "\0" in text:
        raise BadRow(column, f"{what} {shown(key)} has a NUL character at character {text.index(chr(0)) + 1}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRow(
            column, f"{what} {shown(key)} has half of a surrogate pair at character {error.start + 1}"
        ) from None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
