"""Computes before-images and foreign changes where a write may or may not have happened; without I/O."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.job_spec import Mode
from ledger.patching import apply_patch, holds
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


def foreign_keys(
    current: Metadata, patch: Mapping[str, str | None], expect: Mapping[str, str | None], mode: Mode
) -> list[str]:
    """Return the keys that hold neither what was expected nor what the patch asks for: somebody else changed them.

    In `replace` mode both are whole maps, so that a key beside them is foreign, too.
    """
    keys = expect.keys() | (current.keys() if mode is Mode.REPLACE else set())
    return sorted(key for key in keys if current.get(key) not in (expect.get(key), patch.get(key)))


def changed_keys(
    current: Metadata, patch: Mapping[str, str | None], expect: Mapping[str, str | None], mode: Mode
) -> list[str]:
    """Return the keys that were changed where neither all that was expected is held, nor all that is asked for.

    These are the foreign ones, or else those that hold what is asked for beside others that do not.
    """
    if holds(current, expect, mode) or holds(current, patch, mode):
        return []
    foreign = foreign_keys(current, patch, expect, mode)
    return foreign or sorted(key for key in {*expect, *patch} if current.get(key) != expect.get(key))
