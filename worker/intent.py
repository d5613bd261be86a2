"""What a completion tells about a write that may or may not have happened: pure arithmetic on maps."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.intent import intended
from ledger.job import Mode
from ledger.row import Metadata


def before_image(earlier: Metadata | None, current: Metadata, patch: Mapping[str, str | None], mode: Mode) -> Metadata:
    """Give what the completion held before this job touched it, key by key.

    `earlier` is the image that an earlier try kept: after a lost answer or a crash nobody knows whether its write
    happened. A key that now holds just what that write would have left, and did not before, was changed by it: its
    value before counts. Every other key is somebody else's: its value now counts.
    """
    if earlier is None:
        return current
    wrote = intended(earlier, patch, mode)
    image: Metadata = {}
    for key in current.keys() | earlier.keys():
        now, then = current.get(key), earlier.get(key)
        ours = now == wrote.get(key) and now != then
        value = then if ours else now
        if value is not None:
            image[key] = value
    return image


def kept_keys(after: Metadata, reply: Metadata, patch: Mapping[str, str | None], mode: Mode) -> list[str] | None:
    """Name the keys that the service kept although they were to go; None where the reply differs in another way.

    In a merge, a key that the patch does not name was not to go: somebody else added it meanwhile.
    """
    if any(reply.get(key) != value for key, value in after.items()):
        return None
    extra = reply.keys() - after.keys()
    return sorted(extra & patch.keys() if mode is Mode.MERGE else extra)


def foreign_keys(before: Metadata, patch: Mapping[str, str | None], expect: Mapping[str, str | None]) -> list[str]:
    """Name the keys that hold neither what was expected nor what the patch asks for: somebody else changed them."""
    return sorted(key for key, value in expect.items() if before.get(key) not in (value, patch.get(key)))
