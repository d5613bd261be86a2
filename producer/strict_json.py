"""Parses JSON strictly: detects repeated keys, keeps the text of numbers, and reports each error exactly."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from typing import NoReturn

from producer.errors import BadRow
from producer.profile import NULL_TEXTS
from producer.rules import Number, checked_metadata, shown


class JsonObject(dict[str, object]):
    """A JSON object with the keys that it has more than once."""

    repeated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pairs: list[tuple[str, object]]) -> JsonObject:
        """Return the object of these pairs, in file order."""
        made = cls(pairs)
        if len(made) != len(pairs):
            times = Counter(key for key, _ in pairs)
            made.repeated = frozenset(key for key in made if times[key] > 1)
        return made


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_is_python = re.compile(r"'|None\b|True\b|False\b|nan\b").match
"""What Python writes where JSON has something else."""

_other_forms = (
    (re.compile(r"\s*'\s*[{\[]").match, "it is JSON within single quotes; take them off"),
    (
        re.compile(r"\s*\{\s*\w+\s*=").match,
        "it is a map as SQL shows it, not JSON; export it with to_json or CAST(... AS JSON)",
    ),
    (
        re.compile(r"\s*\{\s*'\w+'\s*:\s*(?!None|True|False|nan)[A-Za-z]").match,
        "it is a struct as SQL shows it, not JSON; export it with to_json",
    ),
    (
        re.compile(r"[^\"]*[\u201c\u201d\u201e]").match,
        "it has typographic quotes, which are none in JSON; write straight ones",
    ),
)
"""Forms of metadata that are not JSON, each with what to do."""

_decoder = json.JSONDecoder(
    object_pairs_hook=JsonObject.of, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def parse_json(text: str, column: str | None) -> object:
    """Return the value of the text, objects as `JsonObject` and numbers as `Number`; raises BadRow."""
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        if foreign := _foreign(text, error.pos):
            raise BadRow(column, foreign) from None
        if column is not None and not text.lstrip().startswith(("{", '"')):
            raise BadRow(column, _no_object(text.strip())) from None
        # Only the parser's own words: the text around the place may be customer data.
        raise BadRow(
            column, f"it is not valid JSON: {error.msg.lower().removesuffix(' at')} at character {error.pos + 1}"
        ) from None
    except ValueError:
        raise BadRow(column, "it is not valid JSON: NaN and Infinity are not allowed") from None
    except RecursionError:
        raise BadRow(column, "the JSON is nested too deeply") from None


def _foreign(text: str, at: int) -> str:
    """Return what a text is that is not JSON from a place on, with what to do; '' where nobody knows."""
    for matches, sentence in _other_forms:
        if matches(text):
            return sentence
    return "it is Python text, not JSON; write it with json.dumps" if _is_python(text, at) else ""


def _no_object(text: str) -> str:
    advice = f"; --null {shlex.quote(text)} takes it for no value" if text in NULL_TEXTS else ""
    return f'it is not a JSON object such as {{"team": "search"}}{advice}'


def metadata_of(value: object, column: str, *, stringify: bool) -> dict[str, str | None]:
    """Return the pairs of a parsed `metadata` value; raises BadRow, also for a repeated key, which is ambiguous."""
    value = opened(value, column)
    if isinstance(value, JsonObject) and value.repeated:
        raise BadRow(column, f"key {shown(min(value.repeated))} stands in the object more than once")
    return checked_metadata(value, column, stringify=stringify)


def opened(value: object, column: str) -> object:
    """Return the object that a string holds, as a column of JSON text is exported as one; any other value as it is."""
    return parse_json(value, column) if isinstance(value, str) and value.lstrip().startswith("{") else value
