"""`relabel metrics`: a Prometheus endpoint over the ledger."""

from __future__ import annotations

import signal
import threading

import click

from cli.console import echo
from cli.errors import CliError
from cli.session import pass_settings
from config.settings import Settings
from metrics.endpoint import endpoint, exposition
from relabel.errors import Unreachable
from relabel.session import server_for

DOWN = "relabel_ledger_up 0.0"


@click.command("metrics")
@click.option("--address", help="Address to listen on. Default: RELABEL_METRICS__ADDRESS.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. Default: RELABEL_METRICS__PORT.")
@click.option("--once", is_flag=True, help="Print what a scrape would get, and end.")
@pass_settings
def metrics_command(settings: Settings, *, address: str | None, port: int | None, once: bool) -> None:
    """Serve metrics to Prometheus until SIGTERM or Ctrl-C.

    They cover rows, jobs, rate and workers. Everything is read from the ledger when it is asked for, so that no
    worker is needed and one endpoint is enough. While Redis is away it answers with `relabel_ledger_up 0`. Nothing
    in it is secret, or was written by a customer.

    \b
    Examples:
      relabel metrics --port 9464
      relabel metrics --once | grep relabel_rows
    """
    with server_for(settings) as (reachable, _):
        if once:
            _print(reachable)
            return
        listen_on = address or settings.metrics.address
        wanted = settings.metrics.port if port is None else port
        try:
            _serve(reachable, listen_on, wanted)
        except OSError as error:
            where = f"{listen_on}:{wanted}"
            raise CliError(f"cannot listen on {where} ({error.strerror}); choose --address and --port.") from error


def _print(settings: Settings) -> None:
    text = exposition(settings)
    for line in text.splitlines():
        echo(line)
    if DOWN in text:
        raise Unreachable("Redis cannot be reached, so most metrics are missing; check RELABEL_REDIS__URL.")


def _serve(settings: Settings, address: str, port: int) -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with endpoint(settings, address=address, port=port) as listening:
        shown = f"[{address}]" if ":" in address else address
        echo(f"metrics on http://{shown}:{listening}/metrics", err=True)
        ended.wait()
