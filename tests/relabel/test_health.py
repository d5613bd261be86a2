"""What health makes of the facts that it reads, one kind of fact at a time."""

from __future__ import annotations

import msgspec
import pytest

from config.shared import NIGHTLY
from ledger.job import Counts, Job, JobState, Traffic
from ledger.job_spec import Columns, JobSpec, Mode
from ledger.list_reads import JobSelection, ListRead
from ledger.progress import LastError, Standstill, Waits
from ledger.server_info import ServerFacts
from ledger.workers import Aside, LivingWorker, WorkerFacts
from nightly.state import FileState, Night, NightFile, NightState
from notify.outbox import Backlog
from ratelimit.limits import Limit, RateStatus
from ratelimit.shared_rate import LimitSeen
from relabel.check_result import CheckResult, Verdict, combined
from relabel.health_jobs import MOST_NAMED, judge_jobs
from relabel.health_ledger import judge_disk, judge_memory
from relabel.health_nightly import judge_beat, judge_runs, schedule_of
from relabel.health_notifications import judge_backlog
from relabel.health_rate import judge_limits
from relabel.health_workers import judge_starts, judge_workers
from relabel.rate_state import rate_warnings
from relabel.wording import size
from relabel.worker_state import why_none_works

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
NOW, MIB, HOUR = 1_764_000_000.0, 1 << 20, 3600.0
SPEC = JobSpec(
    job_id="20261127-172335-90e7a1b2",
    name="a.csv",
    mode=Mode.MERGE,
    journal=True,
    target="https://api.example/v1",
    columns=Columns("csv", "completion_id", []),
    rows=10,
    shards=1,
    shard_rows=10,
    rejected=0,
    folded=0,
    fingerprint="f",
    keep_s=60.0,
)
RUNNING = Job(
    spec=SPEC,
    state=JobState.RUNNING,
    reason=None,
    reason_code=None,
    rate_per_minute=None,
    submitted_at=NOW - HOUR,
    finished_at=None,
    counts=Counts(total=10, pending=10),
    traffic=Traffic(),
    rows_per_s=0.0,
    waits=Waits(),
)


def job(state: JobState = JobState.RUNNING, **facts) -> Job:
    """A job that runs well, but for these facts."""
    return msgspec.structs.replace(RUNNING, state=state, **facts)


def paused(code: str, reason: str) -> Job:
    """A job that was paused two hours ago."""
    return job(JobState.PAUSED, reason_code=code, reason=reason, paused_at=NOW - 2 * HOUR)


def still(seconds: float, error: LastError | None = None, **facts) -> Job:
    """A running job of which no row ended for so long."""
    return job(standstill=Standstill(NOW - seconds, seconds, error), **facts)


def reading(idle_for: float | None, **found) -> Job:
    """A plan for which the list is read, or for so long is not."""
    idle_since = None if idle_for is None else NOW - idle_for
    read = ListRead(read=4200, matched=300, **found)
    selection = JobSelection(asked={}, found=read, is_read=False, read_at=NOW - 9000, idle_since=idle_since)
    return job(JobState.SUBMITTING, selection=selection)


FAILING = Waits(backing_off=3, paused_s=4.0, paused_by="failing")


@pytest.mark.parametrize(
    ("seen", "verdict", "words", "then"),
    [
        (job(), OK, "1 job under way", ""),
        (still(170), OK, "1 job under way", ""),
        (still(240), WARN, "stands still: no row ended for 4 minutes (since ", "the workers' log"),
        (
            still(240, waits=FAILING),
            WARN,
            "the API is failing; all rows wait for 4 s",
            "the workers' log",
        ),
        (still(1000, LastError(500, "server_error", "Sorry")), FAIL, "last answer 500 'Sorry'", "the workers' log"),
        (reading(None, waits_for="server error (500)"), OK, "1 job under way", ""),
        (reading(100), WARN, "no worker has read the list of completions", "see that the workers use the same broker"),
        (
            reading(100),
            WARN,
            "for 1 minute: the list of completions is to be read on: 4,200 read, 300 match; no",
            "broker",
        ),
        (reading(1000), FAIL, "no worker reads it", "see that the workers use the same broker"),
        (paused("paused", "ada@desk: later"), WARN, "has been paused for 2 hours: ada@desk: later", "relabel resume"),
        (paused("interrupted", "relabel run ended"), WARN, "has been paused for 2 hours", "relabel resume"),
        (
            paused("insufficient_quota", "no credit"),
            FAIL,
            "has been paused for 2 hours: no credit",
            "add credit or raise the limit",
        ),
        (paused("state_lost", "rows are gone"), FAIL, "rows are gone", "submit the file again"),
        (
            job(JobState.HELD, reason_code="needs_confirmation", reason="sure?"),
            WARN,
            "has been held for 1 hour: sure?",
            "yes",
        ),
        (job(JobState.HELD), WARN, "has been held for 1 hour", "start it with"),
        (job(JobState.LOST), FAIL, "is lost: Redis lost some or all of the job", "submit the file again"),
    ],
)
def test_a_job_is_judged_by_whether_it_goes_on_without_anybody(seen, verdict, words, then):
    """With its id, its reason and since when; what a person did is no failure."""
    (found,) = judge_jobs([seen], idle="", now=NOW)

    assert (found.verdict, words in found.said) == (verdict, True), found.said
    assert (SPEC.job_id in found.message) is (verdict is not OK)
    assert then.replace("yes", "`relabel resume") in found.next_step


