"""What a patch means for a completion: pure arithmetic on maps, for those who write, take back and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.job_spec import Mode
from ledger.row import Metadata


class Change(NamedTuple):
    """What becomes of one key; None where the completion does not have it."""

    before: str | None
    after: str | None


def apply_patch(before: Metadata, patch: Mapping[str, str | None], mode: Mode) -> Metadata:
    """Return the metadata that the completion is to have; in a merge, what was there before stays.

    The whole map is sent in either mode, so the result is the same whether the service replaces or merges (contract
    section 1). A key set to None is left out.
    """
    after = dict(before) if mode is Mode.MERGE else {}
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after


def diff(before: Metadata, patch: Mapping[str, str | None], mode: Mode) -> dict[str, Change]:
    """Return the keys that the patch changes where a completion holds `before`, sorted."""
    after = apply_patch(before, patch, mode)
    return {
        key: Change(before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def holds(metadata: Metadata, values: Mapping[str, str | None], mode: Mode) -> bool:
    """Return whether metadata has these values (None: not the key); in `replace` mode, whether it has no others."""
    return apply_patch(metadata, values, mode) == metadata
