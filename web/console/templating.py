"""Turns values into pages: whatever comes from outside is escaped, and has nothing in it that acts on its reader."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from config.text import printable
from ledger.clock import utc_second
from ledger.input_files import place_of
from ledger.job import Counts, Job, JobState
from relabel.advice import next_step
from relabel.explain import reason_of, selected_so_far
from relabel.how_far import how_far, outcome_counts, outcome_words
from relabel.next_steps import after_plan
from relabel.possible import possible_actions
from relabel.preview import expected_effort
from relabel.verification import said_of
from relabel.wording import count_of, duration, per_minute, size
from web.console.actions import ACTIONS, refusal_of, refused_actions
from web.console.chart import rate_text

BAR = ("updated", "unchanged", "would_change", "drifted", "failed", "rejected", "cancelled")
"""Outcomes in the order in which a bar shows them; the rest of it is pending."""
MARKS = {
    JobState.SUBMITTING: "…",
    JobState.HELD: "◇",
    JobState.RUNNING: "▶",
    JobState.PAUSED: "‖",
    JobState.FINISHED: "✓",
    JobState.CANCELLED: "✕",
    JobState.LOST: "!",
}
"""A sign a state, so that none is told by its colour alone."""
FOLD_CHARS = 60
"""Characters of a value from which it is folded."""


_JOB = r"(\d{8}-\d{6}-[0-9a-f]{8})"
_PAGES = (
    (re.compile(rf"relabel ({'|'.join(ACTIONS)}) {_JOB}( --all)?"), "/jobs/{1}/actions/{0}{2}"),
    (re.compile(rf"relabel report {_JOB} --summary"), "/jobs/{0}#h-causes"),
    (re.compile(rf"relabel receipt {_JOB}(?: -o \S+)?"), "/jobs/{0}/receipt"),
    (re.compile(rf"relabel (?:status|watch|log) {_JOB}"), "/jobs/{0}"),
    (re.compile(r"relabel nightly status"), "/nightly"),
)
"""Commands for which there is a page, and its address: whoever has a browser needs no terminal."""
_FIRST_WORD = re.compile(r"[a-z]+[ ,]")


class Piece(NamedTuple):
    """A part of a bar of 100: its outcome, where it begins, and how wide it is."""

    word: str
    start: float
    width: float


def bar(counts: Counts) -> list[Piece]:
    """Return the parts of a bar that shows how rows ended; what occurs is at least half a hundredth wide."""
    pieces, at = list[Piece](), 0.0
    for word in BAR:
        number = getattr(counts, word)
        if number and counts.total:
            width = min(max(0.5, number / counts.total * 100), 100 - at)
            pieces.append(Piece(word, round(at, 2), round(width, 2)))
            at += width
    return pieces


def counts_line(job: Job) -> str:
    """Return the rows of each outcome that occurs, on one line."""
    return " · ".join(outcome_counts(job.counts, kind=job.spec.kind).split("  "))


def moment(at: float) -> Markup:
    """Return a moment, in seconds since the epoch, as people read it, in UTC."""
    shown = datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{} UTC</time>').format(utc_second(at), shown)


def short_moment(at: float) -> Markup:
    """Return a moment without its year, for a table whose head names the zone."""
    shown = datetime.fromtimestamp(at, tz=UTC).strftime("%d %b %H:%M:%S")
    return Markup('<time datetime="{}">{}</time>').format(utc_second(at), shown)


def _shown(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def new_environment() -> Environment:
    """Return the templates, with the words that other doors use, too."""
    environment = Environment(
        loader=PackageLoader("web.console"),
        autoescape=True,
        auto_reload=False,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "duration": duration, "per_minute": per_minute, "size": size}
    environment.filters |= {"rate_text": rate_text, "short_moment": short_moment}
    environment.filters |= {"sentence": sentence, "words": outcome_words, "pretty": lambda number: f"{number:,}"}
    environment.globals |= {
        "after_plan": _of_job(after_plan),
        "actions": ACTIONS,
        "actions_of": possible_actions,
        "bar": bar,
        "count_of": count_of,
        "counts_line": counts_line,
        "expected_effort": expected_effort,
        "how_far": how_far,
        "marks": MARKS,
        "next_step": _of_job(next_step),
        "outcome_counts": outcome_counts,
        "place_of": place_of,
        "reason_of": reason_of,
        "refusal_of": refusal_of,
        "refused_actions": refused_actions,
        "said_of": said_of,
        "selected_so_far": selected_so_far,
        "FOLD_CHARS": FOLD_CHARS,
    }
    return environment


def _of_job(say: Any) -> Any:
    """Return what says something of a job, with commands marked as such."""

    def said(job: Job, refused: Collection[str] = ()) -> Markup:
        return commands(say(job), refused)

    return said


def commands(text: str, refused: Collection[str] = ()) -> Markup:
    """Return a sentence with what stands between backticks marked as code, as a link where a page does the same.

    The actions of `refused` are not for whoever sees the page, so that nothing leads to them.
    """
    parts = printable(text).split("`")
    return Markup("").join(_command(part, refused) if at % 2 else part for at, part in enumerate(parts))


def _command(text: str, refused: Collection[str]) -> Markup:
    code = Markup("<code>{}</code>").format(text)
    for pattern, address in _PAGES:
        if (found := pattern.fullmatch(text)) and set(found.groups()).isdisjoint(refused):
            groups = ["?all=true" if group == " --all" else group or "" for group in found.groups()]
            return Markup('<a href="{}">{}</a>').format(address.format(*groups), code)
    return code


def sentence(text: str) -> str:
    """Return a reason as a sentence begins; names, addresses and codes stay as they are."""
    return text[0].upper() + text[1:] if _FIRST_WORD.match(text) else text
