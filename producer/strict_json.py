"""Parses JSON strictly: detects repeated keys, keeps the text of numbers, and reports each error exactly."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import NoReturn

from producer.errors import BadRow
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

_decoder = json.JSONDecoder(
    object_pairs_hook=JsonObject.of, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def parse_json(text: str, column: str | None) -> object:
    """Return the value of the text, objects as `JsonObject` and numbers as `Number`; raises BadRow."""
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        if _is_python(text, error.pos):
            raise BadRow(column, "it is Python text, not JSON; write it with json.dumps") from None
        # Only the parser's own words: the text around the place may be customer data.
        raise BadRow(
            column, f"it is not valid JSON: {error.msg.lower().removesuffix(' at')} at character {error.pos + 1}"
        ) from None
    except ValueError:
        raise BadRow(column, "it is not valid JSON: NaN and Infinity are not allowed") from None
    except RecursionError:
        raise BadRow(column, "the JSON is nested too deeply") from None


def metadata_of(value: object, column: str, *, stringify: bool) -> dict[str, str | None]:
    """Return the pairs of a parsed `metadata` value; raises BadRow, also for a repeated key, which is ambiguous."""
    value = opened(value, column)
    if isinstance(value, JsonObject) and value.repeated:
        raise BadRow(column, f"key {shown(min(value.repeated))} stands in the object more than once")
    return checked_metadata(value, column, stringify=stringify)


def opened(value: object, column: str) -> object:
    """Return the object that a string holds, as a column of JSON text is exported as one; any other value as it is."""
    return parse_json(value, column) if isinstance(value, str) and value.lstrip().startswith("{") else value
