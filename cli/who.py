"""Who is at the command line, for the audit log."""

from __future__ import annotations

import getpass
import socket


def current_user() -> str:
    """Give user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
