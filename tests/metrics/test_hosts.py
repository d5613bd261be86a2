"""Who may call the metrics by which name: a real endpoint, with no Redis behind it."""

from __future__ import annotations

import http.client

import pytest

from config.settings import Settings
from metrics.endpoint import endpoint


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("10.1.2.3:9464", 200), ("metrics", 200), ("rebound.example", 403)]
)
def test_a_page_that_had_its_name_lead_here_is_refused(host, status):
    """DNS rebinding: the request comes from a browser of this machine, by a name that is not ours."""
    settings = Settings.model_validate(
        {"redis": {"url": "redis://127.0.0.1:1/0"}, "metrics": {"allowed_hosts": "metrics"}}
    )
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/metrics", headers={"Host": host})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()

    assert answer.status == status
    assert (b"relabel_ledger_up" in said) is (status == 200)
