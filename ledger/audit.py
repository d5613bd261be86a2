"""The audit log of a job: who changed what, when and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from config.text import REASON_CHARS, sanitize
from ledger.job_spec import Kind
from ledger.keys import JobKeys
from ledger.scripts import load_script

WHO_CHARS = 128
"""Most that is kept of user@host."""


class AuditLine(msgspec.Struct, frozen=True):
    """One change. `who` is user@host, `at` seconds since the epoch by the server's clock."""

    at: float
    who: str
    verb: str
    why: str


def audit_entry(who: str, verb: str, why: str) -> bytes:
    """Return an entry for the scripts that write it together with a change; they add the server's time."""
    return msgspec.json.encode({"who": sanitize(who, WHO_CHARS), "verb": verb, "why": sanitize(why, REASON_CHARS)})


_MADE = "as job "
_MADE_KINDS = frozenset(Kind) - {Kind.FILE}


def made_entry(who: str, kind: str, job_id: str, remark: str) -> bytes:
    """Return the entry for the log of a job whose rows another one is made of, such as an undo."""
    return audit_entry(who, kind, f"{_MADE}{job_id}{f', {remark}' if remark else ''}")


class MadeJob(NamedTuple):
    """A job that was made of another one's rows: its kind, its id, and what was said of it (`keys team`)."""

    kind: str
    job_id: str
    remark: str


class Audit:
    """The audit logs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._note = load_script(redis, "note")

    async def note(self, job_id: str, *, who: str, verb: str, why: str = "") -> None:
        """Append an entry of something that changes no state; without effect where the job is gone."""
        keys = JobKeys(job_id)
        await self._note([keys.job, keys.audit], [audit_entry(who, verb, why)])

    async def read(self, job_id: str) -> list[AuditLine]:
        """Return the lines, oldest first."""
        lines = await self._redis.lrange(JobKeys(job_id).audit, 0, -1)
        return [msgspec.json.decode(line, type=AuditLine) for line in lines]

    async def made_of(self, job_id: str) -> list[MadeJob]:
        """Return the jobs that were made of the rows of this one, oldest first."""
        log: Any = await self._redis.lrange(JobKeys(job_id).audit, 0, -1)
        return made_in(log)


def made_in(log: Iterable[bytes]) -> list[MadeJob]:
    """Return the jobs that a log names as made of the rows of its own one."""
    return [made for line in log if (made := _made(msgspec.json.decode(line, type=AuditLine)))]


def _made(line: AuditLine) -> MadeJob | None:
    """Return the job that a line names as made of another one's rows; None where it names none."""
    if line.verb not in _MADE_KINDS or not line.why.startswith(_MADE):
        return None
    made_id, _, remark = line.why.removeprefix(_MADE).partition(", ")
    return MadeJob(line.verb, made_id, remark)
