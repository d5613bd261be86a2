"""A row's life against a real API and a real ledger: how it ends, what is kept, and what was sent."""

from __future__ import annotations

import asyncio

import pytest

from ledger.job import JobState
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from ratelimit.breaker import health_key

OTHER = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"
LIMIT_KEY = "relabel:limit:test"


# --- the plain ways to end ---


async def test_a_merge_adds_to_what_is_there(harness, completion_id):
    """The patch is in, other keys stay, and the image before is kept."""
    job_id = await harness.submit((completion_id, {"k": "v"}))

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    row = await harness.row(job_id)
    assert harness.sandbox.store.dump() == {completion_id: {"team": "blue", "k": "v"}}
    assert (row.outcome, row.detail, row.before) == (Outcome.UPDATED, None, {"team": "blue"})
    assert [entry.method for entry in harness.sent()] == ["GET", "POST"]
    assert (await harness.job(job_id)).state is JobState.FINISHED


@pytest.mark.parametrize("bad", ["", ".", "..", "a\nb", "a b", "\x00", "x" * 256])
async def test_an_id_in_the_ledger_that_may_not_be_sent_fails_its_row_alone(harness, completion_id, bad):
    """Whoever can write to Redis has no request sent to another path."""
    job_id = await harness.submit((bad, {"k": "v"}), (completion_id, {"k": "v"}))

    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED

    rows = await harness.rows(job_id)
    assert [row.outcome for row in rows] == [Outcome.FAILED, Outcome.UPDATED]
    assert (rows[0].detail.code, rows[0].detail.status) == ("invalid_id", 0)
    assert {entry.id for entry in harness.sent()} == {completion_id}
    assert (await harness.job(job_id)).traffic.requests == 2


async def test_a_replace_leaves_only_the_patch(harness, completion_id):
    """The patch is the whole map; what was there is kept as the image."""
    job_id = await harness.submit((completion_id, {"k": "v"}), mode="replace")

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert harness.sandbox.store.metadata(completion_id) == {"k": "v"}
    assert (row.outcome, row.before) == (Outcome.UPDATED, {"team": "blue"})


async def test_a_replace_without_undo_costs_one_request(harness, completion_id):
    """Nothing is read and no image is kept."""
    job_id = await harness.submit((completion_id, {"k": "v"}), mode="replace", journal=False)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.before) == (Outcome.UPDATED, None)
    assert [entry.method for entry in harness.sent()] == ["POST"]


async def test_a_merge_without_undo_keeps_no_image(harness, completion_id):
    """It reads to know what to send, and keeps nothing."""
    job_id = await harness.submit((completion_id, {"k": "v"}), journal=False)

    await harness.turn(job_id)

    assert (await harness.row(job_id)).before is None
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k": "v"}


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_what_is_right_already_is_not_sent(harness, completion_id, mode):
    """The row is unchanged, and no update was made."""
    job_id = await harness.submit((completion_id, {"team": "blue"}), mode=mode)

    await harness.turn(job_id)

    assert (await harness.row(job_id)).outcome is Outcome.UNCHANGED
    assert harness.sent("POST") == []


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("fault", ["error_500", "reset_before", "html_502", "bad_body_truncated"])
async def test_a_read_that_failed_once_leaves_an_unchanged_row_unchanged(harness, completion_id, mode, fault):
    """Reading changes nothing, so a lost answer to it puts nothing in doubt."""
    harness.fault(fault, "GET", times=1)
    job_id = await harness.submit((completion_id, {"team": "blue"}), mode=mode)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail) == (Outcome.UNCHANGED, None)


async def test_a_key_is_removed(harness, completion_id):
    """None takes a key away where the service replaces."""
    job_id = await harness.submit((completion_id, {"team": None, "k": "v"}))

    await harness.turn(job_id)

    assert (await harness.row(job_id)).outcome is Outcome.UPDATED
    assert harness.sandbox.store.metadata(completion_id) == {"k": "v"}


@pytest.mark.parametrize(("mode", "patch"), [("merge", {"team": None, "k": "v"}), ("replace", {"k": "v"})])
async def test_a_service_that_merges_keeps_a_key_and_is_found_out(harness, completion_id, mode, patch):
    """A 200 alone is not believed: the row failed, says which key stayed, and can be taken back."""
    harness.sandbox.configure(semantics="merge")
    job_id = await harness.submit((completion_id, patch), mode=mode)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "key_not_removed", {"team": "blue"})
    assert "team" in row.detail.message
    assert row.detail.request_id.startswith("req_")
    assert len(harness.sent("POST")) == 1


