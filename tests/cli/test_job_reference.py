"""A job is meant by its id, by the beginning of one, or as the last one that the caller submitted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from config.settings import Settings
from ledger.errors import NoSuchJob
from ledger.job import JobState
from ledger.job_spec import ALL_KINDS, CHANGING_KINDS, JobSpec, Kind
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.tombstone import tombstone_of
from producer.submit import request_for, submit
from relabel.errors import InvalidInput
from relabel.job_reference import find_job
from relabel.session import Session, local_user

Make = Callable[..., Awaitable[JobSpec]]
CSV = "completion_id,team\nchatcmpl-1,blue\n"


@pytest.fixture
def make(ledger: Ledger, read: Callable[..., Any]) -> Make:
    """Submit a job under an id, as somebody."""

    async def make(job_id: str, *, by: str = "", kind: Kind = Kind.FILE) -> JobSpec:
        with read(CSV) as checked:
            request = request_for(Settings(), "a.csv", by=by or local_user(Settings()), mode="merge")
            request = request._replace(again=True, kind=kind)
            await submit(checked, request, ledger=ledger, announce=lambda *_: None, new_id=lambda: job_id)
        return (await ledger.jobs.get(job_id)).spec

    return make


@pytest.fixture
def find(ledger: Ledger) -> Callable[[str], Awaitable[str]]:
    """Find a job as `ada@a` and return its id."""

    async def find(reference: str) -> str:
        return (await find_job(Session(ledger, Settings(), "ada@a"), reference)).job_id

    return find


@pytest.mark.parametrize("reference", ["2026", "20261127-172335-9", "20261127-172335-90e7a1b2"])
async def test_a_unique_beginning_is_enough(make: Make, find, reference: str) -> None:
    """Four characters at least; ids of release one are shorter and no different."""
    await make("20261127-172335-90e7a1b2")
    await make("20251127-172335-90e7")

    assert await find(reference) == "20261127-172335-90e7a1b2"


async def test_a_whole_id_counts_where_another_begins_with_it(make: Make, find) -> None:
    """As an id of release one may begin one of release two."""
    await make("20261127-172335-90e7")
    await make("20261127-172335-90e7a1b2")

    assert await find("20261127-172335-90e7") == "20261127-172335-90e7"


async def test_a_beginning_of_several_jobs_lists_them(make: Make, find) -> None:
    """The newest first, five of them at most."""
    for second in range(7):
        await make(f"20261127-17233{second}-90e7a1b2")

    with pytest.raises(InvalidInput) as refused:
        await find("20261127")

    newest = ", ".join(f"20261127-17233{second}-90e7a1b2" for second in (6, 5, 4, 3, 2))
    assert str(refused.value) == f"7 jobs begin with 20261127: {newest} and 2 more; type more of the id."


@pytest.mark.parametrize("reference", ["202", "", "x"])
async def test_a_beginning_that_is_too_short_is_refused(make: Make, find, reference: str) -> None:
    """Even if only one job has it."""
    await make("20261127-172335-90e7a1b2")

    with pytest.raises(InvalidInput, match="at least 4 characters of its beginning, or `last`"):
        await find(reference)


@pytest.mark.parametrize("reference", ["2027", "2026*", "20[0-9]6", "????", "20261127-172335-90e7a1b2x"])
async def test_what_no_id_begins_with_is_no_job(make: Make, find, reference: str) -> None:
    """A pattern is only text."""
    await make("20261127-172335-90e7a1b2")

    with pytest.raises(NoSuchJob):
        await find(reference)


async def test_a_job_that_has_expired_is_in_nobodys_way(make: Make, find, ledger: Ledger) -> None:
    """Neither for a beginning nor for `last`, although the list still has it."""
    await make("20261127-172335-90e7a1b2", by="ada@a")
    gone = await make("20261127-172336-90e7a1b2", by="ada@a")
    await ledger.redis.delete(JobKeys(gone.job_id).job)

    assert (await find("20261127"), await find("last")) == ("20261127-172335-90e7a1b2",) * 2


async def test_last_is_the_callers_own_latest_job(make: Make, find) -> None:
    """Not that of others, nor one of release one, which does not say whose it is."""
    await make("job-1", by="ada@a")
    await make("job-2", by="ada@a")
    await make("job-3", by="bob@a")

    assert await find("last") == "job-2"


@pytest.mark.parametrize(
    ("kinds", "expected"), [(ALL_KINDS, "job-3"), (CHANGING_KINDS, "job-1"), ({Kind.PLAN}, "job-2")]
)
async def test_last_is_of_a_kind_that_the_verb_takes(make: Make, ledger: Ledger, kinds, expected: str) -> None:
    """So a verification of a job is not in the way of the job's undo; an id may name any kind."""
    for number, kind in enumerate((Kind.FILE, Kind.PLAN, Kind.VERIFY), 1):
        await make(f"job-{number}", by="ada@a", kind=kind)
    session = Session(ledger, Settings(), "ada@a")

    assert (await find_job(session, "last", kinds)).job_id == expected
    assert (await find_job(session, "job-3", kinds)).job_id == "job-3"


