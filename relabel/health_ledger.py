"""Checks the ledger's server: that it takes writes and keeps them, how much room it has, and how old the ledger is."""

from __future__ import annotations

import shutil
from pathlib import Path

from ledger.connect import persistence_warnings
from ledger.ledger import Ledger
from ledger.server_info import ServerFacts, server_facts, write_and_forget
from relabel.check_result import CheckResult, Verdict, combined
from relabel.ledger_age import judge_age, read_ledger_age
from relabel.wording import size

FULL_SHARE = 0.8
"""Part of its memory that Redis may use before that is a warning, as in the alert RelabelLedgerFull."""
FREE_SHARE = 0.1
"""Part of the disk that has to be free, as in the alert RelabelLedgerDiskFull."""
MAKE_ROOM = "make room now: with `appendfsync always` a full disk ends Redis, and ends it again at each start"


async def check_ledger(ledger: Ledger, disk: Path | None) -> CheckResult:
    """Return whether Redis takes writes and keeps them, has room, and is as old as the workers.

    `disk` is a folder on the disk that Redis writes to, None where this machine has none.
    """
    redis = ledger.redis
    await write_and_forget(redis)
    facts = await server_facts(redis)
    risks = [CheckResult(Verdict.WARN, *_parted(warning)) for warning in await persistence_warnings(redis)]
    answers = CheckResult(Verdict.OK, "Redis answers, takes writes and keeps them")
    age = judge_age(await read_ledger_age(ledger))
    return combined([answers, *judge_disk(facts, disk), *risks, age, judge_memory(facts)])


def judge_memory(facts: ServerFacts) -> CheckResult:
    """Return how much memory Redis uses, with a warning where little is left of what it may use."""
    if not facts.memory_limit:
        return CheckResult(Verdict.OK, f"memory {size(facts.memory_used)} used, without a limit")
    used = f"memory {size(facts.memory_used)} of {size(facts.memory_limit)} used"
    if facts.memory_used > FULL_SHARE * facts.memory_limit:
        then = "raise maxmemory, or lower RELABEL_JOB__KEEP_DAYS; once it is full, jobs stop"
        return CheckResult(Verdict.WARN, used, then)
    return CheckResult(Verdict.OK, used)


def judge_disk(facts: ServerFacts, folder: Path | None) -> list[CheckResult]:
    """Return what is known of the disk of Redis; its room where a folder on it is on this machine."""
    if not facts.disk_writes_ok:
        return [CheckResult(Verdict.FAIL, "Redis could not write or rewrite its file on disk", MAKE_ROOM)]
    if folder is None:
        return []
    try:
        disk = shutil.disk_usage(folder)
    except OSError as error:
        then = "correct RELABEL_METRICS__LEDGER_DISK"
        return [CheckResult(Verdict.WARN, f"{folder} cannot be looked at ({error.strerror})", then)]
    free = f"its disk has {size(disk.free)} of {size(disk.total)} left"
    if disk.free < FREE_SHARE * disk.total:
        return [CheckResult(Verdict.WARN, free, MAKE_ROOM)]
    if disk.free < facts.disk_used:
        then = f"make room now: its file of {size(facts.disk_used)} cannot be rewritten"
        return [CheckResult(Verdict.WARN, free, then)]
    return [CheckResult(Verdict.OK, free)]


def _parted(warning: str) -> tuple[str, str]:
    """Return what a warning says, and what to do about it."""
    what, _, then = warning.rstrip(".").partition("; ")
    return what, then
