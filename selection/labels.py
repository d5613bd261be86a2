"""What each selected completion is to get: values, values where there is none yet, keys to remove, keys to edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from producer.errors import BadRow
from producer.rules import checked_key, too_much
from selection.errors import BadExpression, BadSelection, LeftOut
from selection.shares import Split, parse_split
from selection.template import read_template, value_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from selection.completion import Completion
    from selection.options import LabelOptions
    from selection.template import Template


class Labels(NamedTuple):
    """What completions are to get. `shown` are the keys whose present values are written, to be edited."""

    set: dict[str, Template]
    defaults: dict[str, Template]
    removed: Sequence[str]
    shown: Sequence[str]
    split: Split | None

    @property
    def keys(self) -> list[str]:
        """All keys that a patch may name, in the order of a table's columns."""
        of_split = [self.split.key] if self.split else []
        return [*self.shown, *self.set, *self.defaults, *of_split, *self.removed]

    @property
    def change(self) -> bool:
        """Whether completions may come to hold anything else."""
        return bool(self.set or self.defaults or self.removed or self.split)

    @property
    def needs_json(self) -> bool:
        """Whether a table with a column a key cannot hold them, as an empty cell leaves its key alone."""
        templates = (*self.set.values(), *self.defaults.values())
        return bool(self.removed) or any(template.may_be_empty for template in templates)

    def patch_of(self, completion: Completion) -> dict[str, str | None]:
        """Return what a completion is to get; None removes a key. Raises LeftOut where it cannot be computed."""
        held = completion.metadata
        patch: dict[str, str | None] = {key: _editable(key, held[key]) for key in self.shown if key in held}
        for key, template in self.set.items():
            patch[key] = template.render(completion)
        for key, template in self.defaults.items():
            if key not in held:
                patch[key] = template.render(completion)
        if self.split:
            patch[self.split.key] = self.split.value_of(completion)
        patch |= dict.fromkeys(self.removed)
        return patch


def read_labels(options: LabelOptions) -> Labels:
    """Return the labels of these options.

    Raises:
        BadSelection: one cannot be used, or two contradict each other.

    """
    if options.split_by is not None and options.split is None:
        raise BadSelection("--split-by goes with --split; add --split KEY=VALUE:PERCENT,...")
    by = "id" if options.split_by is None else options.split_by
    try:
        split = None if options.split is None else parse_split(options.split, by)
    except BadExpression as error:
        raise BadSelection(f"--split-by, {error}", error.column) from None
    labels = Labels(
        dict(_templates("--set", options.set)),
        dict(_templates("--set-default", options.set_default)),
        options.unset,
        options.keys,
        split,
    )
    _refuse_bad_keys(options, split)
    return labels


def _editable(key: str, value: str) -> str:
    """Return a present value as a file can hold it; raises LeftOut."""
    if fault := value_fault(value):
        raise LeftOut(f"{key} {fault}")
    return value


def _templates(option: str, texts: Iterable[str]) -> Iterator[tuple[str, Template]]:
    for text in texts:
        key, equals, template = text.partition("=")
        if not (key and equals):
            raise BadSelection(f"{option} {text!r} is no KEY=VALUE; write {option} team=search")
        try:
            yield key, read_template(template, key=key)
        except BadSelection as error:
            raise BadSelection(f"{option} {key}, {error}", error.column) from None


def _refuse_bad_keys(options: LabelOptions, split: Split | None) -> None:
    """Raise BadSelection for a key that cannot be one, or that two options are about."""
    named = [
        *(("--keys", key) for key in options.keys),
        *(("--set", text.partition("=")[0]) for text in options.set),
        *(("--set-default", text.partition("=")[0]) for text in options.set_default),
        *([("--split", split.key)] if split else []),
        *(("--unset", key) for key in options.unset),
    ]
    option_of: dict[str, str] = {}
    for option, key in named:
        try:
            checked_key(key, None)
        except BadRow as error:
            raise BadSelection(f"{option}: {error.reason}") from None
        if other := option_of.get(key):
            where = f"{option} twice" if other == option else f"{other} and {option}"
            raise BadSelection(f"key {key!r} is named by {where}; name each key once")
        option_of[key] = option
    if fault := too_much({key: None if option in {"--keys", "--unset"} else "" for key, option in option_of.items()}):
        raise BadSelection(f"the selection {fault}; leave out some")
