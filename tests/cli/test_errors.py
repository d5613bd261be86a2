"""Each error of the use cases has a code that programs may rely on, and the exit code that scripts do."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.errors import show_error
from producer.questions import Question
from relabel import errors
from relabel.problems import problem_of

SENTENCE = "what happened; what to do."
PINNED = {
    errors.InvalidInput(SENTENCE): ("invalid_input", 2),
    errors.WrongState(SENTENCE): ("wrong_state", 2),
    errors.JobExpired(SENTENCE): ("job_expired", 2),
    errors.RowsLost(SENTENCE): ("state_lost", 3),
    errors.Unreachable(SENTENCE): ("unreachable", 4),
    errors.Declined(SENTENCE): ("declined", 130),
    errors.Unconfirmed([Question("index_column", "a column counts the rows")]): ("needs_confirmation", 2),
    errors.WorkerDied(SENTENCE): ("worker_died", 1),
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
    assert set(errors.RelabelError.__subclasses__()) == set(map(type, PINNED))
