"""Shows a job that is carried out in this process tree, and stops it at Ctrl-C."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console

from cli.console import shown
from cli.exit_codes import INTERRUPTED, exit_code_of
from cli.output import print_facts
from cli.progress import progress_display
from cli.summary import print_summary
from ledger.job import Job
from relabel.control import resume_here
from relabel.facts import job_facts
from relabel.findings import collect_findings, kind_facts
from relabel.run import carry_out, require_api
from relabel.session import Session


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


async def carry_out_shown(
    session: Session, job_id: str, signals: StopSignals, console: Console, *, as_json: bool
) -> int:
    """Work on a job to its end, show its progress and its summary, and return the exit code."""
    signals.name_job(job_id)
    with progress_display(console, session.settings.rate.per_minute) as progress:
        job = await carry_out(session, job_id, stop=signals.stop, progress=progress)
    interrupted = signals.stop.is_set()
    await show_end(session, job, console, as_json=as_json, after_follow=not interrupted)
    return INTERRUPTED if interrupted and not job.state.ended else exit_code_of(job)


async def show_end(session: Session, job: Job, console: Console, *, as_json: bool, after_follow: bool = True) -> None:
    """Show the summary of a job, and print it as JSON where that is asked for; see `print_summary`."""
    findings = await collect_findings(session, job)
    print_summary(job, findings, console, after_follow=after_follow)
    if as_json:
        print_facts(job_facts(job) | kind_facts(job, findings))