async def test_more_than_sixteen_pairs_in_all_are_not_sent(harness, completion_id):
    """The union counts, not the patch alone; no image is kept of what was not changed, so an undo leaves it out."""
    harness.sandbox.store.load({completion_id: {f"k{n}": "v" for n in range(16)}})
    job_id = await harness.submit((completion_id, {"one_more": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "too_many_pairs", None)
    assert harness.sent("POST") == []


async def test_a_missing_completion_fails_with_a_word_on_its_age(harness):
    """One request, the server's code, and what the id tells."""
    job_id = await harness.submit(("chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2", {"k": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.detail.status) == (Outcome.FAILED, "not_found", 404)
    assert "completions are kept 30 days" in row.detail.message
    assert len(harness.sent()) == 1


# --- answers that were lost ---


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("journal", [True, False])
@pytest.mark.parametrize(
    "fault", ["reset_after", "error_500_after", "bad_body_truncated", "bad_body_html", "bad_body_other_id"]
)
async def test_a_write_whose_answer_was_lost_is_confirmed_by_a_read(harness, completion_id, mode, journal, fault):
    """Nothing is sent again before a read; it is counted as updated, once, with the image from before."""
    harness.fault(fault, "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode, journal=journal)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert row.before == ({"team": "blue"} if journal else None)
    assert harness.applied() == 1
    assert harness.sent()[-1].method == "GET"


async def test_a_write_that_hangs_is_given_up_and_confirmed_by_a_read(harness, completion_id):
    """The deadline frees the slot; the change had been made."""
    harness.api = {"timeout_s": 1.0}
    harness.fault("hang_after", "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.UPDATED, "confirmed_by_read", {"team": "blue"})
    assert harness.applied() == 1


@pytest.mark.parametrize("fault", ["reset_before", "error_500", "html_502"])
async def test_a_write_that_never_happened_is_sent_again(harness, completion_id, fault):
    """A read shows the old map, so the update is made, once."""
    harness.fault(fault, "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail, row.before) == (Outcome.UPDATED, None, {"team": "blue"})
    assert harness.applied() == 1
    assert [entry.method for entry in harness.sent()] == ["GET", "POST", "GET", "POST"]


async def test_a_reply_with_the_old_map_is_tried_again_and_then_fails(harness, completion_id):
    """A 200 that changed nothing is not success, however often it is said."""
    harness.fault("ignored", "POST")
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.detail.attempts) == (Outcome.FAILED, "reply_differs", 3)
    assert harness.applied() == 0


async def test_a_reply_with_the_old_map_once_is_no_harm(harness, completion_id):
    """The next try is made after a read."""
    harness.fault("ignored", "POST", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    assert (await harness.row(job_id)).outcome is Outcome.UPDATED
    assert harness.applied() == 1


async def test_a_key_that_somebody_adds_between_read_and_write_is_not_blamed_on_the_row(
    harness, completion_id, eventually
):
    """Where the service merges, their key is in the reply; the patch is in, so the row is updated."""
    harness.sandbox.configure(semantics="merge")
    harness.fault("slow", "POST", times=1, seconds=1.5)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    store = harness.sandbox.store
    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: harness.sent("POST"))
    store.load({completion_id: {"team": "blue", "theirs": "1"}})
    await turn

    row = await harness.row(job_id)
    assert row.outcome is Outcome.UPDATED
    assert store.metadata(completion_id) == {"team": "blue", "theirs": "1", "k": "v"}


# --- a service that stores something else than it is sent ---

ALTERED = [
    ("trimmed", {"a": " x "}, {"a": "1", "empty": ""}, {"a": "x"}),
    ("lower_case", {"a": "X"}, {"a": "1", "empty": ""}, {"a": "x"}),
    ("non_empty", {"a": ""}, {"a": "1", "empty": ""}, {"a": None, "empty": None}),
    ("non_empty", {"b": "2"}, {"a": "1", "empty": ""}, {"empty": None}),
]
"""What the service stores of values, the patch, what was there before, and what it then holds otherwise than sent."""


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize(("values", "patch", "before", "altered"), ALTERED)
async def test_a_value_that_the_service_alters_fails_the_row_after_one_write(
    harness, completion_id, mode, values, patch, before, altered
):
    """Carried keys count, too. The first image stays, with what the service holds now beside it; no value is told."""
    harness.sandbox.store.load({completion_id: before})
    harness.sandbox.configure(values=values)
    job_id = await harness.submit((completion_id, before | patch), mode=mode)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "value_altered")
    assert (row.before, row.altered) == (before, altered)
    assert all(key in row.detail.message for key in altered)
    assert "characters" in row.detail.message
    assert [entry.method for entry in harness.sent()] == ["GET", "POST", "GET"]
    assert (await harness.job(job_id)).state is JobState.FINISHED


async def test_an_altered_value_whose_answer_was_lost_keeps_its_first_image(harness, completion_id):
    """The read after the lost answer shows a third value; that is written over, and never taken for the image."""
    harness.sandbox.configure(values="trimmed")
    harness.fault("reset_after", "POST", times=1)
    job_id = await harness.submit((completion_id, {"team": " red "}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "value_altered")
    assert (row.before, row.altered) == ({"team": "blue"}, {"team": "red"})


@pytest.mark.parametrize("attempts", [1, 3])
async def test_an_empty_value_that_is_gone_with_a_lost_answer_is_told(harness, completion_id, attempts):
    """It was only carried along; all else is there as it was sent, and the row is not counted as updated."""
    harness.sandbox.store.load({completion_id: {"team": "blue", "empty": ""}})
    harness.sandbox.configure(values="non_empty")
    harness.fault("reset_after", "POST", times=1)
    job_id = await harness.submit((completion_id, {"team": "red"}))

    await harness.turn(job_id, attempts=attempts)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "value_altered")
    assert (row.before, row.altered) == ({"team": "blue", "empty": ""}, {"empty": None})


async def test_a_crash_after_an_altered_value_was_found_ends_as_the_same_failure(harness, completion_id):
    """The image tells what the service made of the write: one read confirms it, and nothing is sent again."""
    job_id = await harness.submit((completion_id, {"team": " red "}))
    await harness.journal(job_id, 0, {"team": "blue"}, altered={"team": "red"})
    harness.sandbox.store.load({completion_id: {"team": "red"}})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "value_altered", {"team": "blue"})
    assert harness.sent("POST") == []


async def test_an_altered_value_is_told_though_no_read_can_confirm_it(harness, completion_id):
    """The reply is proof enough once the tries are used up."""
    harness.sandbox.store.load({OTHER: {}})
    harness.sandbox.configure(values="trimmed")
    harness.fault("error_500", "GET", id=completion_id, after=1)
    job_id = await harness.submit((completion_id, {"team": " red "}), (OTHER, {"k": "v"}))

    await harness.turn(job_id)

    row = (await harness.rows(job_id))[0]
    assert (row.detail.code, row.before, row.altered) == ("value_altered", {"team": "blue"}, {"team": "red"})
    assert harness.applied() == 1


async def test_what_somebody_else_changes_after_our_write_is_not_taken_for_ours(harness, completion_id, eventually):
    """The reply showed the carried key as it was sent, so its later value is theirs: an undo will not touch it."""
    harness.sandbox.configure(values="trimmed")
    harness.fault("slow", "GET", after=1, seconds=1.5)
    job_id = await harness.submit((completion_id, {"k": " v "}))

    turn = asyncio.create_task(harness.turn(job_id))
    await eventually(lambda: len(harness.sent("GET")) == 2)
    harness.sandbox.store.load({completion_id: {"team": "theirs", "k": "v"}})
    await turn

    assert (await harness.row(job_id)).altered == {"k": "v"}


@pytest.mark.parametrize("patch", [{"team": None}, {"team": None, "k": "v"}, {"k": "v"}])
async def test_a_reply_that_shows_the_previous_state_is_checked_by_a_read(harness, completion_id, patch):
    """The update was carried out: the row is updated, though the reply looks like a key that was kept."""
    harness.fault("shows_before", "POST")
    job_id = await harness.submit((completion_id, patch))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.UPDATED, "confirmed_by_read", {"team": "blue"})
    assert [entry.method for entry in harness.sent()] == ["GET", "POST", "GET"]


# --- answers that show no metadata ---


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("fault", ["no_metadata", "null_metadata"])
async def test_a_reply_without_metadata_proves_nothing_and_is_checked_by_one_read(harness, completion_id, mode, fault):
    """The update was carried out; it is not sent again, and the endpoint does not count as failing."""
    harness.fault(fault, "POST")
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.UPDATED, "confirmed_by_read", {"team": "blue"})
    assert [entry.method for entry in harness.sent()] == ["GET", "POST", "GET"]
    assert (await harness.job(job_id)).traffic.retries == 0


async def test_many_replies_without_metadata_are_no_failing_endpoint(harness):
    """None of the rows waits for the others: each is confirmed by its own read."""
    harness.sandbox.store.load({f"chatcmpl-{n:029}": {"team": "blue"} for n in range(40)})
    harness.fault("no_metadata", "POST")
    job_id = await harness.submit(*((each, {"k": "v"}) for each in harness.sandbox.store.dump()))

    await harness.turn(job_id)

    job = await harness.job(job_id)
    assert (job.state, job.counts.updated, job.traffic.retries) == (JobState.FINISHED, job.counts.total, 0)
    assert float(await harness.redis.hget(health_key(LIMIT_KEY), "write_bad") or 0) == 0


@pytest.mark.parametrize("journal", [True, False])
@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_a_read_without_metadata_is_never_taken_as_empty(harness, completion_id, mode, journal):
    """Nothing is sent where a map or an image would be made of it. A replace that needs no image needs no read."""
    harness.fault("no_metadata", "GET")
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode, journal=journal)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    if mode == "replace" and not journal:
        assert (row.outcome, harness.sandbox.store.metadata(completion_id)) == (Outcome.UPDATED, {"k": "v"})
    else:
        assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "metadata_not_shown", None)
        assert (len(harness.sent()), harness.sent("POST")) == (2, [])
        assert harness.sandbox.store.metadata(completion_id) == {"team": "blue"}


