"""Which completions are selected: by model, metadata, time of creation and expression; and in which order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from completions.age import KEPT_DAYS
from completions.list_page import ListQuery
from completions.list_place import nearest_end
from config.moment import parse_duration
from selection.created import parse_utc
from selection.errors import BadExpression, BadSelection, LeftOut
from selection.expression import Where, compile_where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from selection.completion import Completion
    from selection.options import FilterOptions

_is_snapshot = re.compile(r".*-\d{4}-\d{2}-\d{2}", re.DOTALL).fullmatch
_DATE_OF_SNAPSHOT = r"(?:-\d{4}-\d{2}-\d{2})?"
_KEPT_S = KEPT_DAYS * 86_400


class Filters(NamedTuple):
    """Which completions are selected: what is asked of the API, and what is checked here of each completion it lists.

    `since` (included) and `until` (excluded) bound `created`, in seconds since the epoch.
    """

    query: ListQuery
    since: float | None
    until: float | None
    is_model: Callable[[str], object] | None
    metadata: dict[str, str]
    where: Where | None

    def select(self, completion: Completion) -> bool:
        """Return whether a completion is selected; the reader of the list checks the time of creation.

        Raises:
            LeftOut: it might be, and lacks something that decides.

        """
        held = completion.metadata
        if self.metadata and any(held.get(key) != value for key, value in self.metadata.items()):
            return False
        if self.is_model and not self.is_model(_model_of(completion)):
            return False
        if self.where is None or self.where.matches(completion):
            return True
        if reason := self.where.missing(completion):
            raise LeftOut(reason)
        return False


def read_filters(options: FilterOptions, *, now: float, newest_first: bool = False) -> Filters:
    """Return the filters of these options. `now` is what `3d` counts back from, in seconds since the epoch.

    `newest_first` decides the order of reading where the times leave it open.

    Raises:
        BadSelection: one cannot be used, or two contradict each other.

    """
    where = _where(options.where, now)
    since = _latest(_moment("--since", options.since, now), where and where.since)
    until = _earliest(_until(options, now), where and where.until)
    if since is not None and until is not None and since >= until:
        raise BadSelection("nothing can have been created at or after --since and before --until; change one of them")
    metadata = _pairs(options.metadata)
    model = options.model
    if model is not None and not model.strip():
        raise BadSelection("--model is empty; name a model, or leave it out")
    # what the service makes of a name that stands for several snapshots is not known (contract section 1)
    asked = model if model and _is_snapshot(model) else None
    order = nearest_end(since, until, now=now)
    if newest_first or options.expiring is not None:
        order = "desc" if options.expiring is None else "asc"
    is_model = re.compile(re.escape(model) + _DATE_OF_SNAPSHOT).fullmatch if model else None
    return Filters(ListQuery(asked, metadata, order), since, until, is_model, metadata, where)


def _where(where: str | Callable[[Completion], bool] | None, now: float) -> Where | None:
    if where is None:
        return None
    if not isinstance(where, str):
        return Where(where, lambda _: "")
    try:
        return compile_where(where, now=now)
    except BadExpression as error:
        raise BadSelection(f"--where, {error}", error.column) from None


def _until(options: FilterOptions, now: float) -> float | None:
    if options.expiring is None:
        return _moment("--until", options.until, now)
    if options.until is not None:
        raise BadSelection("--expiring and --until both say until when completions were created; leave one out")
    left = parse_duration(options.expiring)
    if left is None or not 0 < left <= _KEPT_S:
        what = f"--expiring {options.expiring!r} is no time before the {KEPT_DAYS} days that completions are kept"
        raise BadSelection(f"{what}; write how long before, such as 3d or 12h")
    return now + left - _KEPT_S


def _moment(option: str, text: str | None, now: float) -> float | None:
    try:
        return None if text is None else parse_utc(text, now=now)
    except ValueError as error:
        raise BadSelection(f"{option}: {error}") from None


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise BadSelection(f"--metadata {text!r} is no KEY=VALUE; write --metadata team=search")
        if pairs.setdefault(key, value) != value:
            what = f"--metadata asks for two values of {key!r}, and a completion has one"
            raise BadSelection(f"{what}; write --where 'metadata[\"{key}\"] in [...]'")
    return pairs


def _model_of(completion: Completion) -> str:
    if completion.model is None:
        raise LeftOut("model not shown by the API")
    return completion.model


def _latest(*moments: float | None) -> float | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)
