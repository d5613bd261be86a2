"""Flower as `celery -A tasks.app flower` starts it: on loopback or behind a password, hands off the workers."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click
from celery import Celery
from celery.signals import import_modules, user_preload_options

from config.checks import is_loopback, is_user_and_password
from config.environment import opens_flower_api
from config.hosts import is_our_host
from config.settings import Settings
from config.text import printable

log = logging.getLogger(__name__)
MAX_TASKS = 10_000
"""Shards that Flower keeps in memory, some 40 MB; its own default takes 400 (facts, section 4)."""
COLUMNS = "uuid,name,args,state,received,runtime,worker"
"""Of the page of tasks: `args` is what `tasks.announce.announce` says of job and shard."""
_INSTEAD = "set RELABEL_FLOWER__BASIC_AUTH=user:password"


def set_up_flower(app: Celery, settings: Settings) -> None:
    """Configure Flower from the settings, which its own options override, and refuse to start it unprotected."""

    def prepare(**_: Any) -> None:
        if click.get_current_context().info_name == "flower":
            _set_defaults(settings)
            # it asks for the application's modules once all of its options are read, and before it listens
            import_modules.connect(_check, sender=app)
            _answer_to_our_hosts_alone(settings)

    user_preload_options.connect(prepare, weak=False)


def _set_defaults(settings: Settings) -> None:
    from tornado.options import options  # noqa: PLC0415 - comes with Flower, which need not be there

    chosen = settings.flower
    options.address, options.port, options.read_only = chosen.address, chosen.port, chosen.read_only
    options.max_tasks, options.tasks_columns = MAX_TASKS, COLUMNS
    options.logging = settings.log_level.lower()
    if chosen.basic_auth is not None:
        options.basic_auth = [chosen.basic_auth.get_secret_value()]


def _answer_to_our_hosts_alone(settings: Settings) -> None:
    """Have Flower refuse requests by a name that is not ours, as a page of somebody else's makes (DNS rebinding)."""
    from flower import command  # type: ignore[import-untyped] # noqa: PLC0415 - as above
    from tornado.web import ErrorHandler  # noqa: PLC0415 - as above

    class GuardedFlower(command.Flower):  # type: ignore[misc]
        """Flower, which has no setting for this."""

        def find_handler(self, request: Any, **kwargs: Any) -> Any:
            options, more = self.options, settings.flower.allowed_hosts
            if options.unix_socket or is_our_host(request.host, address=options.address or "", more=more):
                return super().find_handler(request, **kwargs)
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})

    command.Flower = GuardedFlower


def _check(**_: Any) -> None:
    from tornado.options import options  # noqa: PLC0415 - as above

    if error := why_open(options) or _cannot_listen(options):
        sys.stderr.write(f"relabel: {printable(error)}\n")
        raise SystemExit(2)
    if options.basic_auth:
        log.info("Flower asks for a password, but not at /metrics and /healthcheck, which name workers and tasks.")


def why_open(options: Any) -> str:
    """Return what in Flower's options would leave it open to everybody; '' where nothing would."""
    if not all(map(is_user_and_password, options.basic_auth)):
        return f"Flower's basic auth must be user:password, in plain characters; {_INSTEAD}."
    if options.basic_auth:
        return ""
    if opens_flower_api():
        return f"FLOWER_UNAUTHENTICATED_API would let any web page control the workers; unset it and {_INSTEAD}."
    if not options.unix_socket and not is_loopback(options.address):
        where = options.address or "every address"
        return f"Flower would be open to everybody on {where}; {_INSTEAD}, or have it listen on 127.0.0.1."
    return ""


def _cannot_listen(options: Any) -> str:
    """Return why Flower cannot listen, where it would end with a traceback itself; '' where it can."""
    from tornado.netutil import bind_sockets  # noqa: PLC0415 - as above

    if options.unix_socket:
        return ""
    try:
        for listener in bind_sockets(options.port, options.address):
            listener.close()
    except OSError as error:
        where = f"{options.address}:{options.port}"
        return f"Flower cannot listen on {where} ({error.strerror}); choose another RELABEL_FLOWER__ADDRESS or __PORT."
    return ""
