"""The argument JOB of a verb: a whole id, the beginning of one, or `last`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Any, TypeVar

import click

from cli.console import ask, can_ask, echo
from cli.session import in_session
from config.settings import Settings
from ledger.job_spec import ALL_KINDS, Kind
from relabel.errors import Declined, InvalidInput
from relabel.job_reference import LAST, described, find_job
from relabel.session import Session

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def job_argument(verb: F) -> F:
    """Add JOB to a verb, which receives it as `reference`."""
    return click.argument("reference", metavar="JOB")(verb)


def changed_job_argument(verb: F) -> F:
    """Add JOB and --yes to a verb that changes the job, which receives them as `reference` and `yes`."""
    option = click.option("--yes", "-y", is_flag=True, help=f"Do not ask whether `{LAST}` is the job that is meant.")
    return job_argument(option(verb))


def with_job(
    settings: Settings,
    reference: str,
    verb: Callable[[Session, str], Awaitable[T]],
    *,
    kinds: Container[Kind] = ALL_KINDS,
) -> T:
    """Run a use case that only reads in a session, on the job that is meant; `last` is one of these kinds."""

    async def run(session: Session) -> T:
        return await verb(session, (await find_job(session, reference, kinds)).job_id)

    return in_session(settings, run)


def with_changed_job(
    settings: Settings,
    reference: str,
    verb: Callable[[Session, str], Awaitable[T]],
    *,
    yes: bool,
    kinds: Container[Kind] = ALL_KINDS,
) -> T:
    """Run a use case that changes the job in a session, on the job that is meant and confirmed; `kinds` as above."""

    async def run(session: Session) -> T:
        return await verb(session, await confirmed_job(session, reference, yes=yes, kinds=kinds))

    return in_session(settings, run)


async def confirmed_job(session: Session, reference: str, *, yes: bool, kinds: Container[Kind] = ALL_KINDS) -> str:
    """Return the id of the job that is about to be changed.

    One that was not named by its whole id is shown, and asked about where it was named as `last`.

    Raises:
        NoSuchJob: there is no such job.
        InvalidInput: it is not clear which is meant, or there is no terminal to ask on.
        Declined: the answer was no.

    """
    meant = await find_job(session, reference, kinds)
    if meant.by_id:
        return meant.job_id
    said = await described(session, meant.job)
    echo(f"{said[0].upper()}{said[1:]}.", err=True)
    if meant.is_last and not yes:
        if not can_ask():
            raise InvalidInput("there is no terminal to ask on whether this is meant; name the job, or add --yes.")
        if not ask():
            raise Declined("nothing was changed.")
    return meant.job_id
