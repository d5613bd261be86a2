"""`relabel serve`: the HTTP API and the console."""

from __future__ import annotations

import asyncio
import signal

import click

from cli.console import echo
from cli.errors import CliError
from cli.exit_codes import DONE, INTERRUPTED
from cli.session import need_api_key, pass_settings
from config.checks import is_loopback
from config.settings import Settings
from relabel.session import require_workers, server_for

NOT_INSTALLED = "`relabel serve` needs more than is installed; install it with: pip install 'relabel[web]'"


@click.command("serve")
@click.option("--address", help="Address to listen on. Default: RELABEL_WEB__ADDRESS.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. Default: RELABEL_WEB__PORT.")
@click.option(
    "--run", is_flag=True, help="Work on the jobs here, too, with a worker of its own, as `relabel run` does."
)
@pass_settings
def serve_command(settings: Settings, *, address: str | None, port: int | None, run: bool) -> int:
    """Serve the HTTP API and the console until SIGTERM or Ctrl-C.

    Callers need a token (`relabel token create`); on loopback a link is printed, too, which signs a browser in once. On
    loopback by default; any other address needs a certificate
    (RELABEL_WEB__CERT_FILE, RELABEL_WEB__KEY_FILE) or a proxy in front (RELABEL_WEB__TRUSTED_PROXIES). The API key
    stays with the workers. /docs shows every endpoint.

    \b
    Examples:
      relabel serve
      relabel serve --run --port 8401
    """
    try:
        from web.console.sign_in import OneTimeLink  # noqa: PLC0415 - an extra, and a second to load
        from web.server import listening, require_safe_address, serve  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise CliError(NOT_INSTALLED) from error
    if run:
        need_api_key(settings)
    else:
        require_workers(settings, "`relabel serve --run`")
    listen_on, wanted = address or settings.web.address, settings.web.port if port is None else port
    settings = settings.model_copy(update={"web": settings.web.model_copy(update={"address": listen_on})})
    require_safe_address(settings.web, listen_on)
    try:
        with listening(listen_on, wanted) as listener:
            shown = f"[{listen_on}]" if ":" in listen_on else listen_on
            where = f"http{'s' if settings.web.cert_file else ''}://{shown}:{listener.getsockname()[1]}"
            link = OneTimeLink() if is_loopback(listen_on) else None

            def say_where() -> None:
                echo(f"relabel on {where}", err=True)
                if link is not None:
                    echo(f"Sign in, once and within 5 minutes: {where}{link.path}", err=True)

            with server_for(settings) as (reachable, server):
                ended_by = asyncio.run(serve(reachable, server, listener, run=run, started=say_where, link=link))
    except asyncio.CancelledError:  # by a second signal
        raise click.Abort from None
    except OSError as error:
        raise CliError(
            f"cannot listen on {listen_on}:{wanted} ({error.strerror}); choose --address and --port."
        ) from error
    return DONE if ended_by is signal.SIGTERM else INTERRUPTED
