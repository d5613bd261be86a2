"""Every key that relabel keeps in Redis; a job's keys share the `{job_id}` hash tag, so one script may touch them."""

from __future__ import annotations

from typing import NamedTuple

JOBS = "relabel:jobs"
"""Sorted set: job id by time of submission."""
ACTIVE = "relabel:active"
"""Set: ids of the jobs that have not ended."""
TOTALS = "relabel:totals"
"""Hash: what the jobs counted that have ended, summed up, and the ledger's identity (`ledger.identity`): who finds the
former gone finds the latter gone, too. It never expires, so that counters only rise."""
LOST = "relabel:lost"
"""Sorted set: `job:ID` and `night:DATE` of what Redis lost within the last day, by when that was found."""
LIMITS = "relabel:limits"
"""Sorted set: names of the shared limits by the time of the last turn that used them."""
BEHAVIOURS = "relabel:behaviours"
"""Hash: base URL to how the service there was found to behave (`relabel probe`)."""
WORKERS = "relabel:workers"
"""Sorted set: `worker name|children` by time of the last heartbeat."""
WORKER_FACTS = "relabel:workers:facts"
"""Hash: `worker name|children` to what the worker says of itself, as JSON; workers of release one are not in it."""
WORKER_STARTS = "relabel:workers:starts"
"""Sorted set: `worker name|start` by when that start was, of those within the last day."""
RESCUE_LOCK = "relabel:rescue"
"""String: held by the worker that rescues just now."""

ENDED = "relabel:ended"
"""Sorted set: ids of the jobs that ended within the last day, by when, until a notification was sent."""
OUTBOX = "relabel:outbox"
"""Sorted set: notifications that were not delivered, by the time of the next try."""
OUTBOX_URGENT = "relabel:outbox:urgent"
"""Sorted set: those that go first, such as that of a paused job, alike."""
NOTICES = "relabel:outbox:notices"
"""Hash: notification to what is sent, and how often that was tried."""
NOTIFY_SINCE = "relabel:notify:since"
"""String: since when workers send notifications; of earlier ends none is sent."""
NOTIFIER_LOCK = "relabel:notify:lock"
"""String: held by the worker that delivers notifications just now."""
NIGHTS = "relabel:nights"
"""Sorted set: dates of nightly runs by when they began."""
OPEN_NIGHTS = "relabel:nights:open"
"""Set: dates of the nightly runs that have not ended."""
HELD_NIGHTS = "relabel:nights:held"
"""Set: dates of the nightly runs that have ended and of which a file waits for somebody's yes."""
NIGHTLY_LOCK = "relabel:nights:lock"
"""String: held by the worker that carries a nightly run on just now."""
NIGHTLY_TICK = "relabel:nights:tick"
"""String: there while no tick of the nightly run need be sent; it lives for seconds."""
NIGHTLY_SCHEDULE = "relabel:nights:schedule"
"""Hash: the schedule that beat or a worker was started with last, since when, and when beat was last alive."""

ARCHIVES = "relabel:archives"
"""Hash: worker to the folder in which it archives reports; it lives for a week after the last word of one."""
ARCHIVE_DUE = "relabel:archives:due"
"""Sorted set: ids of ended jobs whose report is still to be archived, by when they ended, for a week."""
ARCHIVE_LOCK = "relabel:archives:lock"
"""String: held by the worker that archives reports just now."""

TOKENS = "relabel:tokens"
"""Hash: SHA-256 of a token to its record (`ledger.tokens`), as JSON; it lives as long as the last of them."""
TOKENS_USED = "relabel:tokens:used"
"""Hash: SHA-256 of a token to when it was used last; it lives as long as the tokens."""

LASTING = frozenset({JOBS, ACTIVE, TOTALS, NIGHTS, OPEN_NIGHTS, HELD_NIGHTS, NIGHTLY_SCHEDULE})
"""The keys that never expire; each is a few fields, or is trimmed by those who write it."""


def night_key(date: str) -> str:
    """Hash: a nightly run, and each of its files."""
    return f"relabel:night:{date}"


def fingerprint_key(fingerprint: str) -> str:
    """String: the id of the job that this content was submitted as."""
    return f"relabel:submitted:{fingerprint}"


def claim_key(fingerprint: str) -> str:
    """String: the job and the lease owner that work on this completion just now, over all jobs."""
    return f"relabel:claim:{fingerprint}"


def accepted_keys_key(endpoint: str) -> str:
    """Sorted set: names of workers by the time at which the endpoint accepted their key last."""
    return f"relabel:accepted:{endpoint}"


def idempotency_key(name: str) -> str:
    """String: what was submitted with an idempotency key, as JSON (`ledger.idempotency`), for a day."""
    return f"relabel:idempotency:{name}"


def idempotency_lock(name: str) -> str:
    """String: held by the request with an idempotency key that is under way just now."""
    return f"relabel:idempotency:{name}:lock"


