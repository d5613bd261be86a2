"""Finds the HTTP proxy that the environment names for a URL, as curl does, so that no HTTP library decides it.

Why not a library: aiohttp's `trust_env` reads `~/.netrc` too; the standard library's `proxy_bypass_environment` and
httpx know no CIDR; requests takes `notexample.com` for a subdomain of `example.com`. All of them proxy loopback. So the
standard library reads the variables, and the exceptions are matched here.
"""

from __future__ import annotations

import re
import urllib.request
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from config.checks import has_sound_port, is_loopback
from config.errors import SettingsError

_PORTS = {"http": 80, "https": 443}
_USABLE = frozenset({"http", "https"})


class Proxy(NamedTuple):
    """An HTTP proxy: its URL without credentials, and the credentials."""

    url: str
    user: str | None = None
    password: str = ""

    def __repr__(self) -> str:
        """Return the proxy without its credentials."""
        return f"Proxy({self.url!r})"


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for requests to `url`; None where they go directly.

    `HTTPS_PROXY` or `HTTP_PROXY` counts by the scheme of `url`, else `ALL_PROXY`; the small spelling wins. `NO_PROXY`
    lists hosts, domains, addresses, networks in CIDR notation, each perhaps with a port, or `*`. Loopback is never
    proxied.

    Raises:
        SettingsError: the variable that counts names no HTTP proxy.

    """
    target = urlsplit(url)
    host = (target.hostname or "").rstrip(".")
    named = urllib.request.getproxies_environment()
    variable = target.scheme if target.scheme in named else "all"
    if is_loopback(host) or variable not in named:
        return None
    if _is_excepted(host, target.port or _PORTS[target.scheme], named.get("no", "")):
        return None
    return _read(f"{variable.upper()}_PROXY", named[variable])


def _read(variable: str, value: str) -> Proxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        # RFC 7617 has no way to send a colon in a user's name
        sound = bool(parts.hostname) and has_sound_port(parts) and ":" not in unquote(parts.username or "")
    except ValueError:
        parts, sound = SplitResult("", "", "", "", ""), False
    if parts.scheme.startswith("socks"):
        raise SettingsError(
            f"{variable}: a {parts.scheme}:// proxy cannot be used; name an HTTP proxy such as "
            "http://proxy.example:3128, or list the host that is called in NO_PROXY."
        )
    if not sound or parts.scheme not in _USABLE:
        raise SettingsError(f"{variable}: must be the URL of an HTTP proxy, such as http://proxy.example:3128.")
    url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(url, user, unquote(parts.password or ""))


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    return any(_covers(rule, host, port) for rule in re.split(r"[,\s]+", exceptions.lower()) if rule)


def _covers(rule: str, host: str, port: int) -> bool:
    if rule == "*":
        return True
    if (inside := _in_network(rule, host)) is not None:
        return inside
    name, _, number = rule.rpartition(":")
    if number.isdecimal():
        if int(number) != port:
            return False
        rule = name
        if (inside := _in_network(rule, host)) is not None:
            return inside
    domain = rule.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or (host.endswith(f".{domain}") and not _is_address(host)))


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _in_network(rule: str, host: str) -> bool | None:
    """Check whether the host is an address of the network or address `rule`; None where that is neither."""
    try:
        network = ip_network(re.sub(r"^\[(.*)\]$", r"\1", rule), strict=False)
    except ValueError:
        return None
    return _is_address(host) and ip_address(host) in network
