"""What the clients of Python share: a session, who carries its jobs out, and how their errors are named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from config.environment import load_settings
from config.errors import RelabelError
from ledger.connect import AWAY, describe
from ledger.errors import LedgerUnreachable, NoSuchJob
from producer.checked import Checked
from producer.submit import JobRequest
from relabel import control
from relabel.errors import NeedsConfirmation, RowsRejected
from relabel.gone import expired
from relabel.own_worker import OwnWorker
from relabel.plan_selection import plan_selection
from relabel.session import Session, open_session
from relabel.submission import SubmittedInput, submit_checked
from relabel.submit import FileOptions
from relabel.wording import in_words_of_programs

P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]
_AWAY: tuple[type[Exception], ...] = tuple(set(AWAY) - {OSError})  # what a file raises, too
_FIELDS = {
    "broker_url": "broker_url",
    "openai_api_key": "OPENAI_API_KEY",
    "openai_base_url": "OPENAI_BASE_URL",
    "state_dir": "state_dir",
}
"""The settings that `connect` takes, by the names under which they are read."""


class Connection:
    """A session, with the worker that the client brings along where it has no others."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.worker = OwnWorker(session)

    @property
    def is_own(self) -> bool:
        """Whether the server is the client's own, so that nobody else's workers see its jobs."""
        return self.session.server is not None

    async def submit(
        self,
        checked: Checked,
        options: FileOptions,
        request: JobRequest,
        *,
        confirm: Collection[str] = (),
        check: bool = False,
        here: bool = False,
    ) -> SubmittedInput:
        """Submit an input, or look at it only; `here`: the client's own worker is to carry it out.

        Raises:
            NeedsConfirmation: a question is not among the codes in `confirm`.
            RowsRejected: no row is valid, or with `strict` one is not.

        """
        if here and not check:
            await self.worker.start()
        confirmed = frozenset([confirm] if isinstance(confirm, str) else confirm)
        found = await submit_checked(
            self.session, checked, options, request, confirmed=confirmed, only_check=check, deployed=not here
        )
        if here and found.submitted:
            self.worker.work_on(found.submitted.job_id)
            await control.resume_interrupted(self.session, found.submitted)
        return found

    async def plan_selection(self, asked: Mapping[str, Any], options: FileOptions) -> str:
        """Submit a plan of a selection and return its id; workers read it, the client's own where it has no others.

        Raises:
            InvalidInput: what is asked for makes no selection, or would change nothing.

        """
        if self.is_own:
            await self.worker.start()
        plan_id = await plan_selection(self.session, asked, options)
        if self.is_own:
            self.worker.work_on(plan_id)
        return plan_id

    async def carry_on(self, job_id: str) -> None:
        """Let workers go on with a job: the client's own, where it has no others.

        Raises:
            WrongState: the job is neither paused, held nor running.

        """
        if not self.is_own:
            await control.resume(self.session, job_id)
            return
        await self.worker.start()
        await control.resume_here(self.session, job_id)
        self.worker.work_on(job_id)


async def open_connection(given: Mapping[str, Any], stack: AsyncExitStack) -> Connection:
    """Open a connection by the settings, of which those that are given go before all others; `stack` closes it.

    Raises:
        SettingsError: a setting is wrong.
        LedgerUnreachable: Redis is away, full, read-only or refuses the password.
        ServerNotStarted: the private server does not start.

    """
    named: dict[str, Any] = {field: str(given[name]) for name, field in _FIELDS.items() if given.get(name) is not None}
    if given.get("redis_url") is not None:
        named["redis"] = {"url": given["redis_url"]}
    connection = Connection(await stack.enter_async_context(open_session(load_settings(named))))
    stack.push_async_callback(connection.worker.aclose)
    return connection


@contextmanager
def said_to_programs() -> Iterator[None]:
    """Let errors of ours name options as arguments are called."""
    try:
        yield
    except RelabelError as error:
        error.args = tuple(in_words_of_programs(each) if isinstance(each, str) else each for each in error.args)
        if isinstance(error, RowsRejected):
            error.rejected = [each | {"reason": in_words_of_programs(each["reason"])} for each in error.rejected]
        if isinstance(error, NeedsConfirmation):
            error.questions = [each._replace(sentence=in_words_of_programs(each.sentence)) for each in error.questions]
        raise


def reported(method: Method[P, T]) -> Method[P, T]:
    """Let a method of what has a `connection` raise errors of ours alone, where Redis or a job is not there."""

    @functools.wraps(method)
    async def wrapper(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with said_to_programs():
                return await method(self, *args, **kwargs)
        except NoSuchJob as error:
            raise await expired(self.connection.session, error.job_id) or error from None
        except _AWAY as error:
            raise LedgerUnreachable(describe(error)) from error

    return wrapper
