"""What a plan of a selection is asked for with: the options of `relabel select`, by the same names in snake case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from config.failure_limit import failure_limit
from config.request_rate import parse_rate
from ledger.job_spec import Priority
from relabel.plan_selection import NAME
from relabel.submit import FileOptions
from web.submit_options import Text

MOST_EXPRESSION_CHARS = 10_000
MOST_KEYS = 100
Keys = Annotated[list[Text], Field(max_length=MOST_KEYS)]
Pairs = Annotated[dict[str, Text], Field(max_length=MOST_KEYS)]


def _checked_rate(text: str | None) -> str | None:
    if text is not None:
        parse_rate(text)
    return text


class Select(BaseModel):
    """Which completions: all that these fit."""

    model_config = ConfigDict(extra="forbid")

    model: Text | None = Field(None, description="Of this model.")
    metadata: Pairs | None = Field(None, description="Holding these pairs.")
    since: Text | None = Field(None, description="Created at or after: 2026-11-27, or 3d ago.")
    until: Text | None = Field(None, description="Created before.")
    expiring: Text | None = Field(None, description="Gone within this time: 3d.")
    where: Annotated[str, Field(max_length=MOST_EXPRESSION_CHARS)] | None = Field(None, description="An expression.")
    limit: int | None = Field(None, description="At most so many, the newest first.")
    sample: Annotated[str, Field(max_length=40)] | int | None = Field(None, description="A number of them, or a share.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description="Chooses which are in the sample.")


class PlanOfSelection(BaseModel):
    """A plan of the completions that workers select, and what these are to get."""

    model_config = ConfigDict(extra="forbid")

    select: Select
    set: Pairs | None = Field(None, description="Values by key; a value may be a template.")
    set_default: Pairs | None = Field(None, description="The same, where the key is absent.")
    unset: Keys | None = Field(None, description="Keys to remove.")
    keys: Keys | None = Field(None, description="Keys to be edited: for files, which a plan is not made of.")
    split: Text | None = Field(None, description="Values by share: set=train:80,test:20.")
    split_by: Text | None = Field(None, description="The field that decides the share.")
    rate: Annotated[
        str | None,
        Field(max_length=40),
        BeforeValidator(lambda value: value and str(value)),
        AfterValidator(_checked_rate),
    ] = Field(None, description="Slow this plan down, for example 600/m.")
    max_failures: Annotated[str | None, AfterValidator(lambda value: value and failure_limit(value))] = Field(
        None, max_length=40, description="Pause once more rows failed: 5%, a number of rows, or none."
    )
    priority: Literal["high", "normal", "low"] = Field("normal", description="Share of the workers.")
    name: Text | None = Field(None, description="Name of the plan.")
    oldest_first: bool = Field(False, description="Take the completions first that reach 30 days first.")

    @property
    def asked(self) -> Mapping[str, Any]:
        """What is selected, and what it is to get."""
        labels = ("set", "set_default", "unset", "keys", "split", "split_by")
        given = self.select.model_dump() | {name: getattr(self, name) for name in labels}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def options(self) -> FileOptions:
        """The options that are not about the selection."""
        return FileOptions(
            (NAME,),
            rate=None if self.rate is None else parse_rate(self.rate),
            max_failures=self.max_failures,
            priority=Priority(self.priority),
            name=self.name or None,
            oldest_first=self.oldest_first,
        )

    def canonical(self) -> bytes:
        """Return the same bytes for the same request, whatever the order of its members."""
        return json.dumps(self.model_dump(), sort_keys=True).encode()
