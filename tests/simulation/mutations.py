"""Faults that are put into a copy of the code on purpose, for the simulation to find.

`python -m tests.simulation.mutations NAME...` tries those (without a name, all of them) and says what found each.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.simulation.known import KNOWN

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("completions", "config", "embedded", "ledger", "producer", "ratelimit", "relabel", "report", "selection")
PACKAGES += ("tasks", "worker")
STEPS = 30_000
"""Steps within which a fault has to be found."""


class Mutation(NamedTuple):
    """A fault: in which file which text is replaced by which."""

    file: str
    text: str
    by: str


MUTATIONS = {
    "settle without counting": Mutation("ledger/lua/settle.lua", "numbers[outcome] = (numbers[outcome] or 0) + 1", ""),
    "take another job's claim": Mutation(
        "ledger/lua/claim_rows.lua", "elseif job == ARGV[1] and job ~= '-' then", "elseif true then"
    ),
    "close a shard with open rows": Mutation(
        "ledger/lua/release.lua", "if string.find(outcomes, '%z') then", "if false then"
    ),
    "cancel a finished job": Mutation("ledger/lua/move.lua", "if ARGV[i] == state or (", "if ARGV[i] ~= '' or ("),
    "create a job without an end": Mutation("ledger/lua/create.lua", "for i = 3, 7 do", "for i = 3, 4 do"),
    "announce a shard and note it nowhere": Mutation(
        "ledger/lua/announce.lua", "redis.call('ZADD', KEYS[3], now(), shard)", ""
    ),
    "rescue a shard and queue it nowhere": Mutation(
        "ledger/lua/rescue.lua", "  redis.call('ZADD', KEYS[2], shard, shard)\n  if", "  if"
    ),
    "give out the rest beside the canary": Mutation(
        "ledger/lua/prelude.lua", "return (canary[1] == 'running' or canary[1] == 'failed') and", "return false and"
    ),
    "pass a canary that had drifted": Mutation(
        "ledger/lua/prelude.lua", "if drifted * 10 > #ended then", "if false then"
    ),
    "let a job approve itself": Mutation("ledger/lua/approve.lua", "if job[4] == ARGV[2] then", "if false then"),
    "approve something else": Mutation("ledger/lua/approve.lua", "if job[3] ~= ARGV[1] then", "if false then"),
    "run a job for having been resumed": Mutation(
        "ledger/lua/resume.lua", "local lacks = lacks_approval(KEYS[1])", "local lacks = false"
    ),
    "open a job that needs approval": Mutation(
        "ledger/job_store.py",
        "NEEDS_APPROVAL_CODE, unapproved) if unapproved",
        "NEEDS_APPROVAL_CODE, unapproved) if False",
    ),
    "approve a job that was cancelled": Mutation("ledger/lua/approve.lua", "if job[1] ~= 'held' then", "if false then"),
    "count a plan's shard twice": Mutation(
        "ledger/lua/count_shard.lua",
        "redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0",
        "redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) < 0",
    ),
    "write over what has drifted": Mutation(
        "worker/reconcile.py", "if holds(current, expect, mode) or holds(current, patch, mode):", "if True:"
    ),
    "settle a canary's row unread": Mutation(
        "worker/row_run.py", "if not (self._options.reads_back and ended.outcome is Outcome.UPDATED):", "if True:"
    ),
    "leave a shard's last rows out of the series": Mutation(
        "ledger/lua/release.lua", "record_pace(KEYS[11], KEYS[14])\n", ""
    ),
    "record rows twice in the series": Mutation("ledger/lua/prelude.lua", "rows + more[1], requests", "rows, requests"),
    "settle without the lease": Mutation(
        "ledger/lua/settle.lua", "if not is_owner(KEYS[8], ARGV[1], ARGV[2])", "if false"
    ),
    "settle a row twice": Mutation(
        "ledger/lua/settle.lua", "if redis.call('GETRANGE', KEYS[3], row, row) == '\\0'", "if true"
    ),
    "keep an image without the lease": Mutation(
        "ledger/lua/journal.lua", "if not is_owner(KEYS[2], ARGV[1], ARGV[2])", "if false"
    ),
    "claim without the lease": Mutation(
        "ledger/lua/claim_rows.lua", "if not is_owner(KEYS[last + 2], ARGV[3], ARGV[2])", "if false"
    ),
    "believe a claim that is gone": Mutation(
        "ledger/lua/claim_rows.lua", "keeps[#keeps + 1] = ours and '1' or '0'", "keeps[#keeps + 1] = '1'"
    ),
    "release another's lease": Mutation("ledger/lua/release.lua", "or not is_owner(KEYS[6], ARGV[1], ARGV[2])", ""),
    "finish before the last shard": Mutation(
        "ledger/lua/release.lua",
        "if left > 0 then",
        "if false then",
    ),
    "lose the images of a shard that ends": Mutation(
        "ledger/lua/release.lua", "redis.call('HSET', KEYS[10], ARGV[1], ARGV[5])", ""
    ),
    "renew another's lease": Mutation(
        "ledger/lua/renew.lua", "if not state or not is_owner(KEYS[3], ARGV[1], ARGV[2])", "if not state"
    ),
    "rescue a lease too early": Mutation(
        "ledger/lua/rescue.lua",
        "redis.call('ZRANGE', KEYS[4], '-inf', now, 'BYSCORE')",
        "redis.call('ZRANGE', KEYS[4], '-inf', now + 6, 'BYSCORE')",
    ),
    "leave the owner of a lease that is over": Mutation(
        "ledger/lua/rescue.lua", "  redis.call('HDEL', KEYS[5], shard)\n", ""
    ),
    "cancel a written row as unsent": Mutation(
        "ledger/lua/close.lua", "local detail = in_doubt[row] and ARGV[6] or ARGV[5]", "local detail = ARGV[5]"
    ),
    "count the rows of an ended job twice": Mutation(
        "ledger/lua/leave.lua",
        "redis.call('HINCRBY', KEYS[2], counts[i], counts[i + 1])",
        "redis.call('HINCRBY', KEYS[2], counts[i], 2 * counts[i + 1])",
    ),
    "count the fence from the answer": Mutation(
        "worker/lease_keeper.py", "self.fence.confirm(sent)", "self.fence.confirm(self._clocks.read())"
    ),
    "believe a clock that stands still": Mutation(
        "ledger/clock.py",
        "return max(running, wall) if abs(running - wall) <= CLOCKS_AGREE_S else math.inf",
        "return running",
    ),
    "believe a wall clock that was set back": Mutation(
        "ledger/clock.py",
        "return max(running, wall) if abs(running - wall) <= CLOCKS_AGREE_S else math.inf",
        "return wall",
    ),
    "free a claim whose first write got no answer": Mutation(
        "worker/row_lane.py",
        "may_still_run=may_still_run or claimed.row in self._unanswered)",
        "may_still_run=may_still_run)",
    ),
    "record a loss twice": Mutation(
        "ledger/lua/lose_job.lua", "ARGV[2], 'NX', 'PX', ARGV[5])", "ARGV[2], 'PX', ARGV[5])"
    ),
    "give a ledger another identity": Mutation("ledger/lua/identify.lua", "if not generation then", "if true then"),
    "record no reset": Mutation(
        "ledger/lua/reset.lua", "'ledger:reset_at', timestamp()) == 0 then", "'ledger:other', 1) >= 0 then"
    ),
    "take an empty ledger for the one before": Mutation(
        "ledger/loss_detector.py", "if before.generation == now.generation:", "if True:"
    ),
    "miss the row in the middle": Mutation("ledger/lua/find_rows.lua", "past = middle\n", "past = middle - 1\n"),
    "sort no index": Mutation(
        "ledger/row_index.py", "                sorted(entries[at", "                list(entries[at"
    ),
    "keep a page without the lock": Mutation(
        "ledger/lua/keep_page.lua", "redis.call('GET', KEYS[2]) ~= ARGV[1] or ", ""
    ),
    "keep a page of a reading that was cancelled": Mutation(
        "ledger/lua/keep_page.lua", " or redis.call('HGET', KEYS[1], 'state') ~= 'submitting'", ""
    ),
    "keep the pages for ever": Mutation(
        "ledger/lua/keep_page.lua", "  redis.call('PEXPIRE', KEYS[3], redis.call('PTTL', KEYS[1]))\n", ""
    ),
    "give a job rows without the lock": Mutation(
        "ledger/lua/adopt_rows.lua", "redis.call('GET', KEYS[2]) ~= ARGV[1] or ", ""
    ),
    "give a cancelled job its rows": Mutation(
        "ledger/lua/adopt_rows.lua", " or redis.call('HGET', KEYS[1], 'state') ~= 'submitting'", ""
    ),
    "read without the lock": Mutation("ledger/lua/begin_reading.lua", "redis.call('GET', KEYS[2]) ~= ARGV[1] or ", ""),
    "count no worker that begins to read": Mutation(
        "ledger/lua/begin_reading.lua", "redis.call('HINCRBY', KEYS[1], 'reading', 1)\n", ""
    ),
    "give up the list too early": Mutation("ledger/lua/begin_reading.lua", ">= tonumber(ARGV[2]) then", ">= 2 then"),
    "call no other reader": Mutation(
        "ledger/lua/call_reader.lua", "called_at and now() - called_at < tonumber(ARGV[1])", "called_at"
    ),
    "run a reading for having been resumed": Mutation(
        "ledger/lua/resume.lua", "if redis.call('HEXISTS', KEYS[1], 'reading') == 1 then", "if false then"
    ),
    "pause a job that its producer stores": Mutation(
        "ledger/lua/move.lua", "state == 'submitting' and not is_read", "state == 'submitting'"
    ),
    "open a job without its rows": Mutation("selection/list_turn.py", "            await self._store()\n", ""),
    "leave half a page out": Mutation(
        "selection/list_turn.py", "for each in taken]) if taken", "for each in taken[1:]]) if taken"
    ),
    "archive no job": Mutation("ledger/lua/leave.lua", "redis.call('ZADD', KEYS[8], ended_at, ARGV[1])", ""),
    "park a shard too early": Mutation("ledger/lua/rescue.lua", ">= tonumber(ARGV[2]) then", ">= 2 then"),
    "write past the fence": Mutation("worker/fence.py", "<= FENCE_S", "<= 1e9"),
    "write without the claim": Mutation(
        "worker/fence.py", "self._fence.holds and self._holds_claim()", "self._fence.holds"
    ),
    "check no fence where the request leaves": Mutation("worker/row_calls.py", ", may_leave=self._gate.is_open", ""),
    "keep an image without the claim": Mutation(
        "ledger/lua/journal.lua", "if not held or string.sub(held, 1, #mine) ~= mine", "if false"
    ),
    "leave no record of a write": Mutation(
        "ledger/lua/claim_rows.lua",
        "    if record then\n      redis.call('SET'",
        "    if false then\n      redis.call('SET'",
    ),
    "lease a shard that is leased": Mutation(
        "ledger/lua/lease.lua",
        "  -- an expired lease is left to rescue.lua, which counts the crash\n  return 'busy'",
        "  redis.call('HSET', KEYS[5], ARGV[1], ARGV[2])\n  return 'leased'",
    ),
    "lose the images of a cancelled shard": Mutation(
        "ledger/lua/close.lua", "  redis.call('HSET', KEYS[10], ARGV[1], journal)\n", ""
    ),
    "hand back without the lease": Mutation(
        "ledger/lua/hand_back.lua", "if not is_owner(KEYS[4], ARGV[1], ARGV[2])", "if false"
    ),
    "let a claim end before its request": Mutation(
        "ledger/claims.py", "return timeout_s + LEASE_S", "return LEASE_S / 2"
    ),
    "free a claim before the row is settled": Mutation(
        "worker/row_lane.py",
        "self._settle(ended).add_done_callback(free)",
        "self._settle(ended)\n        self._free(claimed, run, may_still_run=may_still_run)",
    ),
    "free a claim while its write may run": Mutation(
        "worker/row_queue.py", "if row.claim in self._held and not may_still_run:", "if row.claim in self._held:"
    ),
    "undo beside a stopped worker": Mutation(
        "relabel/derived.py", "    await session.ledger.shards.rescue(job_id)\n", ""
    ),
    "overwrite the first image": Mutation("worker/reconcile.py", "if earlier is None:", "if True:"),
    "believe a read that lags": Mutation(
        "worker/row_run.py", "if self._record is None or self._last.metadata is None or", "if True or"
    ),
    "keep a page twice": Mutation(
        "ledger/lua/keep_page.lua", " and redis.call('LLEN', KEYS[3]) == tonumber(ARGV[5])", ""
    ),
    "count a late renewal's requests again": Mutation(
        "ledger/lua/prelude.lua", "sums[i] = before + math.max(0, more)", ""
    ),
    "forget a job before its report is written": Mutation(
        "worker/archiver.py",
        "            try:\n                await write_archive",
        "            await self._queue.remove(job_id)\n            try:\n                await write_archive",
    ),
    "count no shard that a killed worker had closed": Mutation(
        "report/plan_totals.py", "for number, digest in enumerate(known) if digest is None]", "for number in []]"
    ),
    "release another's claim": Mutation(
        "ledger/lua/claim_rows.lua", "  if is_ours(held) then\n    local record", "  if held then\n    local record"
    ),
    "close a shard that a worker is at": Mutation(
        "ledger/lua/close.lua", " or redis.call('ZSCORE', KEYS[7], ARGV[1])", ""
    ),
}
"""The faults, each of which the simulation has to find."""


def try_mutation(name: str) -> str:
    """Run the simulation on a copy of the code with the fault; return how it ended: its last line."""
    mutation = MUTATIONS[name]
    with tempfile.TemporaryDirectory(prefix="relabel-") as folder:
        copy = Path(folder)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("harness", "simulation"):
            shutil.copytree(ROOT / "tests" / part, copy / "tests" / part, ignore=shutil.ignore_patterns("__pycache__"))
        broken = copy / mutation.file
        text = broken.read_text()
        assert text.count(mutation.text) == 1, f"{mutation.file} has not once: {mutation.text}"
        broken.write_text(text.replace(mutation.text, mutation.by))
        command = [sys.executable, "-m", "tests.simulation.run", *_arguments(name)]
        surroundings = os.environ | {"PYTHONPATH": folder}
        ended = subprocess.run(command, cwd=copy, env=surroundings, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return ""
    found = re.findall(r"^AssertionError: (.*)|^(\w*(?:Error|Exception)\b.*)", ended.stderr, re.MULTILINE)
    return next((either[0] or either[1] for either in found[::-1]), ended.stderr[-300:])


def _arguments(name: str) -> list[str]:
    return ["--known", name] if name in KNOWN else ["--no-shrink", "--steps", str(STEPS)]


def main() -> None:
    """Try mutations by name and print what found each."""
    for name in sys.argv[1:] or MUTATIONS:
        print(f"{name}: {try_mutation(name) or 'NOT FOUND'}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
