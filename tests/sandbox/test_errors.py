"""Error bodies are those of the contract, section 3, byte for field."""

from __future__ import annotations

import pytest


def url(sandbox, path):
    return f"{sandbox.base_url}{path}"


async def test_an_unknown_id_names_the_completion_id(start, http):
    """The 404 of a row can be told from the 404 of a wrong address."""
    sandbox = await start()

    async with http.get(url(sandbox, "/chat/completions/comp_nonexistent_12345")) as answer:
        body = await answer.json()

    assert answer.status == 404
    assert body == {
        "error": {
            "message": "Completion comp_nonexistent_12345 not found",
            "type": "invalid_request_error",
            "param": "completion_id",
            "code": "not_found",
        }
    }


@pytest.mark.parametrize("path", ["/chat/completion/x", "/chat/completions/", "/chat/completions/x/y", "/models"])
async def test_an_unknown_url_is_said_to_be_one(start, http, path):
    """A path the API does not have is refused with method and path, and no code."""
    sandbox = await start()

    async with http.post(url(sandbox, path), json={"metadata": {}}) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["message"], error["param"], error["code"]) == (
        404,
        f"Invalid URL (POST /v1{path})",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("PUT", "/chat/completions/x", "Only GET, POST and DELETE requests are accepted."),
        ("DELETE", "/chat/completions", "Only GET and POST requests are accepted."),
        ("POST", "/chat/completions/x/messages", "Only GET requests are accepted."),
    ],
)
async def test_a_method_the_path_does_not_take_is_405(start, http, method, path, message):
    """The 405 says which methods are accepted."""
    sandbox = await start()

    async with http.request(method, url(sandbox, path)) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["message"], error["code"]) == (405, message, "method_not_supported")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"api-key": ""}])
async def test_a_request_without_a_key_is_401(start, completion_id, headers):
    """No key and an empty key are refused alike."""
    import aiohttp

    sandbox = await start()

    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(url(sandbox, f"/chat/completions/{completion_id}")) as answer,
    ):
        error = (await answer.json())["error"]

    assert (answer.status, error["type"]) == (401, "invalid_request_error")


async def test_a_wrong_key_is_never_repeated_whole(start, completion_id):
    """Like the API the refusal shows the ends of the key only."""
    import aiohttp

    sandbox = await start(api_key="right")
    key = "sk-canary-0123456789-secret"

    async with (
        aiohttp.ClientSession(headers={"api-key": key}) as session,
        session.get(url(sandbox, f"/chat/completions/{completion_id}")) as answer,
    ):
        text = await answer.text()

    assert (answer.status, "invalid_api_key" in text, key in text) == (401, True, False)


@pytest.mark.parametrize(
    ("metadata", "code", "param", "words"),
    [
        ({"k": 1}, "invalid_type", "metadata.k", "expected a string, but got an integer instead"),
        ({"k": None}, "invalid_type", "metadata.k", "but got null instead"),
        ({"k": True}, "invalid_type", "metadata.k", "but got a boolean instead"),
        ({"k": 1.5}, "invalid_type", "metadata.k", "but got a decimal instead"),
        ({"k": ["v"]}, "invalid_type", "metadata.k", "but got an array instead"),
        ({"k": {"v": "w"}}, "invalid_type", "metadata.k", "but got an object instead"),
        ("text", "invalid_type", "metadata", "expected an object, but got a string instead"),
        ({str(n): "" for n in range(17)}, "object_above_max_properties", "metadata", "too many properties"),
        ({"k": "v" * 513}, "string_above_max_length", "metadata.k", "string too long"),
        ({"k" * 65: "v"}, "property_name_above_max_length", "metadata", "too long"),
    ],
)
async def test_metadata_the_api_would_refuse_is_refused(start, http, completion_id, metadata, code, param, words):
    """Each rule has its code, its param and its sentence, and nothing is changed."""
    sandbox = await start()

    async with http.post(url(sandbox, f"/chat/completions/{completion_id}"), json={"metadata": metadata}) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["type"], error["code"], error["param"]) == (400, "invalid_request_error", code, param)
    assert words in error["message"]
    assert sandbox.store.metadata(completion_id) == {"team": "blue"}


async def test_metadata_at_the_limits_is_accepted(start, http, completion_id):
    """Lengths are counted in characters: 64 and 512 wide ones fit, 16 times."""
    sandbox = await start()
    metadata = {f"{n:x}" + "é" * 63: "ü" * 512 for n in range(16)}

    async with http.post(url(sandbox, f"/chat/completions/{completion_id}"), json={"metadata": metadata}) as answer:
        body = await answer.json()

    assert (answer.status, body["metadata"]) == (200, metadata)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", None),
        (b'{"metadata": {"k": "v"', None),
        (b'{"metadata": {"k": "\xff"}}', None),
        (b"[]", None),
        (b"{}", "missing_required_parameter"),
        (b'{"metadata": {}, "model": "x"}', "unknown_parameter"),
    ],
)
async def test_a_body_that_is_no_update_is_400(start, http, completion_id, body, code):
    """Broken JSON, a missing and an unknown field are each refused."""
    sandbox = await start()

    async with http.post(url(sandbox, f"/chat/completions/{completion_id}"), data=body) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"]) == (400, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=101", "integer_above_max_value"),
        ("limit=0", "integer_below_min_value"),
        ("limit=ten", "invalid_type"),
        ("order=up", "invalid_value"),
        ("after=nothing", "not_found"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused(start, http, query, code):
    """Limit, order and cursor are checked."""
    sandbox = await start()

    async with http.get(url(sandbox, f"/chat/completions?{query}")) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"]) == (404 if code == "not_found" else 400, code)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"model": "m"}, "missing_required_parameter"),
        ({"model": "m", "messages": "hello"}, "invalid_type"),
        ({"model": "m", "messages": [], "stream": True}, "unsupported_value"),
        ({"model": "m", "messages": [], "metadata": {"k": "v"}}, None),
        ({"model": "m", "messages": [], "store": True, "metadata": {"k": 1}}, "invalid_type"),
    ],
)
async def test_a_create_that_cannot_be_answered_is_refused(start, http, body, code):
    """Metadata without store is refused as the API does, and so is what the sandbox cannot do."""
    sandbox = await start()

    async with http.post(url(sandbox, "/chat/completions"), json=body) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"]) == (400, code)


@pytest.mark.parametrize("path", ["/chat/completions/chatcmpl-none", "/nothing", "/chat/completions"])
async def test_every_answer_carries_its_request_id(start, http, path):
    """Errors have `x-request-id` and `openai-processing-ms` like any answer, and the log has the same id."""
    sandbox = await start()

    async with http.get(url(sandbox, path), headers={"X-Client-Request-Id": "job-1"}) as answer:
        await answer.read()

    assert answer.headers["x-request-id"] == sandbox.log.entries[0].request_id
    assert answer.headers["openai-processing-ms"].isdigit()
    assert sandbox.log.entries[0].client_request_id == "job-1"
