"""The URL of a Redis server as it is used: as written, with the password and the TLS files that are set beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from config.checks import has_sound_port

TLS_SCHEMES = ("rediss", "sentinels")
_SCHEMES = ("redis", "unix", "sentinel", *TLS_SCHEMES)
_HOST = r"[^:@/?#,\[\]\s]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?"
_SENTINEL = re.compile(rf"sentinels?://([^@/?#]*@)?({_HOST})(,({_HOST}))*/[^/?#]+(/\d+)?(\?[^#]*)?")


def server_url(value: SecretStr | None) -> SecretStr | None:
    """Give the URL; ValueError where no Redis server can be meant by it."""
    if value is None:
        return None
    url = value.get_secret_value().strip()
    scheme = url.partition("://")[0]
    if not _names_a_server(url, scheme):
        raise ValueError("must be a redis://, rediss:// (TLS), unix://, sentinel:// or sentinels:// (TLS) URL")
    if scheme.startswith("sentinel") and not _SENTINEL.fullmatch(url):
        raise ValueError("must look like sentinel://user@host:26379,host:26379/SERVICE/0, with the service's name")
    return SecretStr(url)


def _names_a_server(url: str, scheme: str) -> bool:
    if scheme not in _SCHEMES or "://" not in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if scheme == "unix":
        return bool(parts.path)
    return scheme.startswith("sentinel") or has_sound_port(parts)


def speaks_tls(url: str) -> bool:
    """Tell whether the URL asks for TLS."""
    return url.startswith(tuple(f"{scheme}://" for scheme in TLS_SCHEMES))


def with_password(url: str, password: str) -> str:
    """Put a password into a URL that has none."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    if not password or ":" in login:
        return url
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{hosts}"))


def with_options(url: str, options: Mapping[str, object]) -> str:
    """Add what is set of these options to a URL's query; what stands there already stays."""
    parts = urlsplit(url)
    there = dict(parse_qsl(parts.query))
    added = {name: str(value) for name, value in options.items() if value is not None and name not in there}
    return urlunsplit(parts._replace(query=urlencode(there | added))) if added else url


def plain(secret: SecretStr | None) -> str:
    """Give what a secret holds, '' where there is none."""
    return secret.get_secret_value() if secret else ""
