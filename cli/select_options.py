"""The options of `select` that say which completions, how many, and what each of them is to get."""

from __future__ import annotations

import csv
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from selection.options import FilterOptions, LabelOptions, SelectOptions

F = TypeVar("F", bound=Callable[..., Any])


class Keys(click.ParamType):  # type: ignore[type-arg] # generic from click 8.5 on only
    """Keys with commas between them; one with a comma in it stands in double quotes."""

    name = "keys"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the keys."""
        try:
            [keys] = csv.reader([str(value)], strict=True)
        except (csv.Error, ValueError):
            self.fail("write keys with commas between them, and one with a comma in double quotes.", param, ctx)
        return tuple(keys)


_OPTIONS = (
    click.option("--model", metavar="M", help="Only of this model; gpt-4o also finds its dated snapshots."),
    click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="Only with this value. May be repeated."),
    click.option("--since", metavar="TIME", help="Created then or later: a date, a time (UTC), or 3d for 3 days ago."),
    click.option("--until", metavar="TIME", help="Created before then."),
    click.option("--expiring", metavar="TIME", help="Reaching 30 days of age within this time, such as 3d."),
    click.option("--where", metavar="EXPRESSION", help="Only what an expression holds of; see above."),
    click.option(
        "--limit", type=click.IntRange(min=1), help="At most so many: the newest, with --expiring the oldest."
    ),
    click.option("--sample", metavar="N|N%", help="So many of those that match, or about such a share of them."),
    click.option("--seed", type=int, help="Which sample: a number; another one gives another sample.  [default: 0]"),
    click.option(
        "--set", metavar="KEY=VALUE", multiple=True, help="Set a key; {metadata.team} and {model} stand for theirs."
    ),
    click.option("--set-default", metavar="KEY=VALUE", multiple=True, help="The same, only where the key is absent."),
    click.option("--unset", metavar="KEY", multiple=True, help="Remove a key. May be repeated."),
    click.option(
        "--keys", type=Keys(), default="", metavar="LIST", help="Write the present values of keys, for editing."
    ),
    click.option("--split", metavar="KEY=A:80,B:20", help="Set a key to one of several values, each to its share."),
    click.option(
        "--split-by", metavar="FIELD", help="Keep completions together that have this in common.  [default: id]"
    ),
)
_COUNT = {"limit", "sample", "seed"}


def select_options(verb: F) -> F:
    """Add the options of `SelectOptions` to a verb, which receives them as `options`."""

    @functools.wraps(verb)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        filters = FilterOptions(**{name: kwargs.pop(name) for name in FilterOptions._fields})
        labels = LabelOptions(**{name: kwargs.pop(name) for name in LabelOptions._fields})
        count = {name: kwargs.pop(name) for name in _COUNT}
        return verb(*args, options=SelectOptions(filters, labels, **count), **kwargs)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]
