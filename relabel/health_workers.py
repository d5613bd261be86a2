"""Checks the workers: that one takes rows, that they agree, and that none is started again and again."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from config.schedule import Schedule
from config.settings import Settings
from config.text import printable
from ledger.ledger import Ledger
from ledger.workers import STARTS_OVER_S, LivingWorker
from nightly.store import Nights
from ratelimit.shared_rate import endpoint_of
from relabel.agreement import disagreements
from relabel.check_result import CheckResult, Verdict, combined
from relabel.wording import count_of, in_words
from relabel.worker_state import NO_WORKER, beside_release_one, refused_keys

MOST_STARTS = 3
"""Starts of one worker within a quarter of an hour beyond which it is crashing, as in the alert RelabelWorkersCrash."""
NAME_CHARS = 100
START_WORKER = "start one with `celery -A tasks.app worker --without-gossip`, and look at its log"
SET_ALIKE = "set it alike, and restart those that have it wrong"
END_OLD = "end it and start the new release in its place"
CORRECT_KEY = "correct its key: it is read again and tried every minute"
FIND_CRASH = "find the cause at the end of its log, and in that of the system (killed for its memory?)"


async def check_workers(ledger: Ledger, *, deployed: bool) -> CheckResult:
    """Return whether a worker takes rows, all agree, and none crashes; `deployed`: some are expected."""
    workers = await ledger.workers.living()
    noted = await Nights(ledger.redis).beat_schedule()
    crashes = judge_starts(await ledger.workers.start_times(), await ledger.jobs.now())
    if not workers and not deployed:
        return CheckResult(Verdict.OK, "none is deployed; `relabel run` brings its own")
    gone_since = None if workers else await ledger.workers.last_beat_at()
    return combined([*judge_workers(workers, Schedule(*noted) if noted else None, gone_since), *crashes])


async def check_worker_here(ledger: Ledger) -> CheckResult:
    """Return whether a worker of this machine is alive."""
    host = socket.gethostname()
    here = [worker for worker in await ledger.workers.living() if worker.name.rpartition("@")[2] == host]
    if not here:
        return CheckResult(Verdict.FAIL, f"no worker of this machine ({host}) is alive", START_WORKER)
    idle = _idle(here)
    return CheckResult(Verdict.WARN, *idle) if idle else CheckResult(Verdict.OK, f"{_names(here)} is alive")


async def check_workers_key(ledger: Ledger, settings: Settings) -> CheckResult:
    """Return when the API last accepted a worker's key, for those who have no key to ask it themselves."""
    accepted = await ledger.accepted_keys.last(endpoint_of(settings))
    url = settings.openai_base_url
    if accepted is None:
        return CheckResult(Verdict.WARN, f"not known, as no worker got an answer from {url} within 10 minutes")
    worker, seconds = accepted
    when = f"{in_words(seconds)} ago" if seconds >= 1 else "just now"
    return CheckResult(Verdict.OK, f"{url} accepted the key of {printable(worker, NAME_CHARS)} {when}")


def judge_workers(
    workers: Sequence[LivingWorker], beat: Schedule | None, gone_since: float | None = None
) -> list[CheckResult]:
    """Return what is wrong with the living workers, or that nothing is.

    `beat` is the schedule of beat, and `gone_since` the last sign of life where none lives, as far as they are known.
    """
    if not workers:
        return [CheckResult(Verdict.FAIL, NO_WORKER, START_WORKER, since=gone_since)]
    children = sum(worker.children for worker in workers)
    alive = f"{len(workers)} alive, with {f'{children:,} children' if children != 1 else '1 child'}"
    found = [CheckResult(Verdict.OK, alive)]
    if idle := _idle(workers):
        verdict = Verdict.WARN if any(worker.takes_shards for worker in workers) else Verdict.FAIL
        found.append(CheckResult(verdict, f"{alive}; {idle[0]}", idle[1]))
    return found + [CheckResult(Verdict.WARN, clause, SET_ALIKE) for clause in disagreements(workers, beat)]


def judge_starts(starts: Mapping[str, Sequence[float]], now: float) -> list[CheckResult]:
    """Return the workers that are started again and again, since when.

    `starts` are when each was started, the first one first, and `now`, in seconds since the epoch.
    """
    found = []
    for name, times in sorted(starts.items()):
        number = sum(at > now - STARTS_OVER_S for at in times)
        if number > MOST_STARTS:
            often = f"{count_of(number, 'time')} within {STARTS_OVER_S // 60} minutes"
            said = f"{printable(name, NAME_CHARS)} was started {often}"
            found.append(CheckResult(Verdict.FAIL, said, FIND_CRASH, since=_crashing_since(times)))
    return found


def _crashing_since(times: Sequence[float]) -> float:
    """Return when the starts of a worker that is crashing now began to be too many."""
    since = times[-1]
    for last in range(len(times) - 1, MOST_STARTS - 1, -1):
        first = times[last - MOST_STARTS]
        if times[last] - first > STARTS_OVER_S:
            break
        since = first
    return since


def _idle(workers: Sequence[LivingWorker]) -> tuple[str, str] | None:
    """Return which workers take no shards, and what to do; None where all do."""
    if refused := refused_keys(workers):
        return refused, CORRECT_KEY
    old = beside_release_one(workers)
    return (old, END_OLD) if old else None


def _names(workers: Sequence[LivingWorker]) -> str:
    return ", ".join(worker.name for worker in workers)