def test_a_list_that_no_worker_is_there_to_read_needs_one():
    """Where none is alive that is the reason, and the next step starts one."""
    (found,) = judge_jobs([reading(100)], idle="no worker is alive", now=NOW)

    assert (found.verdict, "no worker is alive" in found.said) == (WARN, True)
    assert found.next_step.startswith("start a worker")


def test_of_many_jobs_the_worst_are_named_and_the_others_counted():
    jobs = [*[paused("paused", "later")] * MOST_NAMED, paused("tls", "no certificate"), job()]

    found = judge_jobs(jobs, idle="", now=NOW)

    assert [each.verdict for each in found] == [FAIL, *[WARN] * MOST_NAMED]
    assert found[-1].message == "1 more job of these not shown"


def night(state: NightState = NightState.FINISHED, *files: FileState, reason: str = "") -> Night:
    """A run with files in these states."""
    entries = [NightFile(name=f"{n}", state=each, size=1, changed_ns=1, taken_at=NOW) for n, each in enumerate(files)]
    return Night(date="2026-11-27", state=state, started_at=NOW, reason=reason, entries=entries)


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (night(), OK, "the run of 2026-11-27 has finished"),
        (night(NightState.RUNNING), OK, "is running"),
        (night(NightState.FINISHED, FileState.DONE, FileState.REJECTED), WARN, "with 1 rejected file of 2"),
        (night(NightState.SKIPPED, reason="the run of 2026-11-26 has not ended"), FAIL, "was skipped: the run of 2026"),
        (night(NightState.NEEDS_ATTENTION, FileState.HELD), FAIL, "needs attention"),
        (night(NightState.LOST, reason="Redis lost the run"), FAIL, "is lost: Redis lost the run"),
    ],
)
def test_a_night_is_judged_by_whether_somebody_has_to_look_at_it(seen, verdict, words):
    """As `relabel nightly status` judges it."""
    (found,) = judge_runs([seen])

    assert (found.verdict, words in found.said, bool(found.next_step)) == (verdict, True, verdict is not OK)


@pytest.mark.parametrize(
    ("seen_at", "verdict", "words"),
    [
        (NOW - 60, OK, "alive"),
        (NOW - 100, FAIL, "silent for 1 minute"),
        (NOW - 600, FAIL, "silent for 10 minutes"),
        (None, WARN, "never seen"),
    ],
)
def test_beat_is_silent_where_three_signs_of_it_are_missing(seen_at, verdict, words):
    found = judge_beat(seen_at, NOW)

    assert (found.verdict, words in found.message) == (verdict, True)
    assert found.since == (None if verdict is OK else seen_at)


@pytest.mark.parametrize(
    ("backlog", "verdict"),
    [
        (Backlog(0, 0.0), OK),
        (Backlog(3, NOW - 5), OK),
        (Backlog(3, NOW - 300), WARN),
        (Backlog(3, NOW - 2 * HOUR), FAIL),
    ],
)
def test_notifications_are_judged_by_how_long_the_oldest_waits(backlog, verdict):
    found = judge_backlog(backlog, NOW)

    assert (found.verdict, bool(found.next_step)) == (verdict, verdict is not OK)


@pytest.mark.parametrize(
    ("status", "failing_s", "warnings"),
    [
        (RateStatus(rate=10, asked=10), 0.0, []),
        (RateStatus(rate=10, asked=10), 5.0, []),
        (RateStatus(rate=2, asked=10, slowed_by="429"), 0.0, ["slowed down to 120/min by 429s (configured 600/min)"]),
        (RateStatus(paused_s=20, paused_by="rate_limited", rate=10, asked=10), 0.0, ["paused by a 429 for 20 s"]),
        (
            RateStatus(paused_s=20, paused_by="failing", rate=1, asked=10, slowed_by="failing"),
            240.0,
            ["the API has failed for 4 minutes; all rows wait; the rate is slowed down to one request a second until"],
        ),
        (
            RateStatus(rate=1, asked=10, slowed_by="failing"),
            0.0,
            ["the API failed when it was used last; the rate is slowed down to one"],
        ),
        (RateStatus(rate=10, asked=10), 240.0, ["the API has failed for 4 minutes"]),
    ],
)
def test_an_api_that_fails_is_one_sentence_and_a_rate_that_is_slowed_down_another(status, failing_s, warnings):
    said = rate_warnings(status, failing_s=failing_s)

    assert len(said) == len(warnings)
    assert all(words in each for words, each in zip(warnings, said, strict=True)), said


