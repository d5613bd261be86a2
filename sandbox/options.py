"""The options of the sandbox: one frozen value, checked when it is created."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from sandbox.script import checked_rates

Semantics = Literal["replace", "merge"]
"""How an update treats keys that it does not name. Which one OpenAI uses is not known (contract section 1)."""

Values = Literal["kept", "trimmed", "lower_case", "non_empty"]
"""How an update stores each value: as it is, or changed. `non_empty` drops pairs without a value."""

DeletedCursor = Literal["refused", "in_place", "empty", "ignored"]
"""What a list shows after a completion that was deleted: a 404, what followed it, nothing, or the first page. Which one
OpenAI does is not known (contract section 0, "Paging")."""

LIVE = frozenset(
    {
        "accept_any_id",
        "api_key",
        "arrivals_per_second",
        "burst",
        "deleted_cursor",
        "jitter_s",
        "latency_s",
        "list_lag_s",
        "rate_headers",
        "read_lag_s",
        "rate_per_second",
        "retry_after",
        "semantics",
        "slow_s",
        "values",
        "visibility_lag_s",
    }
)
"""Names of the options that may change while the sandbox runs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """The behaviour of one sandbox.

    `burst` of None means one second's worth of requests. A get shows what was
    stored `read_lag_s` ago, a list what was `list_lag_s` ago. `api_key` of None takes any key that is not empty.
    It begins with so many `completions` that are made up, and gets `arrivals_per_second` more.
    `fault_rates` gives each fault its probability a request; `fault_script` is a JSON file of ordered rules.
    """

    semantics: Semantics = "replace"
    values: Values = "kept"
    latency_s: float = 0.0
    jitter_s: float = 0.0
    rate_per_second: float | None = None
    burst: int | None = None
    retry_after: bool = True
    rate_headers: bool = False
    visibility_lag_s: float = 0.0
    read_lag_s: float = 0.0
    list_lag_s: float = 0.0
    deleted_cursor: DeletedCursor = "refused"
    completions: int = 0
    arrivals_per_second: float = 0.0
    accept_any_id: bool = False
    api_key: str | None = None
    seed: int = 0
    slow_s: float = 2.0
    fault_rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    fault_script: Path | None = None
    log_file: Path | None = None
    log_limit: int = 1_000_000

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, naming the option."""
        seconds = ("latency_s", "jitter_s", "visibility_lag_s", "read_lag_s", "list_lag_s", "slow_s")
        for name in (*seconds, "completions", "arrivals_per_second"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.rate_per_second is not None and not 0 < self.rate_per_second < math.inf:
            raise ValueError(f"rate_per_second must be above 0, not {self.rate_per_second}")
        if self.burst is not None and self.burst < 1:
            raise ValueError(f"burst must be 1 or more, not {self.burst}")
        if self.log_limit < 1:
            raise ValueError(f"log_limit must be 1 or more, not {self.log_limit}")
        checked_rates(self.fault_rates)

    def changed(self, changes: dict[str, Any]) -> SandboxOptions:
        """These options with some live ones changed; ValueError names what cannot be changed or is wrong."""
        if unknown := sorted(changes.keys() - LIVE):
            raise ValueError(f"not a live option: {', '.join(unknown)} (live: {', '.join(sorted(LIVE))})")
        typed = msgspec.convert({name: getattr(self, name) for name in LIVE} | changes, SandboxOptions)
        return dataclasses.replace(self, **{name: getattr(typed, name) for name in changes})

    def live(self) -> dict[str, Any]:
        """The live options by name; the key is only said to be set."""
        shown = {name: getattr(self, name) for name in sorted(LIVE)}
        return shown | {"api_key": None if self.api_key is None else "set"}