@pytest.mark.parametrize("fault", ["no_metadata", "null_metadata"])
async def test_a_read_that_shows_no_metadata_once_is_made_once_more(harness, completion_id, fault):
    """What the second one shows counts: no key of the completion is wiped."""
    harness.fault(fault, "GET", times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    assert (await harness.row(job_id)).before == {"team": "blue"}
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "k": "v"}


async def test_null_counts_as_empty_when_it_is_read_twice(harness, completion_id):
    """A service may say null of a completion that holds nothing."""
    harness.sandbox.store.load({completion_id: {}})
    harness.fault("null_metadata", "GET")
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.before) == (Outcome.UPDATED, {})
    assert [entry.method for entry in harness.sent()] == ["GET", "GET", "POST"]


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_an_update_that_no_answer_shows_is_not_called_updated(harness, completion_id, mode):
    """It may have been written: the row fails and says so, and its image is kept."""
    harness.fault("no_metadata", "POST")
    harness.fault("no_metadata", "GET", after=1)
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "metadata_not_shown", {"team": "blue"})
    assert harness.applied() == 1


async def test_the_last_pair_is_removed_where_the_service_then_says_null(harness, completion_id):
    """Null after everything was to go is what was asked for, once reads say so."""
    harness.fault("null_metadata", "POST")
    harness.fault("null_metadata", "GET", after=1)
    job_id = await harness.submit((completion_id, {"team": None}))

    await harness.turn(job_id)

    assert (await harness.row(job_id)).outcome is Outcome.UPDATED


