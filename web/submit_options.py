"""The options of a submission: those of `relabel submit`, by the same names in snake case."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import ImmutableMultiDict

from config.checks import said_plainly
from config.failure_limit import failure_limit
from config.input_options import InputOptions, column_name, delimiter, input_options, key_columns
from config.request_rate import parse_rate
from ledger.job_spec import Mode, Priority
from producer.questions import QUESTIONS
from relabel.submit import FileOptions
from web.refusals import Refusal

M = TypeVar("M", bound=BaseModel)
MOST_CHARS = 1000
MOST_VALUES = 100
Text = Annotated[str, Field(max_length=MOST_CHARS)]
Texts = Annotated[list[Text], Field(max_length=MOST_VALUES)]


def _checked_codes(text: str) -> str:
    if unknown := {code.strip() for code in text.split(",")} - {"", *QUESTIONS}:
        raise ValueError(f"{min(unknown)!r} is no question; choose from {', '.join(QUESTIONS)}")
    return text


class SubmitOptions(BaseModel):
    """What to do with an input, and how it is read."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["merge", "replace"] = Field("merge", description="Change the named keys, or replace all metadata.")
    rate: Annotated[str | None, Field(max_length=40), BeforeValidator(lambda value: value and str(value))] = Field(
        None, description="Slow this job down, for example 600/m. Never above the shared rate."
    )
    max_failures: Annotated[str | None, AfterValidator(lambda value: value and failure_limit(value))] = Field(
        None, max_length=40, description="Pause once more rows failed: 5%, a number of rows, or none."
    )
    priority: Literal["high", "normal", "low"] = Field("normal", description="Share of the workers.")
    name: Text | None = Field(None, description="Name of the job. Default: the file's name.")
    strict: bool = Field(False, description="Refuse the whole input when a row of it is rejected.")
    undo: bool = Field(True, description="Keep what was there before.")
    again: bool = Field(False, description="Apply an input that was submitted before once more.")
    oldest_first: bool = Field(False, description="Take the completions first that reach 30 days first.")
    hold: bool = Field(False, description="Store the job, but wait for resume.")
    check: bool = Field(False, description="Return the preview, and store nothing.")
    confirm: Annotated[str, AfterValidator(_checked_codes)] = Field(
        "", max_length=MOST_CHARS, description=f"Questions that are answered with yes: {', '.join(QUESTIONS)}."
    )
    input_format: Literal["csv", "jsonl"] | None = Field(None, description="Default: told by name, type or content.")
    delimiter: Text | None = Field(None, description="What separates the columns of a CSV file.")
    id_column: Text | None = Field(None, description="Column of the ids; in JSONL a field or a path.")
    columns: Texts = Field([], description="Only these columns become keys: team,quality=Quality.")
    null: Texts = Field([], description="Cells with exactly this text remove their key.")
    stringify: bool = Field(False, description="Take JSON numbers and booleans as their text.")

    @model_validator(mode="after")
    def _can_be_read(self) -> SubmitOptions:
        """Refuse what the options of an input refuse."""
        self.reading()
        if self.rate is not None:
            parse_rate(self.rate)
        return self

    @property
    def confirmed(self) -> frozenset[str]:
        """The codes of the questions that are answered with yes."""
        return frozenset(code.strip() for code in self.confirm.split(",")) - {""}

    def reading(self, layout: Literal["csv", "jsonl"] | None = None) -> InputOptions:
        """Return how the input is read; `layout` is what its type says, where no option does."""
        return input_options(
            {
                "layout": self.input_format or layout,
                "delimiter": None if self.delimiter is None else delimiter(self.delimiter),
                "id_column": None if self.id_column is None else column_name(self.id_column),
                "columns": [key_columns(text) for text in self.columns],
                "null": self.null,
                "stringify": self.stringify,
            }
        )

    def for_files(self, names: Iterable[str], layout: Literal["csv", "jsonl"] | None) -> FileOptions:
        """Return the options as the use case has them, for files of these names."""
        return FileOptions(
            files=tuple(names),
            mode=Mode(self.mode),
            rate=None if self.rate is None else parse_rate(self.rate),
            max_failures=self.max_failures,
            priority=Priority(self.priority),
            name=self.name or None,
            undo=self.undo,
            strict=self.strict,
            again=self.again,
            oldest_first=self.oldest_first,
            reading=self.reading(layout),
        )

    def canonical(self) -> bytes:
        """Return the same bytes for the same options, whatever their order."""
        return json.dumps(self.model_dump(), sort_keys=True).encode()


LISTS = frozenset({"columns", "null"})


def options_of(*given: ImmutableMultiDict[str, Any] | Mapping[str, Any]) -> SubmitOptions:
    """Return the options of a query, and of form fields or members of JSON, of which the later ones count.

    Raises:
        Refusal: one of them cannot be understood.

    """
    fields: dict[str, Any] = {}
    for each in given:
        if isinstance(each, ImmutableMultiDict):
            fields |= {name: each.getlist(name) if name in LISTS else each[name] for name in each}
        else:
            fields |= each
    return validated(SubmitOptions, fields)


def validated(kind: type[M], fields: Mapping[str, Any]) -> M:
    """Return fields as what they are to be.

    Raises:
        Refusal: one of them cannot be understood.

    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        found = [
            {"in": ".".join(map(str, part["loc"]))[:80] or "options", "reason": said_plainly(part["msg"])[:300]}
            for part in error.errors(include_url=False, include_input=False)[:20]
        ]
        detail = "; ".join(f"{part['in']}: {part['reason']}" for part in found[:3])
        raise Refusal("invalid_request", detail, errors=cast("Any", found)) from None
