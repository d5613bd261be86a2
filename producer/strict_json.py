"""Reads JSON twice as carefully as usual: repeated keys, numbers' own text, and what exactly is wrong."""

from __future__ import annotations

import json
from collections import Counter
from typing import NoReturn

from producer.errors import BadRow
from producer.rules import Number, checked_metadata, shown


class JsonObject(dict[str, object]):
    """A JSON object that knows which of its keys came more than once."""

    repeated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, pairs: list[tuple[str, object]]) -> JsonObject:
        """Build the object from its pairs in file order."""
        made = cls(pairs)
        if len(made) != len(pairs):
            times = Counter(key for key, _ in pairs)
            made.repeated = frozenset(key for key in made if times[key] > 1)
        return made


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=JsonObject.of, parse_int=Number, parse_float=Number, parse_constant=_no_constant
)


def parse_json(text: str, column: str | None) -> object:
    """Give the value the text holds, objects as `JsonObject` and numbers as `Number`; raise BadRow for bad JSON."""
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        # Only the parser's own words: the text around the place may be customer data.
        raise BadRow(
            column, f"it is not valid JSON: {error.msg.lower().removesuffix(' at')} at character {error.pos + 1}"
        ) from None
    except ValueError:
        raise BadRow(column, "it is not valid JSON: NaN and Infinity are not allowed") from None
    except RecursionError:
        raise BadRow(column, "the JSON is nested too deeply") from None


def metadata_of(value: object, column: str, *, stringify: bool) -> dict[str, str | None]:
    """Give the pairs of a parsed `metadata` value, or raise BadRow; a repeated key leaves open which value is meant."""
    if isinstance(value, JsonObject) and value.repeated:
        raise BadRow(column, f"key {shown(min(value.repeated))} stands in the object more than once")
    return checked_metadata(value, column, stringify=stringify)
