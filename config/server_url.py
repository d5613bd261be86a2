"""The URL of a Redis server as it is used: as written, with the password and the TLS files that are set beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from config.checks import has_sound_port, is_host
from config.text import sanitize

TLS_SCHEMES = ("rediss", "sentinels")
_SCHEMES = ("redis", "unix", "sentinel", *TLS_SCHEMES)
_OTHER_BROKERS = ("amqp", "amqps", "pyamqp", "redis+socket")
_NUMBER, _SECONDS, _SWITCH, _TEXT = r"\d{1,6}", r"\d{1,6}(\.\d{1,6})?", r"(?i:0|1|true|false|yes|no|t|f|y|n)", r".+"
_OPTIONS = {
    "db": _NUMBER,
    "client_name": r"[!-~]+",
    "protocol": r"[23]",
    "socket_timeout": _SECONDS,
    "socket_connect_timeout": _SECONDS,
    "socket_keepalive": _SWITCH,
    "health_check_interval": _NUMBER,
    "max_connections": r"[1-9]\d{0,5}",
}
"""Options of a URL by redis-py's names (8.1, `URL_QUERY_ARGUMENT_PARSERS` and the connections' arguments), with what
their values look like."""
_SENTINEL_OPTIONS = {"sentinel_password": _TEXT}
_TLS_OPTIONS = {
    "ssl_ca_certs": _TEXT,
    "ssl_ca_path": _TEXT,
    "ssl_certfile": _TEXT,
    "ssl_keyfile": _TEXT,
    "ssl_password": _TEXT,
    "ssl_cert_reqs": r"none|optional|required",
    "ssl_check_hostname": _SWITCH,
}
SHOWN_CHARS = 40
_HOST = r"[^:@/?#,\[\]\s]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?"
_SENTINEL = re.compile(rf"sentinels?://([^@/?#]*@)?({_HOST})(,({_HOST}))*/[^/?#]+(/\d+)?(\?[^#]*)?")


def server_url(value: SecretStr | None) -> SecretStr | None:
    """Return the URL; ValueError where no Redis server can be meant by it."""
    if value is None:
        return None
    url = value.get_secret_value().strip()
    scheme = url.partition("://")[0]
    if not _names_a_server(url, scheme):
        raise ValueError("must be a redis://, rediss:// (TLS), unix://, sentinel:// or sentinels:// (TLS) URL")
    if scheme.startswith("sentinel") and not (_SENTINEL.fullmatch(url) and _has_sound_hosts(url)):
        raise ValueError("must look like sentinel://user@host:26379,host:26379/SERVICE/0, with the service's name")
    _check_database(url, scheme)
    _check_options(url, scheme)
    return SecretStr(url)


def broker_url(value: SecretStr | None) -> SecretStr | None:
    """Return the URL; ValueError where no broker can be meant by it that relabel knows."""
    if value is None:
        return None
    url = value.get_secret_value().strip()
    scheme = url.partition("://")[0]
    if scheme in _SCHEMES:
        return server_url(value)
    if scheme not in _OTHER_BROKERS or not _is_sound(url):
        raise ValueError("must be an amqp://, amqps:// (TLS), redis://, rediss://, unix:// or sentinel:// URL")
    if scheme.startswith(("amqp", "pyamqp")) and urlsplit(url).query:
        raise ValueError("must hold no options (after `?`); heartbeats and TLS are set by relabel")
    return SecretStr(url)


def _names_a_server(url: str, scheme: str) -> bool:
    if scheme not in _SCHEMES or "://" not in url or "#" in url:
        return False
    if scheme.startswith("sentinel"):
        return _is_printable(url)
    if not _is_sound(url):
        return False
    parts = urlsplit(url)
    return bool(parts.path) if scheme == "unix" else bool(parts.hostname and is_host(parts.hostname))


def _has_sound_hosts(url: str) -> bool:
    hosts = _split(url).netloc.rpartition("@")[2].split(",")
    return all(has_sound_port(urlsplit(f"//{host}")) for host in hosts)


def _is_sound(url: str) -> bool:
    try:
        return _is_printable(url) and has_sound_port(urlsplit(url))
    except ValueError:
        return False


def _is_printable(url: str) -> bool:
    return url.isprintable() and " " not in url


def _check_database(url: str, scheme: str) -> None:
    if scheme in {"redis", "rediss"} and not re.fullmatch(r"/?|/\d{1,5}", urlsplit(url).path):
        raise ValueError("must name a database by its number, as redis://host:6379/0 does")


def _check_options(url: str, scheme: str) -> None:
    """Refuse options that redis-py does not know, or knows with another kind of value: it would only say so later."""
    for name, value in parse_qsl(_split(url).query, keep_blank_values=True):
        known = _TLS_OPTIONS if scheme in TLS_SCHEMES else {}
        known = known | (_SENTINEL_OPTIONS if scheme.startswith("sentinel") else _OPTIONS)
        if name not in known:
            raise ValueError(f"has an option that is not known ({sanitize(name, SHOWN_CHARS)}); take it away")
        if not re.fullmatch(known[name], value):
            raise ValueError(f"has a value of the option {name} that cannot be used; correct it or take it away")


def speaks_tls(url: str) -> bool:
    """Return whether the URL asks for TLS."""
    return url.startswith(tuple(f"{scheme}://" for scheme in TLS_SCHEMES))


def with_password(url: str, password: str) -> str:
    """Put a password into a URL that has none."""
    parts = _split(url)
    login, _, hosts = parts.netloc.rpartition("@")
    if not password or ":" in login:
        return url
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{hosts}"))


def with_options(url: str, options: Mapping[str, object]) -> str:
    """Add what is set of these options to a URL's query; what stands there already stays."""
    parts = _split(url)
    there = dict(parse_qsl(parts.query))
    added = {name: str(value) for name, value in options.items() if value is not None and name not in there}
    return urlunsplit(parts._replace(query=urlencode(there | added))) if added else url


def plain(secret: SecretStr | None) -> str:
    """Return what a secret holds, '' where there is none."""
    return secret.get_secret_value() if secret else ""


def _split(url: str) -> SplitResult:
    """Return a URL's parts; from Python 3.14 on, `urlsplit` refuses a list of hosts with an IPv6 address in it."""
    scheme, _, rest = url.partition("://")
    hosts = re.split("[/?#]", rest, maxsplit=1)[0]
    return urlsplit(f"{scheme}://{rest[len(hosts) :]}")._replace(netloc=hosts)
