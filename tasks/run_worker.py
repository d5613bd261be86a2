"""A worker that belongs to one command: `python -m tasks.run_worker OWNER_PID`, ended with its owner."""

from __future__ import annotations

import os
import sys

from config.environment import load_settings
from config.errors import SettingsError
from config.text import printable
from tasks.worker_app import make_worker_app

ARGUMENTS = ("--without-mingle", "--without-gossip", "--without-heartbeat")
"""Celery's chatter among workers, of no use to one."""


def main() -> None:
    """Work until SIGTERM, or until the owner is gone."""
    try:
        app = make_worker_app(load_settings(), owner=int(sys.argv[1]))
    except SettingsError as error:
        sys.stderr.write(f"relabel: {printable(str(error))}\n")
        raise SystemExit(2) from None
    app.worker_main(["--quiet", "worker", f"--hostname=run-{os.getpid()}@%h", *ARGUMENTS])


if __name__ == "__main__":
    main()
