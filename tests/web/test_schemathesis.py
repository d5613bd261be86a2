"""Whatever the document allows, and much that it does not: no request makes the server fail or answer otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from config.web import Scope

EXAMPLES = 30
STREAMS = ("/events",)
"""What ends with the job only."""


@pytest.mark.promise
@pytest.mark.filterwarnings("ignore")
async def test_no_request_makes_the_server_fail_or_answer_otherwise_than_documented(served, new_token, make_job):
    """Of each operation: status, type and content are those of the document, and none is a 5xx."""
    from schemathesis import openapi
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    conforms = (checks.content_type_conformance, checks.response_schema_conformance, checks.status_code_conformance)
    headers = {"Authorization": f"Bearer {await new_token(*Scope, name='all')}"}
    await make_job("id,team\nchatcmpl-AbCdEfGhIjKlMnOpQrStUvWxY0001,x\n")
    document = await asyncio.to_thread(openapi.from_url, f"{served.url}/openapi.json")

    def fuzz(operation: Any) -> None:
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            case.call_and_validate(checks=[not_a_server_error, *conforms], headers=headers, timeout=60)

        check()

    tried = [each.ok() for each in document.get_all_operations()]
    for operation in tried:
        if not operation.path.endswith(STREAMS):
            await asyncio.to_thread(fuzz, operation)
    assert len(tried) > 20
    assert "Traceback" not in served.log.read_text()
