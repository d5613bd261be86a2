"""Each error of the use cases has a code that programs may rely on, and the exit code that scripts do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import show_error
from config.errors import RelabelError, SettingsError
from embedded.errors import NotPrivate, ServerNotStarted
from ledger.errors import LedgerUnreachable, NeedsApproval, NoSuchJob
from producer.errors import UnreadableFile
from producer.questions import Question
from relabel import errors
from relabel.problems import problem_of

SENTENCE = "what happened; what to do."
PINNED = {
    errors.InvalidInput(SENTENCE): ("invalid_input", 2),
    errors.WrongState(SENTENCE): ("wrong_state", 2),
    errors.JobExpired(SENTENCE): ("job_expired", 2),
    errors.RowsRejected(SENTENCE, [{"line": 2, "column": "id", "reason": "is empty"}], 1): ("rows_rejected", 2),
    errors.RowsLost(SENTENCE): ("state_lost", 3),
    errors.Unreachable(SENTENCE): ("unreachable", 4),
    errors.Declined(SENTENCE): ("declined", 130),
    errors.NeedsConfirmation([Question("index_column", "a column counts the rows")]): ("needs_confirmation", 2),
    errors.RowsRejected(SENTENCE, [], 1): ("rows_rejected", 2),
    errors.AlteredPlan("20261123-205318-c81e4f02"): ("altered_plan", 2),
    errors.RowsFailed(SENTENCE): ("rows_failed", 1),
    errors.WorkerDied(SENTENCE): ("worker_died", 1),
    SettingsError(SENTENCE): ("wrong_settings", 2),
    errors.OwnJob(SENTENCE): ("own_job", 2),
    errors.NotAnApprover(SENTENCE): ("not_an_approver", 2),
    errors.OtherDigest(SENTENCE): ("other_digest", 2),
    NeedsApproval("20261123-205318-c81e4f02"): ("needs_approval", 3),
    LedgerUnreachable(SENTENCE): ("redis_unreachable", 4),
    ServerNotStarted("no room", todo=SENTENCE): ("server_not_started", 4),
    NotPrivate(Path("x"), "is open"): ("not_private", 2),
    UnreadableFile(SENTENCE): ("unreadable_file", 2),
    errors.ProbeFailed(SENTENCE): ("probe_failed", 1),
    errors.ProbeInterrupted(SENTENCE): ("interrupted", 130),
    errors.CompletionNotRestored("the service is away", {"team": "red"}, Path("x.json")): ("not_restored", 1),
}


@pytest.mark.parametrize(("error", "pinned"), PINNED.items())
def test_an_error_keeps_its_code_its_sentence_and_its_exit_code(error, pinned, capsys):
    """The command line maps it in one place."""
    exit_code = show_error(error)

    problem = problem_of(error)
    assert problem is not None
    assert (error.code, exit_code) == (problem.code, exit_code) == pinned
    assert capsys.readouterr().err == f"relabel: {error}\n"


def test_no_error_is_without_a_pinned_code():
    """A new one is entered above."""
    assert set(RelabelError.__subclasses__()) == set(map(type, PINNED)) | {NoSuchJob}


def test_what_there_is_not_is_named_with_how_to_find_it(capsys):
    """Each door has another way to list the jobs."""
    error = NoSuchJob("20261127-172335-90e7a1b2")

    assert show_error(error) == 2
    assert error.code == problem_of(error).code == "no_such_job"
    assert capsys.readouterr().err == f"relabel: there is no job {error.job_id}; `relabel jobs` lists them.\n"
