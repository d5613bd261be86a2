"""Metrics of rows, requests and jobs. Labels are words and job ids, never customer data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from config.text import known_code, printable
from ledger.job import JobState
from ledger.ledger import Ledger
from ledger.overview import Overview, read_overview
from ledger.row import OUTCOMES

ACTIVE_STATES = (JobState.HELD, JobState.RUNNING, JobState.PAUSED)
MOST_JOBS = 50
"""Active jobs with series of their own: running ones first, then the newest."""
JOB_ID_CHARS = 64


async def row_families(ledger: Ledger) -> list[Metric]:
    """Return the active jobs and the totals of the ended ones."""
    overview = await read_overview(ledger.redis)
    return [*_rows(overview), *_jobs(overview), *_ages(overview), *_moments(overview), *_each_job(overview)]


def _rows(overview: Overview) -> Iterator[Metric]:
    jobs = [seen.job for seen in overview.jobs]
    rows = CounterMetricFamily("relabel_rows", "Rows that have ended, by outcome.", labels=["outcome"])
    for word in OUTCOMES:
        rows.add_metric([word], overview.totals.get(word, 0) + sum(getattr(job.counts, word) for job in jobs))
    yield rows
    submitted = overview.totals.get("total", 0) + sum(job.counts.total for job in jobs)
    yield CounterMetricFamily("relabel_rows_submitted", "Rows that were submitted, rejected ones included.", submitted)
    pending = sum(job.counts.pending for job in jobs)
    yield GaugeMetricFamily("relabel_rows_pending", "Rows of active jobs that have no outcome yet.", pending)
    for name, word, what in (
        ("relabel_requests", "requests", "Requests sent to the API."),
        ("relabel_request_retries", "retries", "Tries of a row after one that failed."),
        ("relabel_requests_throttled", "throttled", "Requests that the API answered with 429."),
    ):
        yield CounterMetricFamily(
            name, what, overview.totals.get(word, 0) + sum(getattr(j.traffic, word) for j in jobs)
        )
    what = "Shards whose worker died, hung or could not reach Redis; another worker goes on with them."
    yield CounterMetricFamily("relabel_shards_abandoned", what, overview.totals.get("abandoned", 0))


def _jobs(overview: Overview) -> Iterator[Metric]:
    states = Counter(seen.job.state for seen in overview.jobs)
    jobs = GaugeMetricFamily("relabel_jobs", "Jobs that have not left yet, by state.", labels=["state"])
    for state in sorted({*ACTIVE_STATES, *states}):
        jobs.add_metric([_word(state)], states[state])
    yield jobs
    ended = CounterMetricFamily("relabel_jobs_ended", "Jobs that have ended, by how.", labels=["state"])
    for state, number in overview.ended.items():
        ended.add_metric([_word(state)], number)
    yield ended
    paused = GaugeMetricFamily("relabel_jobs_paused", "Paused jobs, by reason code.", labels=["reason_code"])
    codes = Counter(known_code(seen.job.reason_code) for seen in overview.jobs if seen.job.state is JobState.PAUSED)
    for code, number in sorted(codes.items()):
        paused.add_metric([code], number)
    yield paused


def _ages(overview: Overview) -> Iterator[Metric]:
    running = [seen for seen in overview.jobs if seen.job.state is JobState.RUNNING]
    stored = min((seen.job.submitted_at for seen in running), default=overview.now)
    yield GaugeMetricFamily(
        "relabel_oldest_unfinished_shard_age_seconds",
        "Seconds since the oldest shard of a running job was stored that has not ended; 0 where no job runs.",
        max(0.0, overview.now - stored),
    )
    announced = [seen.announced_at for seen in running if seen.announced_at is not None]
    yield GaugeMetricFamily(
        "relabel_oldest_unanswered_message_age_seconds",
        "Seconds that a running job's shard has waited for a worker since its message; 0 where none waits.",
        max(0.0, overview.now - min(announced, default=overview.now)),
    )


def _moments(overview: Overview) -> Iterator[Metric]:
    """Yield since when jobs are paused or without progress: an alert that rests on it need not have seen it begin."""
    newest = sorted((seen.job for seen in overview.jobs), key=lambda job: job.submitted_at, reverse=True)
    paused = GaugeMetricFamily(
        "relabel_job_paused_timestamp_seconds",
        "When a job that is paused was paused, seconds since the epoch.",
        labels=("job_id", "reason_code"),
    )
    for job in [job for job in newest if job.paused_at is not None][:MOST_JOBS]:
        paused.add_metric([printable(job.spec.job_id, JOB_ID_CHARS), known_code(job.reason_code)], job.paused_at or 0.0)
    progress = GaugeMetricFamily(
        "relabel_job_progress_timestamp_seconds",
        "When a row of a job ended last or a page of the list was read for it, or it began to run since, in seconds "
        "since the epoch.",
        labels=["job_id"],
    )
    for job in [job for job in newest if job.state is JobState.RUNNING or job.is_read_by_workers][:MOST_JOBS]:
        at = job.selection.read_at if job.is_read_by_workers and job.selection else job.progress_at
        progress.add_metric([printable(job.spec.job_id, JOB_ID_CHARS)], at)
    yield from (paused, progress)


def _each_job(overview: Overview) -> Iterator[Metric]:
    jobs = sorted(
        (seen.job for seen in overview.jobs),
        key=lambda job: (job.state is JobState.RUNNING, job.submitted_at, job.spec.job_id),
        reverse=True,
    )
    families = progress, pending, failed, left = [
        GaugeMetricFamily(f"relabel_job_{name}", what, labels=("job", "state"))
        for name, what in (
            ("progress_ratio", "Part of an active job's rows that has ended, 0 to 1."),
            ("rows_pending", "Rows of an active job that have no outcome yet."),
            ("rows_failed", "Rows of an active job that failed."),
            ("eta_seconds", "Seconds to a running job's end at its pace of late."),
        )
    ]
    for job in jobs[:MOST_JOBS]:
        labels = [printable(job.spec.job_id, JOB_ID_CHARS), _word(job.state)]
        counts = job.counts
        progress.add_metric(labels, counts.settled / counts.total if counts.total else 1.0)
        pending.add_metric(labels, counts.pending)
        failed.add_metric(labels, counts.failed)
        if job.eta_s is not None:
            left.add_metric(labels, job.eta_s)
    yield from families
    omitted = max(0, len(jobs) - MOST_JOBS)
    yield GaugeMetricFamily("relabel_jobs_without_series", "Active jobs that have no series of their own.", omitted)


def _word(state: JobState) -> str:
    return "lost" if state is JobState.LOST else str(state)
