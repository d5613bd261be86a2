"""The rules for metadata, checked as the API words them. Source: contract sections 1 and 3."""

from __future__ import annotations

from typing import Any

from sandbox.errors import bad_request

MAX_PAIRS = 16
"""Pairs a completion may hold."""
MAX_KEY_CHARS = 64
"""Characters in a key."""
MAX_VALUE_CHARS = 512
"""Characters in a value."""

_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def check_metadata(metadata: Any) -> dict[str, str]:
    """The map as it was sent, or an ApiError that names the first pair at fault; pairs are not counted here."""
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{key}", "a string", value)
        if len(key) > MAX_KEY_CHARS:
            raise bad_request(
                f"Invalid 'metadata': property name '{key[:20]}...' too long. Expected a property name with "
                f"maximum length {MAX_KEY_CHARS}, but got one with length {len(key)} instead.",
                code="property_name_above_max_length",
                param="metadata",
            )
        if len(value) > MAX_VALUE_CHARS:
            raise bad_request(
                f"Invalid 'metadata.{key}': string too long. Expected a string with maximum length "
                f"{MAX_VALUE_CHARS}, but got a string with length {len(value)} instead.",
                code="string_above_max_length",
                param=f"metadata.{key}",
            )
    return metadata


def check_pairs(metadata: dict[str, str]) -> None:
    """Refuse a map of more than 16 pairs; meant for the map that would be stored."""
    if len(metadata) > MAX_PAIRS:
        raise bad_request(
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, "
            f"but got an object with {len(metadata)} properties instead.",
            code="object_above_max_properties",
            param="metadata",
        )


def stored_values(metadata: dict[str, str], values: str) -> dict[str, str]:
    """Return what a service stores that does not keep each value as it is (`sandbox.options.Values`)."""
    match values:
        case "trimmed":
            return {key: value.strip() for key, value in metadata.items()}
        case "lower_case":
            return {key: value.lower() for key, value in metadata.items()}
        case "non_empty":
            return {key: value for key, value in metadata.items() if value}
    return metadata


def wrong_type(param: str, expected: str, value: Any) -> Exception:
    """The 400 of a value of the wrong type."""
    return bad_request(
        f"Invalid type for '{param}': expected {expected}, but got {_NAMES[type(value)]} instead.",
        code="invalid_type",
        param=param,
    )
