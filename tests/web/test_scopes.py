"""Each endpoint with each scope, and what the document, the guide and the server say of them."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from config.web import Scope

GUIDE = (Path(__file__).parents[2] / "docs/http.md").read_text(encoding="utf-8")
NEEDED = {
    "GET /livez": None,
    "GET /readyz": None,
    "GET /v1/completions/{completion_id}/history": Scope.READ,
    "GET /v1/health": Scope.READ,
    "GET /v1/jobs": Scope.READ,
    "GET /v1/jobs/{job_id}": Scope.READ,
    "GET /v1/jobs/{job_id}/events": Scope.READ,
    "GET /v1/jobs/{job_id}/log": Scope.READ,
    "GET /v1/jobs/{job_id}/receipt": Scope.READ,
    "GET /v1/jobs/{job_id}/report": Scope.READ,
    "GET /v1/jobs/{job_id}/rows": Scope.READ,
    "GET /v1/nightly/runs": Scope.READ,
    "GET /v1/rate": Scope.READ,
    "POST /v1/jobs": Scope.SUBMIT,
    "POST /v1/jobs/{job_id}/apply": Scope.SUBMIT,
    "POST /v1/jobs/{job_id}/verify": Scope.SUBMIT,
    "POST /v1/plans": Scope.SUBMIT,
    "POST /v1/jobs/{job_id}/cancel": Scope.CONTROL,
    "POST /v1/jobs/{job_id}/pause": Scope.CONTROL,
    "POST /v1/jobs/{job_id}/resume": Scope.CONTROL,
    "POST /v1/jobs/{job_id}/retry": Scope.CONTROL,
    "POST /v1/jobs/{job_id}/undo": Scope.CONTROL,
    "PUT /v1/rate": Scope.CONTROL,
    "POST /v1/jobs/{job_id}/approve": Scope.APPROVE,
    "DELETE /v1/tokens/{name}": Scope.ADMIN,
    "GET /v1/tokens": Scope.ADMIN,
    "POST /v1/tokens": Scope.ADMIN,
}
"""What each endpoint needs; a new one is entered here."""
TOKENS = [(), *((scope,) for scope in Scope), tuple(set(Scope) - {Scope.ADMIN})]


async def operations(client):
    """Every operation of the document, by method and path."""
    document = (await client.get("/openapi.json")).json()
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


async def test_the_document_knows_each_endpoint_and_its_scope(client):
    """As the table above does."""
    found = await operations(client)

    assert {name: operation.get("x-relabel-scope") for name, operation in found.items()} == NEEDED


@pytest.mark.parametrize("scopes", TOKENS, ids=lambda scopes: "+".join(sorted(scopes)) or "none")
async def test_each_endpoint_lets_in_whoever_has_its_scope(connect, new_token, scopes):
    """And nobody else: each includes `read`, and nothing else; without a token only what needs none."""
    token = await new_token(*scopes, name="t") if scopes else ""
    async with connect(token) as client:
        for name, needed in NEEDED.items():
            method, path = name.split()
            answer = await client.request(method, re.sub(r"\{\w+\}", "none", path))
            code = answer.json().get("code") if answer.status_code >= 400 else None
            if needed is None:
                assert answer.status_code == 200, name
            elif not scopes:
                assert (answer.status_code, code) == (401, "unauthorized"), name
            else:
                permitted = needed in {Scope.READ, *scopes}
                assert (code != "missing_scope") is permitted, name
                assert permitted or answer.json()["scope"] == needed


async def test_the_guide_names_each_endpoint(client):
    """docs/http.md has a line for it, and for none that is not there."""
    named = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[\w/{}]+)`", GUIDE))

    assert named >= {re.sub(r"\{\w+\}", lambda found: found[0], name) for name in NEEDED}
    assert named <= set(await operations(client))


async def test_the_document_is_sound(client):
    """Each reference leads somewhere, each operation has a summary of its own, a name, and documented errors."""
    document = (await client.get("/openapi.json")).json()
    text = str(document)

    for reference in set(re.findall(r"#/components/schemas/(\w+)", text)):
        jsonschema.Draft202012Validator.check_schema(document["components"]["schemas"][reference])
    found = await operations(client)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    for name, operation in found.items():
        assert operation["description"], name
        assert name == "GET /livez" or any(status >= "400" for status in operation["responses"]), name
