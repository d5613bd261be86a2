"""Two jobs over the same completions, with several workers and a kill."""

from __future__ import annotations

from ledger.row import Patch
from tests.harness.rows import PatchRows
from tests.harness.stand import Stand


class OtherKeys(PatchRows):
    """The same completions, each to get another key."""

    def __iter__(self):
        for line, completion_id in enumerate(self.patches, start=1):
            yield Patch(line, completion_id, {"other": f"other {line}"})


async def test_two_jobs_of_the_same_ids_lose_no_key_though_a_worker_is_killed(stand: Stand) -> None:
    """Two workers, both jobs at once, SIGKILL of all children of one: no overlap, every key of both is there."""
    rows, others = PatchRows(400), OtherKeys(400)
    workers = await stand.two_workers(rate={"per_minute": 9000})
    first = await stand.start_job(rows)
    second = await stand.start_job(others, load=False)
    await stand.settled(first, 60)
    await stand.settled(second, 60)
    for child in workers[0].children():
        child.kill()

    await stand.finished(first)
    await stand.finished(second)

    held = stand.sandbox.store.dump()
    wanted = {each: rows.after(each) | {"other": f"other {n}"} for n, each in enumerate(rows.ids, 1)}
    assert held == wanted
    assert stand.sandbox.log.stats.overlaps == 0