async def test_where_no_job_is_of_a_kind_that_the_verb_takes_there_is_no_last(make: Make, ledger: Ledger) -> None:
    await make("job-1", by="ada@a", kind=Kind.PLAN)

    with pytest.raises(InvalidInput, match="none of the latest 1,000 jobs that this takes was submitted by ada@a"):
        await find_job(Session(ledger, Settings(), "ada@a"), "last", CHANGING_KINDS)


async def test_where_the_caller_has_submitted_nothing_there_is_no_last(make: Make, find) -> None:
    """With who that is, as another host or user makes another caller."""
    await make("job-1", by="bob@a")

    with pytest.raises(InvalidInput, match=r"submitted by ada@a, so there is no `last`; `relabel jobs` lists all\."):
        await find("last")


@pytest.mark.parametrize(
    "verb",
    [
        ("status", "{}"),
        ("watch", "{}"),
        ("report", "{}"),
        ("report", "{}", "--summary"),
        ("log", "{}"),
        ("rate", "--job", "{}"),
    ],
    ids=" ".join,
)
async def test_verbs_that_read_take_any_reference_without_a_question(make: Make, ledger: Ledger, relabel, verb) -> None:
    """And say the same of each."""
    job_id = (await make("20261127-172335-90e7a1b2")).job_id
    await ledger.jobs.pause(job_id, by="test", code="c", reason="r")

    ended = [await relabel(*(part.format(name) for part in verb)) for name in (job_id, "2026", "last")]

    assert ended[0] == ended[1] == ended[2]
    assert ended[0].code in {0, 3}
    assert (await relabel(*(part.format("nope-") for part in verb))).code == 2


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        (("pause", "{}"), JobState.PAUSED),
        (("resume", "{}"), JobState.RUNNING),
        (("cancel", "{}"), JobState.CANCELLED),
        (("rate", "60/m", "--job", "{}"), JobState.RUNNING),
    ],
    ids=str,
)
async def test_verbs_that_write_show_what_last_is_and_want_a_yes(
    make: Make, ledger: Ledger, relabel, verb: tuple[str, ...], state: JobState
) -> None:
    """Without a terminal to ask on, --yes is the yes; nothing happens before."""
    job_id = (await make("20261127-172335-90e7a1b2")).job_id
    had = JobState.RUNNING
    if verb[0] == "resume":
        await ledger.jobs.pause(job_id, by="test", code="c", reason="r")
        had = JobState.PAUSED

    unasked = await relabel(*(part.format("last") for part in verb))
    between = await ledger.jobs.get(job_id)
    ended = await relabel(*(part.format("last") for part in verb), "--yes")

    assert (unasked.code, unasked.out) == (2, "")
    shown, refused = unasked.err.splitlines()
    assert shown.startswith(f"Job {job_id} (a.csv): file, {had}, submitted ")
    assert refused == "relabel: there is no terminal to ask on whether this is meant; name the job, or add --yes."
    assert (between.state, between.rate_per_minute) == (had, None)
    assert (ended.code, ended.err.splitlines()[0][:40]) == (0, shown[:40])
    after = await ledger.jobs.get(job_id)
    assert (after.state, after.rate_per_minute) == (state, 60.0 if verb[0] == "rate" else None)


async def test_verbs_that_write_show_what_a_beginning_is_and_go_on(make: Make, ledger: Ledger, relabel) -> None:
    """It was typed for this job, unlike `last`."""
    job_id = (await make("20261127-172335-90e7a1b2")).job_id

    ended = await relabel("cancel", "20261127-17", "--json")

    assert (ended.code, json.loads(ended.out)["job_id"]) == (0, job_id)
    assert ended.err.startswith(f"Job {job_id} (a.csv): file, running, submitted ")


@pytest.mark.parametrize("verb", ["undo", "retry"])
async def test_verbs_that_make_a_job_of_the_last_want_a_yes_too(make: Make, relabel, verb: str) -> None:
    """Before anything is read of it."""
    await make("20261127-172335-90e7a1b2")

    ended = await relabel(verb, "last")

    assert ended.code == 2
    assert "name the job, or add --yes" in ended.err


async def test_a_lost_job_is_still_found(make: Make, find, ledger: Ledger) -> None:
    """By its beginning, and as the last one: it is shown as lost."""
    spec = await make("20261127-172335-90e7a1b2", by="ada@a")
    job = await ledger.jobs.get(spec.job_id)
    await ledger.redis.unlink(JobKeys(spec.job_id).job)
    packed = msgspec.json.encode(tombstone_of(job, since=1.0, seen_by="test"))
    await ledger.redis.set(JobKeys(spec.job_id).tombstone, packed)

    assert (await find("2026"), await find("last")) == (spec.job_id, spec.job_id)
