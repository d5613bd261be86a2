"""Each error of the use cases has a code that programs may rely on, and the exit code that scripts do."""

from __future__ import annotations

import pytest

from cli.errors import show_error
from relabel import errors

PINNED = {
    errors.InvalidInput: ("invalid_input", 2),
    errors.WrongState: ("wrong_state", 2),
    errors.RowsLost: ("state_lost", 3),
    errors.Unreachable: ("unreachable", 4),
    errors.Declined: ("declined", 130),
    errors.WorkerDied: ("worker_died", 1),
}


@pytest.mark.parametrize(("error", "pinned"), PINNED.items())
def test_an_error_keeps_its_code_its_sentence_and_its_exit_code(error, pinned, capsys):
    """The command line maps it in one place."""
    exit_code = show_error(error("what happened; what to do."))

    assert (error.code, exit_code) == pinned
    assert capsys.readouterr().err == "relabel: what happened; what to do.\n"


def test_no_error_is_without_a_pinned_code():
    """A new one is entered above."""
    assert set(errors.RelabelError.__subclasses__()) == set(PINNED)
