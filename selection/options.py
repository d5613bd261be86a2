"""What a selection is asked for, as it was written; it is checked when it is read (`selection.selection`)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from selection.completion import Completion


class FilterOptions(NamedTuple):
    """Which completions are selected; `metadata` are `KEY=VALUE`.

    `where` is an expression, or a function that returns whether a completion is selected.
    """

    model: str | None = None
    metadata: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    expiring: str | None = None
    where: str | Callable[[Completion], bool] | None = None


class LabelOptions(NamedTuple):
    """What completions are to get.

    `set` and `set_default` are `KEY=TEMPLATE`, the latter for completions without the key; `keys` are to be edited.
    """

    set: tuple[str, ...] = ()
    set_default: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    split: str | None = None
    split_by: str | None = None


class SelectOptions(NamedTuple):
    """Which completions are selected, how many of them, and what they are to get.

    `sample` is a number of completions or a share (`1%`), and `seed` chooses which.
    """

    filters: FilterOptions = FilterOptions()
    labels: LabelOptions = LabelOptions()
    limit: int | None = None
    sample: str | None = None
    seed: int | None = None

    def fingerprint(self, endpoint: str) -> str:
        """Return a SHA-256 in hex of the options and of the API they are for; of a function, another one each time."""
        where = self.filters.where
        named = secrets.token_hex(16) if callable(where) else where
        filters = self.filters._replace(where=None)
        return hashlib.sha256(
            msgspec.json.encode([endpoint, named, filters, self._replace(filters=FilterOptions())])
        ).hexdigest()


def options_of(given: Mapping[str, Any]) -> SelectOptions:
    """Return the options by their names in snake case: keys with values as a mapping, and lists of keys."""
    named = dict(given)
    for name in ("metadata", "set", "set_default"):
        named[name] = tuple(f"{key}={value}" for key, value in (named.get(name) or {}).items())
    for name in ("unset", "keys"):
        names = named.get(name) or ()
        named[name] = (names,) if isinstance(names, str) else tuple(names)
    if named.get("sample") is not None:
        named["sample"] = str(named["sample"])
    filters = FilterOptions(**{name: named.pop(name) for name in FilterOptions._fields if name in named})
    labels = LabelOptions(**{name: named.pop(name) for name in LabelOptions._fields if name in named})
    return SelectOptions(filters, labels, **named)
