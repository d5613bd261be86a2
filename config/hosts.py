"""The host names that our servers answer to: no page reaches them by DNS rebinding."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from config.checks import is_loopback


def is_our_host(header: str, *, address: str, more: str | None) -> bool:
    """Return whether a request's `Host` is one that the server at `address` answers to.

    IP addresses always are, as no page of somebody else's has one of ours for its name; so are loopback names, the
    configured address, this machine's name, and the names in `more`, which commas part.
    """
    try:
        host = (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return False
    named = {address, socket.gethostname(), *(name.strip() for name in (more or "").split(","))}
    return _is_address(host) or is_loopback(host) or (host != "" and host in {name.lower() for name in named})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
