"""The errors of the use cases. Each says in one sentence what, where and what to do next."""

from __future__ import annotations

from typing import ClassVar


class RelabelError(Exception):
    """A use case could not be carried out. `code` is stable: programs may rely on it."""

    code: ClassVar[str] = "error"


class InvalidInput(RelabelError):
    """What was asked for, or a file, cannot be used as it is."""

    code = "invalid_input"


class WrongState(RelabelError):
    """The job or the run is not in a state that allows this."""

    code = "wrong_state"


class RowsLost(RelabelError):
    """Redis lost rows of the job, so that nothing can be read or made of it."""

    code = "state_lost"


class Unreachable(RelabelError):
    """Redis or the API cannot be reached or cannot be used."""

    code = "unreachable"


class Declined(RelabelError):
    """Somebody was asked, and the answer was no."""

    code = "declined"


class WorkerDied(RelabelError):
    """The worker of this process tree ended by itself, again and again."""

    code = "worker_died"
