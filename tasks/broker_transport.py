"""Celery's configuration of the broker: Redis, Redis behind sentinels, or RabbitMQ."""

from __future__ import annotations

import ssl
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from kombu.transport import TRANSPORT_ALIASES

from config.settings import Settings
from ledger.sentinel import ONE_TRY, SentinelAddress, is_sentinel, parse_sentinel_url

TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "tasks.redis_transport:Transport") | {
    "sentinel": "tasks.redis_transport:SentinelTransport"
}
# by its name, as a URL of a socket (redis+socket://) can name a transport in no other way

_TIMES = {"socket_timeout": 5, "socket_connect_timeout": 5}
_REDIS: dict[str, Any] = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    **_TIMES,
    "socket_keepalive": True,
    "health_check_interval": 8,  # a silent link is noticed after twice this (kombu.transport.redis)
    "global_keyprefix": "relabel:celery:",
}
_RABBITMQ: dict[str, Any] = {
    "confirm_publish": True,  # an announcement that was not taken is seen as one
    "connect_timeout": 5,
    "read_timeout": 30,
    "write_timeout": 5,
}


class Transport(NamedTuple):
    """The values of Celery's `broker_url`, `broker_use_ssl` and `broker_transport_options`."""

    url: str
    use_ssl: dict[str, Any] | None
    transport_options: dict[str, Any]


def transport_of(settings: Settings) -> Transport:
    """Return the broker of the settings.

    Raises:
        SettingsError: no Redis server is set.

    """
    url = settings.full_broker_url
    if is_sentinel(url):
        return _behind_sentinels(parse_sentinel_url(url))
    parts = urlsplit(url)
    if parts.scheme == "unix":
        socket = "redis+socket://" + url.removeprefix("unix://").replace("?db=", "?virtual_host=")
        return Transport(socket, None, _REDIS)
    if parts.scheme == "rediss":
        # kombu would go on without looking at the certificate where it is told nothing
        return Transport(urlunsplit(parts._replace(query="")), _tls(dict(parse_qsl(parts.query))), _REDIS)
    if parts.scheme in {"amqp", "amqps"}:
        return Transport(url, _rabbitmq_tls(settings, parts.hostname) if parts.scheme == "amqps" else None, _RABBITMQ)
    return Transport(url, None, _REDIS)


def _behind_sentinels(address: SentinelAddress) -> Transport:
    user, password = (quote(address.login.get(name, ""), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if password else ""
    hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
    use_ssl = None if address.tls is None else _tls(address.tls)
    to_sentinels = ONE_TRY | _TIMES | address.sentinel_login | ({"ssl": True} | use_ssl if use_ssl else {})
    options = _REDIS | {"master_name": address.service, "sentinel_kwargs": to_sentinels}
    return Transport(";".join(f"sentinel://{login}{host}/{address.db}" for host in hosts), use_ssl, options)


def _tls(options: dict[str, str]) -> dict[str, Any]:
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True} | options


def _rabbitmq_tls(settings: Settings, host: str | None) -> dict[str, Any]:
    files = {
        "ca_certs": settings.redis.ca_file,
        "certfile": settings.redis.cert_file,
        "keyfile": settings.redis.key_file,
    }
    named = {name: str(path) for name, path in files.items() if path is not None}
    return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host} | named
