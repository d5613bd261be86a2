"""One selection: which completions it takes of those that the list shows, and what each of them is to get."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ledger.row import Patch
from selection.completion import Completion
from selection.errors import BadSelection, LeftOut
from selection.filters import Filters, read_filters
from selection.labels import Labels, read_labels
from selection.shares import Sample, parse_sample

if TYPE_CHECKING:
    from collections.abc import Iterable

    from completions.list_page import Listed
    from selection.options import SelectOptions

NOT_SHOWN = "metadata not shown by the API"


class Selection(NamedTuple):
    """A selection whose options were read. `limit` bounds the completions that are taken, in the order of the list."""

    filters: Filters
    labels: Labels
    limit: int | None
    sample: Sample | None

    def take(self, listed: Iterable[Listed], *, matched: int, left_out: Counter[str]) -> list[Completion]:
        """Return those that match, up to the limit; `matched` did before. Counts those left out by reason."""
        taken: list[Completion] = []
        for item in listed:
            if self.is_full(matched + len(taken)):
                break
            try:
                completion = _shown(item)
                if self.filters.select(completion):
                    self.labels.patch_of(completion)
                    taken.append(completion)
            except LeftOut as error:
                left_out[error.reason] += 1
        return taken

    def patch_of(self, completion: Completion, *, line: int) -> Patch:
        """Return what a completion that was taken is to get, with the metadata that was seen."""
        return Patch(line, completion.id, self.labels.patch_of(completion), seen=completion.metadata)

    def is_full(self, matched: int) -> bool:
        """Return whether so many completions are all that are asked for."""
        return self.limit is not None and matched >= self.limit


def read_selection(options: SelectOptions, *, now: float) -> Selection:
    """Return the selection of these options. `now` is what `3d` counts back from, in seconds since the epoch.

    Raises:
        BadSelection: an option cannot be used, or two contradict each other.

    """
    _refuse_broken_text(options)
    if options.seed is not None and options.sample is None:
        raise BadSelection("--seed goes with --sample; add --sample 300, or leave it out")
    if options.sample is not None and options.limit is not None:
        raise BadSelection("--limit and --sample both say how many completions; leave one out")
    if options.limit is not None and options.limit < 1:
        raise BadSelection("--limit must be 1 or more")
    sample = None if options.sample is None else parse_sample(options.sample, options.seed or 0)
    labels = read_labels(options.labels)
    return Selection(
        read_filters(options.filters, now=now, newest_first=options.limit is not None), labels, options.limit, sample
    )


def _shown(item: Listed) -> Completion:
    if item.metadata is None:
        raise LeftOut(NOT_SHOWN)
    return Completion(item.id, item.created, item.model, item.metadata)


def _refuse_broken_text(options: SelectOptions) -> None:
    """Raise BadSelection for a text that is none, as a terminal with another encoding hands it on."""
    for value in (*options.filters, *options.labels, options.sample):
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and not _is_text(text):
                raise BadSelection(f"{text!r} is not UTF-8; type it in a terminal that is, or write it in ASCII")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
