"""Names by which Flower and the metrics may be called."""

from __future__ import annotations

import socket

import pytest

from config.hosts import is_our_host


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "LOCALHOST:9464",
        "127.0.0.1:9464",
        "10.0.0.7",
        "[::1]:9464",
        "[2001:db8::1]",
        "metrics.internal:1",
        "metrics",
        "other.",
        socket.gethostname(),
    ],
)
def test_a_name_of_ours_is_answered(header):
    """Addresses, loopback, the configured address, this machine's name and what the setting names."""
    assert is_our_host(header, address="metrics.internal", more=" metrics, Other")


@pytest.mark.parametrize(
    "header",
    ["", "rebound.example", "rebound.example:9464", "localhost.rebound.example", "[::1", "127.0.0.1.example", "a@b@c"],
)
def test_any_other_name_is_not(header):
    """It is that of a page which had its name lead here."""
    assert not is_our_host(header, address="127.0.0.1", more=None)
