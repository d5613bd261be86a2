"""Carries a job out in this process tree, stopped by Ctrl-C, or follows it while deployed workers do; shows its end."""

from __future__ import annotations

import asyncio
import signal
from typing import NamedTuple

from rich.console import Console

from cli.console import echo, shown
from cli.exit_codes import INTERRUPTED, exit_code_of
from cli.output import print_facts, print_json
from cli.progress import follow, progress_display
from cli.submission import exit_code_after
from cli.summary import print_summary
from ledger.job import Job
from producer.submit import Submitted
from relabel.control import resume_here, resume_interrupted
from relabel.explain import standing
from relabel.facts import job_facts
from relabel.findings import collect_findings, kind_facts
from relabel.run import carry_out, require_api
from relabel.session import Session


class JobView(NamedTuple):
    """How a job is asked about, carried out and shown. `here`: in this process tree.

    `wait`: one that deployed workers carry out is followed to its end.
    """

    console: Console
    here: bool
    yes: bool = False
    wait: bool = True
    as_json: bool = False


class StopSignals:
    """Ctrl-C and SIGTERM. At first each ends the command; after `defer` the first sets `stop`, and a second ends it."""

    def __init__(self, console: Console) -> None:
        self.stop = asyncio.Event()
        self._console = console
        self._main = asyncio.current_task()
        self._deferred = False
        self._job_id = ""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def defer(self) -> None:
        """Let the first signal stop the job in order from now on."""
        self._deferred = True

    def name_job(self, job_id: str) -> None:
        """Record the job that is to stop; a signal may have come before."""
        self._job_id = job_id
        if self.stop.is_set():
            self._print()

    def _on_signal(self) -> None:
        if self._main is not None and (self.stop.is_set() or not self._deferred):
            self._main.cancel()
        elif self._job_id:
            self._print()
        self.stop.set()

    def _print(self) -> None:
        later = f"`relabel run --resume {self._job_id}` goes on later"
        what = f"Stopping: the rows in flight end first; {later}. Ctrl-C again stops at once."
        self._console.print(shown(what), soft_wrap=True)


async def get_ready(session: Session, console: Console) -> StopSignals:
    """Check the API before anything is stored; from then on the first Ctrl-C stops the job in order.

    Raises:
        Unreachable: the API does not answer, or refuses the key.

    """
    signals = StopSignals(console)
    await require_api(session.settings)
    signals.defer()
    return signals


async def resume_and_carry_out(session: Session, job_id: str, console: Console, *, as_json: bool) -> int:
    """Go on with a job in this process tree and show it; return the exit code."""
    signals = await get_ready(session, console)
    had = await resume_here(session, job_id)
    if had.ended:
        console.print(shown(f"Job {job_id} had ended already: {had}."))
    return await carry_out_shown(session, job_id, signals, console, as_json=as_json)


async def carry_on(session: Session, submitted: Submitted, signals: StopSignals | None, view: JobView) -> int:
    """Carry a submitted job out here, where there are `signals`, else follow it or leave it; return the exit code."""
    job_id = submitted.job_id
    if not view.as_json:
        echo(job_id)
    if signals:
        await resume_interrupted(session, submitted)
        return await carry_out_shown(session, job_id, signals, view.console, as_json=view.as_json)
    if view.wait:
        job = await follow(session, job_id, view.console)
        await show_end(session, job, view.console, as_json=view.as_json)
        return exit_code_of(job)
    job = await session.ledger.jobs.get(job_id)
    if not submitted.existed and job.waits_for_approval:
        view.console.print(shown(f"Job {job_id} is {standing(job)}"), soft_wrap=True)
    if view.as_json:
        print_json(job)
    return exit_code_after(submitted, job)


async def carry_out_shown(
    session: Session, job_id: str, signals: StopSignals, console: Console, *, as_json: bool
) -> int:
    """Work on a job to its end, show its progress and its summary, and return the exit code."""
    signals.name_job(job_id)
    with progress_display(console, session.settings.rate.per_minute) as progress:
        job = await carry_out(session, job_id, stop=signals.stop, progress=progress)
    interrupted = signals.stop.is_set()
    was_followed = not (interrupted or job.waits_for_approval)
    await show_end(session, job, console, as_json=as_json, after_follow=was_followed)
    return INTERRUPTED if interrupted and not job.state.ended else exit_code_of(job)


async def show_end(session: Session, job: Job, console: Console, *, as_json: bool, after_follow: bool = True) -> None:
    """Show the summary of a job, and print it as JSON where that is asked for; see `print_summary`."""
    findings = await collect_findings(session, job)
    print_summary(job, findings, console, after_follow=after_follow)
    if as_json:
        print_facts(job_facts(job) | kind_facts(job, findings))