# --- tries are bounded; waiting is no try ---


@pytest.mark.parametrize(
    ("fault", "code", "status"), [("error_500", "server_error", 500), ("reset_before", "network", 0)]
)
async def test_a_row_that_fails_while_others_succeed_ends_as_failed(harness, completion_id, fault, code, status):
    """After its tries the row has the last error as its reason; its neighbour is updated."""
    harness.sandbox.store.load({OTHER: {}})
    harness.fault(fault, "POST", id=completion_id)
    job_id = await harness.submit((completion_id, {"k": "v"}), (OTHER, {"k": "v"}))

    await harness.turn(job_id)

    bad, good = await harness.rows(job_id)
    assert (bad.outcome, bad.detail.code, bad.detail.status) == (Outcome.FAILED, code, status)
    assert bad.detail.attempts == 3
    assert good.outcome is Outcome.UPDATED
    assert len([entry for entry in harness.sent("POST") if entry.id == completion_id]) == 3


async def test_the_last_try_may_have_been_carried_out_all_the_same(harness, completion_id):
    """Before a row is called failed, one more look is taken."""
    harness.sandbox.store.load({OTHER: {}})
    harness.fault("error_500", "POST", id=completion_id, times=2)
    harness.fault("error_500_after", "POST", id=completion_id, times=1)
    job_id = await harness.submit((completion_id, {"k": "v"}), (OTHER, {"k": "v"}))

    await harness.turn(job_id)

    row = (await harness.rows(job_id))[0]
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")