def browser_session_key(digest: str) -> str:
    """String: the hash of the token by which a browser is signed in (`ledger.browser_sessions`), for 12 hours."""
    return f"relabel:session:{digest}"


def health_check_key(token: str) -> str:
    """String: there for a second, to see whether the server takes writes."""
    return f"relabel:health:{token}"


class JobKeys(NamedTuple):
    """The keys of one job."""

    job_id: str

    def _key(self, name: str) -> str:
        return f"relabel:{{{self.job_id}}}:{name}"

    @property
    def lasting(self) -> tuple[str, ...]:
        """The keys that reports read after the job's end."""
        return (
            self.job,
            self.counts,
            self.outcomes,
            self.shards,
            self.details,
            self.rejected,
            self.unsent,
            self.journals,
            self.audit,
            self.times,
            self.series,
            self.row_index,
            self.digests,
            self.changes,
        )

    @property
    def passing(self) -> tuple[str, ...]:
        """The keys that matter while the job runs."""
        return (
            self.waiting,
            self.announced,
            self.leased,
            self.owners,
            self.crashes,
            self.tries,
            self.pace,
            self.selected,
        )

    @property
    def job(self) -> str:
        """Hash: what the job is and which state it is in."""
        return self._key("job")

    @property
    def counts(self) -> str:
        """Hash: rows by outcome, and requests by what became of them."""
        return self._key("counts")

    @property
    def shards(self) -> str:
        """Hash: shard number to its compressed patches."""
        return self._key("shards")

    @property
    def outcomes(self) -> str:
        """String: one byte a row, see `ledger.row.Outcome`."""
        return self._key("outcomes")

    @property
    def times(self) -> str:
        """String: four bytes a row, big-endian: when it was settled, in seconds since the epoch; 0 for an open row."""
        return self._key("times")

    @property
    def series(self) -> str:
        """String: how the job's counters rose over its life, at most 10 KB (`ledger.series`)."""
        return self._key("series")

    @property
    def row_index(self) -> str:
        """String: the rows sorted by a hash of their ids, twelve bytes a row (`ledger.row_index`)."""
        return self._key("index")

    @property
    def digests(self) -> str:
        """Hash: shard number to the SHA-256 of its rows and outcomes, in hex, of closed shards of a plan."""
        return self._key("digests")

    @property
    def changes(self) -> str:
        """Hash: what the closed shards of a plan would change to how many rows, bounded (`lua/count_shard.lua`)."""
        return self._key("changes")

    @property
    def details(self) -> str:
        """Hash: row number to what there is to say about it."""
        return self._key("details")

    @property
    def rejected(self) -> str:
        """List: compressed groups of rejected rows."""
        return self._key("rejected")

    @property
    def unsent(self) -> str:
        """List: compressed groups of valid rows for which nothing is sent; jobs of release one have none."""
        return self._key("unsent")

    @property
    def audit(self) -> str:
        """List: who changed what, when and why."""
        return self._key("audit")

    @property
    def waiting(self) -> str:
        """Sorted set: shards that nobody was told of, by number."""
        return self._key("waiting")

    @property
    def announced(self) -> str:
        """Sorted set: shards a message was sent for, by the time of the message."""
        return self._key("announced")

    @property
    def leased(self) -> str:
        """Sorted set: shards that a worker is at, by the end of its lease."""
        return self._key("leased")

    @property
    def owners(self) -> str:
        """Hash: shard number to the lease's owner."""
        return self._key("owners")

    @property
    def crashes(self) -> str:
        """Hash: shard number to leases that ended without a word and without progress, `owners:N` to who had them."""
        return self._key("crashes")

    @property
    def tries(self) -> str:
        """Hash: row number to how often it failed, for rows that a turn handed back after a failure."""
        return self._key("tries")

    @property
    def pace(self) -> str:
        """Hash: what the workers are waiting for, and how fast rows settled lately."""
        return self._key("pace")

    @property
    def journals(self) -> str:
        """Hash: shard number to the compressed before-images of a shard that ended."""
        return self._key("journals")

    @property
    def limit(self) -> str:
        """Hash: when the next slot of the job's own rate is free; the script that writes it lets it expire."""
        return self._key("limit")

    @property
    def producer(self) -> str:
        """String: there as long as the job's producer lives and is storing it."""
        return self._key("producer")

    @property
    def selected(self) -> str:
        """List: what a plan's selection took of each page of the list so far, packed; gone once it is read."""
        return self._key("selected")

    @property
    def reader(self) -> str:
        """String: held by the worker that reads the list for the job's selection just now."""
        return self._key("reader")

    @property
    def tombstone(self) -> str:
        """String: what was known of the job when Redis lost it; there only then (`ledger.tombstone`)."""
        return self._key("tombstone")

    def journal(self, shard: int) -> str:
        """String: before-images of a shard that is under way, group after group."""
        return self._key(f"journal:{shard}")
