"""What Celery is told of a broker: what its transport understands, and never TLS without a look."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from kombu import Connection

from config.settings import Settings
from tasks.broker_transport import transport_of

HERE = Path(__file__)
"""Any file: what is in it is looked at by the connection alone."""


def settings(**given: object) -> Settings:
    return Settings(_env_file=None, **given)


def test_a_socket_is_written_as_celery_writes_it():
    """With the number of its database."""
    broker = transport_of(settings(redis={"url": "unix:///run/redis.sock?db=1"}))

    assert broker.url == "redis+socket:///run/redis.sock?virtual_host=1"


def test_certificates_are_looked_at_whatever_is_set():
    """kombu would not, for a rediss:// URL that says nothing more; py-amqp neither."""
    redis = transport_of(settings(redis={"url": "rediss://me@host:1/2", "password": "a:b"}))
    rabbitmq = transport_of(settings(redis={"url": "redis://host", "ca_file": HERE}, broker_url="amqps://me:x@mq//"))

    assert redis.url == "rediss://me:a%3Ab@host:1/2"
    assert redis.use_ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    assert rabbitmq.use_ssl == {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "mq", "ca_certs": str(HERE)}


def test_every_sentinel_is_named_to_celery_with_both_passwords():
    """Each with the login of the servers, whichever is asked; the sentinels' own travels beside."""
    url = "sentinels://me@one:1,[::1]:2,three/main%2F1/3"
    broker = transport_of(settings(redis={"url": url, "password": "p@", "sentinel_password": "s@", "ca_file": HERE}))

    with Connection(broker.url) as connection:
        assert connection.alt == [f"sentinel://me:p%40@{host}/3" for host in ("one:1", "[::1]:2", "three:26379")]
        assert (connection.userid, connection.password, connection.virtual_host) == ("me", "p@", "3")
    assert broker.transport_options["master_name"] == "main/1"
    told = broker.transport_options["sentinel_kwargs"]
    assert (told["password"], told["ssl"], told["ssl_ca_certs"]) == ("s@", True, str(HERE))
    assert broker.use_ssl is not None
    assert broker.use_ssl["ssl_cert_reqs"] is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "url",
    [
        "http://host",
        "host:6379",
        "sentinel://host",
        "sentinel://host:1/",
        "sentinel://host:x/main",
        "sentinel://host,/main/0",
        "sentinel://a@b@host/main",
        "sentinel://host/main/first",
    ],
)
def test_a_url_that_means_no_server_is_refused(url):
    """When the settings are read, not when a worker connects."""
    with pytest.raises(ValueError, match="must"):
        settings(redis={"url": url})


def test_a_certificate_needs_its_key():
    """Half of a pair is a mistake."""
    with pytest.raises(ValueError, match="belong together"):
        settings(redis={"url": "rediss://host", "cert_file": HERE})
