"""Judges whether the ledger is the one that there was: how old it is, and what Redis lost of late."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from config.text import printable
from ledger.identity import Identity
from ledger.ledger import Ledger
from ledger.losses import LISTED_S, Loss
from relabel.check_result import CheckResult, Verdict
from relabel.wording import count_of, in_words

YOUNGER_S = 60.0
"""Seconds by which a ledger must be younger than a worker to be suspicious: both may start together."""
GENERATION_CHARS = 16
RESTORE = "find out why Redis came back empty, then restore its backup, or submit the files again with --again"


class LedgerAge(NamedTuple):
    """A ledger at one moment (seconds since the epoch): its identity, what it lost within a day, how many jobs it has.

    `workers_up_s` is for how many seconds the longest-running worker has run, 0 where none is alive.
    """

    now: float
    identity: Identity | None
    losses: list[Loss]
    jobs: int
    workers_up_s: float


async def read_ledger_age(ledger: Ledger) -> LedgerAge:
    """Return what is known of the ledger's age."""
    facts = [worker.facts for worker in await ledger.workers.living()]
    return LedgerAge(
        now=await ledger.jobs.now(),
        identity=await ledger.identity.read(),
        losses=await ledger.losses.recent(),
        jobs=await ledger.jobs.listed(),
        workers_up_s=max((each.up_s for each in facts if each is not None), default=0.0),
    )


def judge_age(seen: LedgerAge) -> CheckResult:
    """Return how old the ledger is, with a warning where workers have run for longer; that proves no loss."""
    if seen.identity is None:
        return CheckResult(Verdict.OK, "the ledger was never used")
    age_s = seen.now - seen.identity.since
    generation = printable(seen.identity.generation, GENERATION_CHARS)
    age = f"the ledger ({generation}) is {in_words(age_s)} old{'' if seen.jobs else ' and empty'}"
    if age_s + YOUNGER_S < seen.workers_up_s:
        since = f"{age}; workers have run for {in_words(seen.workers_up_s)}"
        return CheckResult(Verdict.WARN, since, f"if it held jobs before, {RESTORE}")
    return CheckResult(Verdict.OK, age)


def judge_losses(seen: LedgerAge) -> CheckResult:
    """Return whether something was lost within the last day, as far as somebody remembers it."""
    if seen.losses:
        then = f"`relabel jobs` shows them; {RESTORE}"
        return CheckResult(Verdict.FAIL, f"Redis lost {_lost(seen)}", then, since=seen.losses[0].since)
    reset = seen.identity.reset if seen.identity else None
    if reset is not None and seen.now - reset.at < LISTED_S:
        under_way = f"{count_of(reset.unnamed, 'job')} under way" if reset.unnamed else "no job under way"
        what = f"Redis came back empty {in_words(seen.now - reset.at)} ago (found by {reset.seen_by}), with {under_way}"
        return CheckResult(Verdict.FAIL, what, RESTORE, since=reset.at)
    return CheckResult(Verdict.OK, "none is known to be lost")


def _lost(seen: LedgerAge) -> str:
    kinds = Counter(loss.kind for loss in seen.losses)
    words = {"job": "job", "night": "nightly run"}
    said = " and ".join(count_of(kinds[kind], word) for kind, word in words.items() if kinds[kind])
    reset = seen.identity.reset if seen.identity else None
    more = f", and {count_of(reset.unnamed, 'job')} that nobody knows by name" if reset and reset.unnamed else ""
    by = f" by {reset.seen_by}" if reset else ""
    return f"{said}{more} (found {in_words(seen.now - seen.losses[0].since)} ago{by})"
