"""A Redis as it stands in production: TLS, a client's certificate, few rights; each refusal is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import pytest
import trustme

from config.groups import RedisSettings
from ledger.connect import open_ledger
from ledger.errors import LedgerUnreachable
from tests.harness.certificates import Certificate, new_certificate
from tests.harness.redis_node import NO_TLS_SERVER, RedisNode, tls_options, tls_server
from tests.harness.wait import wait_until

PASSWORD = "p@ss/word:1"


class Secured(NamedTuple):
    """Two servers of one CA, of which one let its certificate run out, and what clients can show them."""

    port: int
    expired_port: int
    client: Certificate
    stranger: Certificate


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    program = tls_server(folder)
    if program is None:
        pytest.skip(NO_TLS_SERVER)
    ca = trustme.CA()
    client = new_certificate(folder, "client", by=ca)
    stranger = new_certificate(folder, "stranger", by=trustme.CA())
    nodes = []
    for name, expired in (("sound", False), ("expired", True)):
        certificate = new_certificate(folder, name, by=ca, expired=expired)
        user = {"user": f"relabel on >{PASSWORD} ~relabel:* +@all -@dangerous"}
        node = RedisNode(program, folder / name, options=tls_options(certificate) | user, certificate=client)
        node.admin.connection_pool.connection_kwargs["ssl_cert_reqs"] = "none"
        nodes.append(node)
    with nodes[0], nodes[1]:
        yield Secured(nodes[0].port, nodes[1].port, client, stranger)


def url_for(secured: Secured, *, login: str = "relabel", **changes: object) -> str:
    """What the settings make of a URL, a password and files."""
    given = {
        "url": f"rediss://{login}@127.0.0.1:{secured.port}/0",
        "password": PASSWORD,
        "ca_file": secured.client.ca,
        "cert_file": secured.client.cert,
        "key_file": secured.client.key,
    }
    url = RedisSettings.model_validate(given | changes).full_url
    assert url is not None
    return url


async def error_of(url: str) -> str:
    others = connections_to(url)
    with pytest.raises(LedgerUnreachable) as caught:
        async with open_ledger(url) as redis:
            await redis.set("relabel:key", "value")
    said = str(caught.value)
    assert PASSWORD not in said
    assert said.count(". ") == 0, said
    # redis-py does not wait for the end of a connection that was refused
    await wait_until(lambda: connections_to(url) <= others, within=10, what="no connection is left")
    return said


def connections_to(url: str) -> set[int]:
    """The local ports of this process's connections to a server."""
    port = urlsplit(url).port
    return {each.laddr[1] for each in psutil.Process().net_connections("tcp") if each.raddr and each.raddr[1] == port}


async def test_a_user_with_a_password_and_a_certificate_is_let_in(secured):
    """Password and files from settings beside the URL."""
    async with open_ledger(url_for(secured)) as redis:
        await redis.set("relabel:key", "value")
        assert await redis.get("relabel:key") == b"value"


async def test_another_ca_is_refused_with_what_to_do(secured):
    """The server's certificate is looked at, and the sentence names the setting."""
    said = await error_of(url_for(secured, ca_file=secured.stranger.ca))

    assert "certificate of Redis is refused" in said
    assert "RELABEL_REDIS__CA_FILE" in said


async def test_the_machines_own_cas_count_where_none_is_named(secured):
    """Which do not know this one."""
    assert "certificate of Redis is refused" in await error_of(url_for(secured, ca_file=None))


async def test_an_expired_certificate_is_told(secured):
    """So that nobody looks for a wrong CA."""
    url = url_for(secured, url=f"rediss://relabel@127.0.0.1:{secured.expired_port}/0")

    assert "certificate has expired" in await error_of(url)


@pytest.mark.parametrize("shown", ["none", "stranger"])
async def test_a_missing_or_foreign_client_certificate_is_told(secured, shown):
    """TLS 1.3 lets the server refuse it after the client believes to be connected."""
    files = {"cert_file": None, "key_file": None}
    if shown == "stranger":
        files = {"cert_file": secured.stranger.cert, "key_file": secured.stranger.key}

    assert "RELABEL_REDIS__CERT_FILE" in await error_of(url_for(secured, **files))


@pytest.mark.parametrize(("login", "password"), [("relabel", "wrong"), ("nobody", PASSWORD)])
async def test_a_wrong_user_or_password_is_told(secured, login, password):
    """As over a plain connection."""
    assert "user or password" in await error_of(url_for(secured, login=login, password=password))


async def test_rights_that_are_missing_are_told(secured):
    """NOPERM: a key outside the user's own."""
    with pytest.raises(LedgerUnreachable, match="does not permit"):
        async with open_ledger(url_for(secured)) as redis:
            await redis.set("elsewhere", "value")
