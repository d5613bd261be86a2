"""Computes before-images and foreign changes where a write may or may not have happened; without I/O."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.job import Mode
from ledger.patching import apply_patch
from ledger.row import Metadata


def before_image(earlier: Metadata | None, current: Metadata, patch: Mapping[str, str | None], mode: Mode) -> Metadata:
    """Return what the completion held before this job changed it, key by key.

    `earlier` is the image of an earlier write that may or may not have happened. A key that it changed keeps its first
    value, whatever it holds now: the service may have stored something else than was sent. Of every other key, the
    current value counts.
    """
    if earlier is None:
        return current
    wrote = apply_patch(earlier, patch, mode)
    changed = {key for key in earlier.keys() | wrote.keys() if earlier.get(key) != wrote.get(key)}
    first = {key: value for key, value in earlier.items() if key in changed}
    return {key: value for key, value in current.items() if key not in changed} | first


def foreign_keys(current: Metadata, patch: Mapping[str, str | None], expect: Mapping[str, str | None]) -> list[str]:
    """Return the keys that hold neither what was expected nor what the patch asks for: somebody else changed them."""
    return sorted(key for key, value in expect.items() if current.get(key) not in (value, patch.get(key)))
