"""Which proxy a URL is called by: the variables as curl reads them, and the cases in which none is used."""

from __future__ import annotations

import os

import pytest

from config.errors import SettingsError
from config.proxy import Proxy, proxy_for

API = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch):
    """Only what the test sets counts."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, API, None),
        ({"HTTPS_PROXY": "http://p:3128"}, API, "http://p:3128"),
        ({"https_proxy": "http://p:3128"}, API, "http://p:3128"),
        ({"https_proxy": "http://small:1", "HTTPS_PROXY": "http://large:1"}, API, "http://small:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://large:1"}, API, None),
        ({"HTTP_PROXY": "http://p:3128"}, API, None),
        ({"HTTP_PROXY": "http://p:3128"}, "http://api.example.com/v1", "http://p:3128"),
        ({"ALL_PROXY": "http://p:3128"}, API, "http://p:3128"),
        ({"ALL_PROXY": "socks5://p:1080", "HTTPS_PROXY": "http://p:3128"}, API, "http://p:3128"),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, API, "http://proxy.corp:3128"),
        ({"HTTPS_PROXY": "http://10.0.0.1"}, API, "http://10.0.0.1"),
        ({"HTTPS_PROXY": "http://[fd00::1]:3128/"}, API, "http://[fd00::1]:3128"),
        ({"HTTPS_PROXY": "HTTPS://secure.corp:443"}, "HTTPS://API.example.com/v1", "https://secure.corp:443"),
    ],
)
def test_the_variable_of_the_scheme_counts_then_all_proxy(monkeypatch, variables, url, proxy):
    """As curl: small letters win, an empty one switches off, a host without a scheme is an HTTP proxy."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == (proxy and Proxy(proxy))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost:1/v1", "https://[::1]/v1"])
def test_loopback_is_never_proxied(monkeypatch, url):
    """Whatever the variables say, even where they could not be used."""
    for value in ("http://p:3128", "socks5://p:1080"):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, value)
        assert proxy_for(url) is None


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [
        ("api.example.com", API, True),
        ("API.EXAMPLE.COM", API, True),
        ("example.com", API, True),
        (".example.com", API, True),
        ("*.example.com", API, True),
        ("other.org, example.com", API, True),
        ("other.org example.com", API, True),
        ("*", API, True),
        ("other.org,*", API, True),
        ("ample.com", API, False),
        ("com.evil", API, False),
        ("api.example.com.evil", API, False),
        ("", API, False),
        (",", API, False),
        ("api.example.com:443", API, True),
        ("example.com:8443", API, False),
        ("example.com:8443", "https://api.example.com:8443/v1", True),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.0.0.5", "https://10.0.0.5/v1", True),
        ("10.0.0.5:443", "https://10.0.0.5/v1", True),
        ("10.0.0.5:1", "https://10.0.0.5/v1", False),
        ("10.0.0.0/8", API, False),
        ("fd00::/8", "https://[fd00::5]/v1", True),
        ("[fd00::5]", "https://[fd00::5]/v1", True),
        ("[fd00::5]:443", "https://[fd00::5]/v1", True),
        ("fd00::6", "https://[fd00::5]/v1", False),
        ("0.0.5", "https://10.0.0.5/v1", False),
        ("example.com", "https://api.example.com./v1", True),
    ],
)
def test_no_proxy_excepts_hosts_domains_addresses_networks_and_ports(monkeypatch, exceptions, url, direct):
    """The rules that curl and Go share; a suffix counts from a dot on."""
    monkeypatch.setenv("HTTPS_PROXY", "http://p:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert (proxy_for(url) is None) is direct


def test_credentials_are_decoded_and_shown_nowhere(monkeypatch):
    """What a traceback or a log could show of a proxy holds neither name nor password."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me%40corp:s%2Fcret@p:3128")

    proxy = proxy_for(API)

    assert proxy == ("http://p:3128", "me@corp", "s/cret")
    assert "cret" not in repr(proxy)
    assert "corp" not in repr(proxy)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks5://me:secret@p:1080"),
        ("ALL_PROXY", "socks5h://p:1080"),
        ("ALL_PROXY", "socks4://p:1080"),
        ("HTTPS_PROXY", "socks://p:1080"),
    ],
)
def test_a_socks_proxy_is_refused_by_name_with_what_to_do(monkeypatch, name, value):
    """It would be ignored else, and the key would go another way than was meant."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=rf"^{name}: a socks\w*:// proxy cannot be used; .*NO_PROXY") as caught:
        proxy_for(API)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["http://", "ftp://p:21", "http://p:99999", "http://me:secret@[p", "://", "http://p:x", "http://a%3Ab:secret@p"],
)
def test_what_is_no_proxy_is_refused(monkeypatch, value):
    """One sentence that quotes nothing, as a password may be in it."""
    monkeypatch.setenv("HTTPS_PROXY", value)

    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY: must be the URL of an HTTP proxy") as caught:
        proxy_for(API)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
