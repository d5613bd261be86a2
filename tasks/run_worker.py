"""A worker that belongs to one command: `python -m tasks.run_worker OWNER_PID`, ended with its owner."""

from __future__ import annotations

import os
import sys

from celery.utils.nodenames import default_nodename, host_format

from config.environment import load_settings
from config.errors import SettingsError
from config.text import printable
from tasks.logs import keep_to_json
from tasks.worker_app import make_worker_app

ALONE = {"without_mingle": True, "without_gossip": True, "without_heartbeat": True}
"""Options of the worker that switch off what is said among workers."""


def main() -> None:
    """Work until SIGTERM, or until the owner is gone."""
    try:
        settings = load_settings()
        app = make_worker_app(settings, owner=int(sys.argv[1]))
    except SettingsError as error:
        sys.stderr.write(f"relabel: {printable(str(error))}\n")
        raise SystemExit(2) from None
    if settings.log_format == "json":
        keep_to_json(settings)
    # not by Celery's command line: it loads every command that is installed, which is a sixth of the start
    worker = app.Worker(hostname=host_format(default_nodename(f"run-{os.getpid()}@%h")), quiet=True, **ALONE)
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
