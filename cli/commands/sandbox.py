"""`relabel sandbox`: the stand-in for the API, until it is told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from cli.console import echo
from sandbox.errors import ApiError
from sandbox.generate import MOST_COMPLETIONS
from sandbox.options import DeletedCursor, SandboxOptions
from sandbox.script import APPLIED, FaultKind
from sandbox.server import is_loopback, run_sandbox

_FAULTS = ", ".join(kind.value for kind in FaultKind if kind is not FaultKind.ANSWER)
_AFTER = ", ".join(kind.value for kind in FaultKind if kind in APPLIED)

HELP = f"""Run a stand-in for the stored chat completions API.

Serves create, list, get, messages, update and delete under /v1, with errors, limits and faults like the real
service. Point any client at the printed address; every key that is not empty is accepted unless --api-key is given.
What happened and what will happen next is under /_sandbox/ (log, stats, completions, faults, options).

\b
Examples:
  relabel sandbox
  relabel sandbox --load completions.json --rate-per-second 50 --burst 10 --latency 0.2
  relabel sandbox --merge --fault error_500=0.02 --fault reset_after=0.01 --seed 7
  relabel sandbox --fault-script faults.json --log requests.jsonl
  relabel sandbox --completions 200000 --list-lag 3 --arrivals-per-second 2 --fault cursor_deleted=0.05

\b
A fault script is a JSON list of rules; the first that strikes wins:
  [{{"match": {{"method": "POST", "id": "chatcmpl-abc"}}, "fault": "error_500", "times": 2, "after": 0}},
   {{"match": {{"operation": "update"}}, "fault": "reset_after", "times": 1, "per_id": true}},
   {{"fault": "quota", "from_s": 10, "until_s": 20}}]

Faults: {_FAULTS}. A script may also say "answer", with a status, headers and body of its own.

These change the completion before they strike: {_AFTER}.
"""


def _read_rates(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[FaultKind, float]:
    rates = {}
    for value in values:
        name, _, share = value.partition("=")
        try:
            rates[FaultKind(name)] = float(share)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not NAME=SHARE with one of: {_FAULTS}") from None
    return rates


def _read_completions(
    _context: click.Context, _option: click.Parameter, path: Path | None
) -> dict[str, dict[str, str]] | None:
    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{path}: {error}") from error


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SECONDS = click.FloatRange(min=0)


@click.command("sandbox", help=HELP)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0, the default, takes a free one.")
@click.option("--allow-remote", is_flag=True, help="Allow a --host that other machines can reach.")
@click.option(
    "--load", type=_FILE, callback=_read_completions, help='Start with completions: {"id": {"key": "value"}}.'
)
@click.option(
    "--completions",
    type=click.IntRange(0, MOST_COMPLETIONS),
    default=0,
    help="Start with so many made-up completions, created over the last 30 days.",
)
@click.option(
    "--arrivals-per-second",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Completions that others create each second meanwhile.",
)
@click.option("--merge/--replace", default=False, help="Keep keys an update does not name, or drop them (default).")
@click.option(
    "--values",
    type=click.Choice(["kept", "trimmed", "lower_case", "non_empty"]),
    default="kept",
    show_default=True,
    help="What is stored of each value; non_empty drops empty ones.",
)
@click.option("--latency", "latency_s", type=_SECONDS, default=0.0, help="Seconds each request takes.")
@click.option("--jitter", "jitter_s", type=_SECONDS, default=0.0, help="Seconds it may take longer, at random.")
@click.option("--rate-per-second", type=float, help="Requests a second allowed; above it, 429. Default: any.")
@click.option("--burst", type=click.IntRange(min=1), help="Requests allowed at once. Default: one second's worth.")
@click.option("--retry-after/--no-retry-after", default=True, help="Whether a 429 says how long to wait.")
@click.option("--rate-headers", is_flag=True, help="Send x-ratelimit-* headers (the real update sends none).")
@click.option("--visibility-lag", "visibility_lag_s", type=_SECONDS, default=0.0, help="Seconds of 404 after create.")
@click.option("--read-lag", "read_lag_s", type=_SECONDS, default=0.0, help="Seconds that a get lags behind updates.")
@click.option("--list-lag", "list_lag_s", type=_SECONDS, default=0.0, help="Seconds that a list lags behind changes.")
@click.option(
    "--deleted-cursor",
    type=click.Choice(get_args(DeletedCursor)),
    default="refused",
    show_default=True,
    help="What a list shows after a deleted completion: 404, what followed it, nothing, or the first page.",
)
@click.option("--accept-any-id", is_flag=True, help="An id that looks real exists, empty, once it is asked for.")
@click.option("--api-key", help="The only key accepted.")
@click.option("--seed", type=int, default=0, show_default=True, help="Makes faults and new ids repeatable.")
@click.option("--fault", "fault_rates", multiple=True, callback=_read_rates, help="NAME=SHARE: a share of requests.")
@click.option("--slow", "slow_s", type=_SECONDS, default=2.0, show_default=True, help="Seconds of the slow faults.")
@click.option("--fault-script", type=_FILE, help="JSON file of rules, see above.")
@click.option("--log", "log_file", type=click.Path(dir_okay=False, path_type=Path), help="Append requests as JSONL.")
@click.option(
    "--log-limit", type=click.IntRange(min=1), default=1_000_000, help="Requests remembered. Default: 1,000,000."
)
def sandbox_command(
    *,
    host: str,
    port: int,
    allow_remote: bool,
    load: dict[str, dict[str, str]] | None,
    merge: bool,
    **options: Any,
) -> None:
    """Run the sandbox until SIGTERM or Ctrl-C."""
    if not (allow_remote or is_loopback(host)):
        raise click.UsageError(f"{host} can be reached from other machines; say --allow-remote if that is meant.")
    try:
        chosen = SandboxOptions(semantics="merge" if merge else "replace", **options)
        asyncio.run(run_sandbox(chosen, host, port, _announce, allow_remote=allow_remote, load=load))
    except (ValueError, msgspec.MsgspecError, ApiError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error


def _announce(base_url: str) -> None:
    echo(f"sandbox listening on {base_url}")
