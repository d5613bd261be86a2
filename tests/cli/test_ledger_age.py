"""What health says of a ledger that came back empty, or that is younger than its workers."""

from __future__ import annotations

import pytest

from config.schedule import Schedule
from config.shared import NIGHTLY
from ledger.identity import SCHEMA, Identity, Reset
from ledger.loss_detector import LossDetector
from ledger.losses import Loss
from ledger.workers import Aside, LivingWorker, WorkerFacts
from relabel.agreement import disagreements
from relabel.check_result import Verdict
from relabel.ledger_age import LedgerAge, judge_age, judge_losses

NOW, HOUR, DAY = 1_764_000_000.0, 3600.0, 86_400.0
RATE = "RELABEL_RATE__PER_MINUTE"


def ledger(age_s: float, *, reset: Reset | None = None, losses: tuple[Loss, ...] = (), jobs: int = 3, up_s: float = 0):
    """A ledger of this age."""
    return LedgerAge(NOW, Identity("g", NOW - age_s, SCHEMA, reset), list(losses), jobs, up_s)


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (ledger(12 * DAY, up_s=9 * HOUR), Verdict.OK, "the ledger (g) is 12 days old"),
        (ledger(240, jobs=0, up_s=9 * HOUR), Verdict.WARN, "4 minutes old and empty; workers have run for 9 hours"),
        (ledger(240, jobs=0), Verdict.OK, "the ledger (g) is 4 minutes old and empty"),
        (ledger(5, jobs=0, up_s=30), Verdict.OK, "5 seconds old and empty"),
        (LedgerAge(NOW, None, [], 0, 0), Verdict.OK, "never used"),
    ],
)
def test_a_ledger_is_judged_by_its_age(seen, verdict, words):
    """One that is younger than its workers is named; nothing is claimed."""
    found = judge_age(seen)

    assert (found.verdict, words in found.message) == (verdict, True), found.message
    assert bool(found.next_step) is (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (ledger(240), ""),
        (ledger(240, reset=Reset(NOW - 240, "w1@a", 0)), "4 minutes ago (found by w1@a)"),
        (ledger(240, reset=Reset(NOW - 240, "w1@a", 7)), "7 jobs under way"),
        (ledger(2 * DAY, reset=Reset(NOW - 2 * DAY, "w1@a", 0)), ""),
        (
            ledger(240, losses=(Loss("job", "a", NOW - 60), Loss("night", "b", NOW - 60)), reset=Reset(NOW, "w1@a", 2)),
            "lost 1 job and 1 nightly run, and 2 jobs that nobody knows by name (found 1 minute ago by w1@a)",
        ),
        (ledger(9 * DAY, losses=(Loss("job", "a", NOW - HOUR),)), "lost 1 job (found 1 hour ago)"),
        (LedgerAge(NOW, None, [], 0, 0), ""),
    ],
)
def test_what_was_lost_within_a_day_is_named(seen, words):
    """With when, and who found out."""
    found = judge_losses(seen)

    assert (found.verdict, words in found.message) == (Verdict.FAIL if words else Verdict.OK, True), found.message
    assert bool(found.next_step) is bool(words)


def worker(name: str, **facts) -> LivingWorker:
    """A worker as most are, but for these facts."""
    given = {"version": "0.2.0", "base_url": "https://api.example/v1", "key": "aaaa", "settings": {RATE: "600"}}
    return LivingWorker(name, 2, WorkerFacts(**given | facts))


DAILY = dict(zip(NIGHTLY, ("30 2 * * *", "UTC"), strict=True))


@pytest.mark.parametrize(
    ("second", "beat", "clauses"),
    [
        (worker("w2"), None, []),
        (worker("w2", version="0.3.0"), None, ["the version is 0.2.0 (w1), 0.3.0 (w2)"]),
        (worker("w2", settings={RATE: "60"}), None, [f"{RATE} is 600 (w1), 60 (w2)"]),
        (worker("w2", settings={RATE: "600", "OPENAI_ORG_ID": "o"}), None, ["OPENAI_ORG_ID is not set (w1), o (w2)"]),
        (
            worker("w2", base_url="https://b/v1"),
            None,
            ["OPENAI_BASE_URL is https://api.example/v1 (w1), https://b/v1 (w2)"],
        ),
        (worker("w2", key="bbbb"), None, ["aaaa (w1), bbbb (w2)"]),
        (worker("w2", key=""), None, []),
        (worker("w2", settings={RATE: "600"} | DAILY), None, []),
        (worker("w2", settings={RATE: "600"} | DAILY), Schedule("30 2 * * *", "UTC"), []),
        (
            worker("w2", settings={RATE: "600"} | DAILY),
            Schedule("0 3 * * *", "UTC"),
            ["RELABEL_NIGHTLY__CRON is 0 3 * * * (beat), 30 2 * * * (w2)"],
        ),
        (LivingWorker("old", 2, None), None, []),
        (worker("w2", version="\x1b[31m9"), None, ["\\x1b[31m9 (w2)"]),
    ],
)
def test_what_workers_and_beat_have_differently_is_named(second, beat, clauses):
    """With who has which; workers without the inbox need no schedule, and keys of one named rate may differ."""
    found = disagreements([worker("w1"), second], beat)

    assert len(found) == len(clauses)
    assert all(clause in said for clause, said in zip(clauses, found, strict=True))


def test_keys_that_share_a_named_rate_may_differ():
    named = {RATE: "600", "RELABEL_RATE__NAME": "shared"}

    assert disagreements([worker("w1", settings=named), worker("w2", key="bbbb", settings=named)], None) == []


async def test_health_fails_where_jobs_were_lost(relabel, ledger, make_job):
    """And says who found out, and what to do."""
    await make_job("completion_id,team\nchatcmpl-a1,blue\n")
    detector = LossDetector("w1@a")
    await detector.check(ledger)
    await ledger.redis.flushdb()
    await detector.check(ledger)

    ended = await relabel("health", "--only", "ledger,jobs")

    assert ended.code == 1
    assert "ok    ledger" in ended.out
    assert "fail  jobs" in ended.out
    assert "Redis lost 1 job" in ended.out
    assert "w1@a" in ended.out
    assert "relabel jobs" in ended.out


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (WorkerFacts(settings={RATE: "60"}), RATE),
        (WorkerFacts(version="0.3.0", settings={RATE: "600"}), "version"),
        (WorkerFacts(aside=Aside.KEY_REFUSED), "the API refuses the key of w2@b"),
        (None, "release one"),
    ],
)
async def test_health_names_the_worker_that_differs(relabel, ledger, second, words):
    """A warning: the others go on."""
    await ledger.workers.beat("w1@a", 2, WorkerFacts(settings={RATE: "600"}))
    if second is None:
        await ledger.redis.zadd("relabel:workers", {"w2@b|2": await ledger.jobs.now()})
    else:
        await ledger.workers.beat("w2@b", 2, second)

    ended = await relabel("health", "--only", "workers")

    assert (ended.code, "warn  workers" in ended.out) == (0, True)
    assert words in ended.out
    assert "w2@b" in ended.out