@pytest.mark.parametrize(
    ("status", "failing_s", "verdict", "advice"),
    [
        (RateStatus(rate=1, asked=10, slowed_by="failing"), 0.0, WARN, "status page"),
        (RateStatus(rate=1, asked=10, slowed_by="failing"), 60.0, FAIL, "status page"),
        (RateStatus(rate=2, asked=10, slowed_by="429"), 0.0, WARN, "who else uses the key"),
    ],
)
def test_a_limit_that_is_slowed_down_names_what_to_look_at(status, failing_s, verdict, advice):
    """The rate is not to blame where the API fails, however short that is."""
    found = judge_limits([LimitSeen("0123", "api.example", Limit(10.0, 1), status, {}, failing_s, 700.0)], 1000.0)[0]

    assert (found.verdict, advice in found.next_step) == (verdict, True)
    assert found.since == (1000.0 - failing_s if failing_s else 700.0), "since when"


def server(used: int = 10 * MIB, limit: int = 0, *, disk_ok: bool = True, disk_used: int = 0) -> ServerFacts:
    """A server that uses so many bytes."""
    return ServerFacts(used, limit, evicts=False, append_only=True, disk_writes_ok=disk_ok, disk_used=disk_used)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        (server(), OK, "memory 10 MiB used, without a limit"),
        (server(limit=100 * MIB), OK, "memory 10 MiB of 100 MiB used"),
        (server(used=81 * MIB, limit=100 * MIB), WARN, "memory 81 MiB of 100 MiB used"),
    ],
)
def test_memory_is_judged_by_what_is_left_of_the_limit(facts, verdict, words):
    found = judge_memory(facts)

    assert (found.verdict, found.message) == (verdict, words)


def test_the_disk_is_judged_by_what_redis_says_and_by_its_room_where_it_can_be_known(tmp_path):
    failed = judge_disk(server(disk_ok=False), tmp_path)
    unknown = judge_disk(server(), None)
    large = judge_disk(server(disk_used=1 << 60), tmp_path)
    gone = judge_disk(server(), tmp_path / "gone")

    assert [each.verdict for each in failed] == [FAIL]
    assert unknown == []
    assert [(each.verdict, "left" in each.message) for each in large] == [(WARN, True)]
    assert [(each.verdict, "cannot be looked at" in each.message) for each in gone] == [(WARN, True)]


SCHEDULES = (("\x1b[31m", "UTC"), ("30 2 * * *", "No/Where"), ("30 2 * * *", "UTC"))
"""Two that are none, and one."""


def worker(name: str, aside: Aside = Aside.NO) -> LivingWorker:
    """A living worker."""
    return LivingWorker(name, 2, WorkerFacts(aside=aside))


@pytest.mark.parametrize(
    ("workers", "why", "verdict"),
    [
        ([], "no worker is alive", FAIL),
        ([worker("w1@a")], "", OK),
        ([worker("w1@a", Aside.KEY_REFUSED)], "the API refuses the key of w1@a, which takes no shards", FAIL),
        ([worker("w1@a", Aside.KEY_REFUSED), worker("w2@b")], "", WARN),
    ],
)
def test_why_no_worker_takes_rows_is_said_alike(workers, why, verdict):
    """A worker that lives and may not work is not said to be missing."""
    worst = combined(judge_workers(workers, None))

    assert (why_none_works(workers), worst.verdict) == (why, verdict)
    assert why in worst.message


def test_the_schedule_is_that_of_the_first_worker_that_has_one():
    """What is no schedule is passed over: whoever can write to Redis wrote it."""
    given = [{}, {NIGHTLY[0]: "30 2 * * *"}, *(dict(zip(NIGHTLY, each, strict=True)) for each in SCHEDULES)]
    workers = [LivingWorker("w", 2, WorkerFacts(settings=settings)) for settings in given]

    assert schedule_of([LivingWorker("old", 2, None), *workers]) == SCHEDULES[-1]
    assert schedule_of(workers[:-1]) is None


def test_a_worker_that_crashes_is_named_with_its_starts():
    """And with the first one of the row: that of a week's work before is none of them."""
    now = 100_000.0
    row = [now - 5000 + 200 * number for number in range(25)]
    starts = {"w1@a": [now - 60_000, now - 5600, *row], "w2@a": [now - 3, now - 2, now - 1], "w3@a": row[:-4]}
    (found,) = judge_starts(starts, now)

    assert (found.verdict, found.message) == (FAIL, "w1@a was started 4 times within 15 minutes")
    assert found.since == row[0]


def test_a_check_shows_what_is_wrong_with_the_worst_first_else_what_is_well():
    warn, fail, well = (CheckResult(verdict, verdict.value) for verdict in (WARN, FAIL, OK))

    assert combined([well, warn, fail, warn]) == fail._replace(more=(warn, warn))
    assert combined([well, well]) == CheckResult(OK, "ok; ok")


@pytest.mark.parametrize(
    ("number", "said"),
    [(999, "999 bytes"), (1024, "1 KiB"), (3 * MIB // 2, "1.5 MiB"), (700 * MIB, "700 MiB"), (3 << 40, "3 TiB")],
)
def test_bytes_are_written_in_a_unit_of_which_there_is_one(number, said):
    assert size(number) == said