async def test_a_429_spends_no_try(harness, completion_id):
    """More 429s than tries, and the row is updated; they are counted as throttled."""
    answer = {
        "status": 429,
        "headers": {"retry-after-ms": "20"},
        "body": {"error": {"message": "slow", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    }
    harness.fault("answer", times=6, answer=answer)
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id, attempts=2)

    job = await harness.job(job_id)
    assert job.counts.updated == 1
    assert (job.traffic.requests, job.traffic.throttled, job.traffic.retries) == (8, 6, 0)


# --- what stops the job ---


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [("quota", "insufficient_quota", "current quota"), ("unauthorized", "invalid_api_key", "Incorrect API key")],
)
async def test_what_no_row_can_mend_pauses_the_job_and_fails_nothing(harness, completion_id, fault, code, words):
    """The job says why in the server's words, and goes on where it was once it is resumed."""
    harness.sandbox.store.load({f"{completion_id[:-2]}{n}": {} for n in range(10, 60)})
    job_id = await harness.submit(*((each, {"k": "v"}) for each in harness.sandbox.store.dump()))
    harness.fault(fault, "POST", after=10)

    assert await harness.turn(job_id) is ReleaseAnswer.WAITING

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.failed) == (JobState.PAUSED, code, 0)
    assert words in job.reason
    assert job.counts.updated == 10
    assert len(harness.sent()) <= 51 + 51

    harness.sandbox.faults.clear()
    await harness.ledger.jobs.resume(job_id, by="test")
    assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
    assert (await harness.job(job_id)).counts.updated == 51
    assert all(applied == 1 for applied in (harness.applied(each) for each in harness.sandbox.store.dump()))


async def test_a_redirect_pauses_the_job(harness, completion_id):
    """It is not followed: the key goes nowhere else."""
    harness.fault("redirect")
    job_id = await harness.submit((completion_id, {"k": "v"}))

    await harness.turn(job_id)

    assert (await harness.job(job_id)).reason_code == "redirect"


# --- crashes ---


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("semantics", ["merge", "replace"])
async def test_a_crash_between_journal_and_write_loses_nothing(harness, completion_id, mode, semantics):
    """The next turn finds the image, sees that the write never happened, and makes it."""
    harness.sandbox.configure(semantics=semantics)
    harness.sandbox.store.load({completion_id: {"k": "old"}})
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode)
    await harness.journal(job_id, 0, {"k": "old"})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.before) == (Outcome.UPDATED, {"k": "old"})
    assert harness.applied() == 1


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_a_crash_between_write_and_settlement_is_found_out(harness, completion_id, mode):
    """The change is there and was ours: it is confirmed by a read, not sent again, and the image is the old one."""
    job_id = await harness.submit((completion_id, {"k": "v"}), mode=mode)
    await harness.journal(job_id, 0, {"team": "blue"})
    harness.sandbox.store.load({completion_id: {"team": "blue", "k": "v"} if mode == "merge" else {"k": "v"}})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert row.before == {"team": "blue"}
    assert harness.sent("POST") == []


@pytest.mark.parametrize("wrote", [True, False])
async def test_an_edit_by_somebody_else_after_a_crash_is_kept(harness, completion_id, wrote):
    """Their key stays, ours is set, and the image tells what our key held before us and what theirs holds now."""
    job_id = await harness.submit((completion_id, {"k": "v", "gone": None}))
    await harness.journal(job_id, 0, {"k": "old", "gone": "g", "theirs": "1"})
    ours = {"k": "v"} if wrote else {"k": "old", "gone": "g"}
    harness.sandbox.store.load({completion_id: {**ours, "theirs": "2", "new": "n"}})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert row.outcome is Outcome.UPDATED
    assert harness.sandbox.store.metadata(completion_id) == {"k": "v", "theirs": "2", "new": "n"}
    assert {key: row.before.get(key) for key in ("k", "gone")} == {"k": "old", "gone": "g"}
    assert harness.applied() == (0 if wrote else 1)


async def test_a_crash_after_a_key_was_kept_ends_as_the_same_failure(harness, completion_id):
    """A service that merges kept the key before the crash, and keeps it after."""
    harness.sandbox.configure(semantics="merge")
    job_id = await harness.submit((completion_id, {"team": None, "k": "v"}))
    await harness.journal(job_id, 0, {"team": "blue"})
    harness.sandbox.store.load({completion_id: {"team": "blue", "k": "v"}})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code, row.before) == (Outcome.FAILED, "key_not_removed", {"team": "blue"})


async def test_the_image_is_in_the_ledger_before_the_write_is_sent(harness, completion_id, eventually):
    """When the update reaches the server, the image is already there for a report to read."""
    harness.fault("slow", "POST", seconds=1.5)
    job_id = await harness.submit((completion_id, {"k": "v"}))
    turn = asyncio.create_task(harness.turn(job_id))

    await eventually(lambda: harness.sent("POST"))
    row = await harness.row(job_id)
    pending = not turn.done()
    await turn

    assert pending
    assert (row.outcome, row.before) == (Outcome.PENDING, {"team": "blue"})
