"""Each answer that is not a 200 becomes one of four decisions."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from completions.classify import QUOTA_CODES, classify, lacks_permission
from completions.errors import RateLimited, Refusal, Retryable, RowFailed, StopJob
from config.text import MESSAGE_CHARS, REQUEST_ID_CHARS

KEY = "sk-canary-0123456789abcdef"
REQUEST_ID = {"x-request-id": "req_1"}


def body(message="no", kind="invalid_request_error", param=None, code=None):
    """An error as the API shapes it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "error", "decision", "code"),
    [
        (400, {"param": "metadata.k", "code": "invalid_type"}, RowFailed, "invalid_type"),
        (400, {"param": "metadata", "code": "object_above_max_properties"}, RowFailed, "object_above_max_properties"),
        (400, {"param": "metadata.k", "code": "string_above_max_length"}, RowFailed, "string_above_max_length"),
        (400, {"code": "property_name_above_max_length"}, RowFailed, "property_name_above_max_length"),
        (401, {"code": "invalid_api_key"}, StopJob, "invalid_api_key"),
        (401, {"message": "You have insufficient permissions... Missing scopes: x"}, StopJob, "invalid_request_error"),
        (401, {"kind": None, "code": "401"}, StopJob, "401"),
        (403, {"kind": "request_forbidden", "code": "unsupported_country_region_territory"}, StopJob, None),
        (404, {"param": "completion_id", "code": "not_found"}, RowFailed, "not_found"),
        (404, {"param": None, "code": "not_found"}, StopJob, "unknown_url"),
        (404, {"param": "completion_id", "code": None}, RowFailed, "not_found"),
        (404, {"message": "Invalid URL (POST /v1/x)"}, StopJob, "unknown_url"),
        (404, {"message": "Invalid URL (POST /v1/x)", "code": "not_found"}, StopJob, "unknown_url"),
        (404, {"message": "Invalid URL", "code": "unknown_url"}, StopJob, "unknown_url"),
        (404, {"kind": None, "message": "Resource not found", "code": "404"}, StopJob, "unknown_url"),
        (405, {"code": "method_not_supported"}, StopJob, "method_not_supported"),
        (407, {}, StopJob, None),
        (408, {}, Retryable, None),
        (409, {}, Retryable, None),
        (429, {"kind": "requests", "code": "rate_limit_exceeded"}, RateLimited, "rate_limit_exceeded"),
        (429, {"kind": "tokens", "code": "slow_down"}, RateLimited, "slow_down"),
        (429, {"kind": "insufficient_quota", "code": "insufficient_quota"}, StopJob, "insufficient_quota"),
        (429, {"kind": "insufficient_quota", "code": None}, StopJob, "insufficient_quota"),
        (429, {"code": "credit_balance_exhausted"}, StopJob, "credit_balance_exhausted"),
        (429, {"code": "organization_spend_limit_exceeded"}, StopJob, "organization_spend_limit_exceeded"),
        (429, {"code": "project_spend_limit_exceeded"}, StopJob, "project_spend_limit_exceeded"),
        (429, {"code": "organization_usage_limit_exceeded"}, StopJob, "organization_usage_limit_exceeded"),
        (500, {"kind": "server_error"}, Retryable, "server_error"),
        (502, {"kind": "cf_bad_gateway", "code": 502}, Retryable, "502"),
        (503, {"kind": "service_unavailable_error", "code": "server_is_overloaded"}, Retryable, "server_is_overloaded"),
        (307, {}, StopJob, "redirect"),
    ],
)
def test_every_known_answer_has_its_decision(status, error, decision, code):
    """Contract section 3, row by row; status, code and request id are kept as evidence."""
    refusal = classify(status, REQUEST_ID, body(**error))

    assert type(refusal) is decision
    assert (refusal.status, refusal.request_id) == (status, "req_1")
    assert code is None or refusal.code == code


@pytest.mark.parametrize(
    ("status", "error", "lacks"),
    [
        (401, {"message": "You have insufficient permissions for this operation. Missing scopes: model.read."}, True),
        (401, {"message": "The principal lacks the required data action", "code": "PermissionDenied"}, True),
        (401, {"message": "Incorrect API key provided: [key].", "code": "invalid_api_key"}, False),
        (401, {"message": "Access denied due to invalid subscription key", "code": "401"}, False),
        (403, {"message": "Your project may not do this."}, True),
        (403, {"message": "Country not supported", "code": "unsupported_country_region_territory"}, False),
        (407, {"message": "Missing scopes"}, False),
    ],
)
def test_a_key_that_may_not_make_one_call_is_told_from_one_that_is_wrong(status, error, lacks):
    """Other calls may be allowed to it."""
    assert lacks_permission(classify(status, {}, body(**error))) is lacks


@pytest.mark.parametrize("code", sorted(QUOTA_CODES))
def test_spent_money_is_known_by_code_or_by_type(code):
    """Either place was seen; no amount of waiting mends it."""
    assert isinstance(classify(429, {}, body(code=code)), StopJob)
    assert isinstance(classify(429, {}, body(kind=code)), StopJob)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><title>502 Bad Gateway</title></html>",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b"3",
        b'"error"',
        b"{}",
        b'{"error": null}',
        b'{"error": []}',
        b'{"error": {}}',
        b'{"error": {"message": null, "code": null}}',
        b'{"error": {"message": {"a": 1}, "code": [1]}}',
        b"[" * 200_000,
        b'{"error":{"message":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"error":{"code":' + b"9" * 6000 + b"}}",
    ],
)
@pytest.mark.parametrize(
    ("status", "decision"),
    [(400, RowFailed), (401, StopJob), (404, StopJob), (429, RateLimited), (500, Retryable), (524, Retryable)],
)
def test_an_unreadable_body_leaves_the_decision_to_the_status(text, status, decision):
    """HTML, other JSON, broken text or a bomb of brackets: the status alone decides, and something is said."""
    refusal = classify(status, {}, text)

    assert type(refusal) is decision
    assert refusal.code
    assert refusal.message


def test_an_error_that_is_a_bare_string_is_its_message():
    """Some servers answer so."""
    assert classify(400, {}, b'{"error": "no such thing"}').message == "no such thing"


@pytest.mark.parametrize("place", ["message", "kind", "code"])
def test_the_key_is_never_repeated(place):
    """A server may quote the key; no part of what is kept shows it."""
    refusal = classify(401, {}, body(**{place: f"bad {KEY} here"}), secret=KEY)

    assert KEY not in refusal.message + refusal.code + str(refusal)


@pytest.mark.parametrize("key", ["sk-proj-abc123def456", "sess-abcdef123456", "rk-live_12345678"])
def test_what_looks_like_any_key_is_cut_out(key):
    """Another project's key, or a masked one, is a secret too."""
    assert key not in classify(401, {}, body(f"Incorrect API key provided: {key}.")).message


def test_a_request_id_is_bounded_and_never_shows_the_key():
    """A proxy in between may put anything there, and it is kept with the row."""
    refusal = classify(500, {"x-request-id": "r" * 90 + KEY + "\x1b]0;x\x07" + "q" * 8000}, b"", secret=KEY)

    assert KEY not in refusal.request_id
    assert refusal.request_id.isprintable()
    assert len(refusal.request_id) <= REQUEST_ID_CHARS


def test_an_id_of_hex_digits_stays_readable():
    """It is no key, and the message is of no use without it."""
    completion_id = "b7e23ec29af22b0b4e41da31e868d572"

    assert completion_id in classify(404, {}, body(f"no {completion_id}"), secret=KEY).message


def test_a_message_is_kept_short_and_on_one_line():
    """A message ends up in tables and logs."""
    refusal = classify(400, {}, body("a\nb\r\n\tc " + "x" * 5000))

    assert refusal.message.startswith("a b c x")
    assert len(refusal.message) == MESSAGE_CHARS


@pytest.mark.parametrize(("status", "ambiguous"), [(408, True), (409, False), (500, True), (502, True), (504, True)])
def test_a_server_that_failed_may_have_written(status, ambiguous):
    """Only a conflict is refused before anything is done."""
    refusal = classify(status, {}, b"")

    assert isinstance(refusal, Retryable)
    assert refusal.ambiguous is ambiguous


def test_a_failed_read_leaves_nothing_in_doubt():
    """A request that asks for no change cannot have made one."""
    refusal = classify(500, {}, b"", writes=False)

    assert isinstance(refusal, Retryable)
    assert not refusal.ambiguous


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, Retryable), (503, Retryable)])
def test_the_server_may_say_when(status, kind):
    """Retry-After is read for a 429 and for a failure."""
    refusal = classify(status, {"retry-after": "7"}, b"")

    assert isinstance(refusal, kind)
    assert refusal.retry_after == 7.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "type", "param", "code"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    status=st.integers(201, 599),
    text=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    headers=st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-request-id"]), st.text(max_size=12)),
)
def test_no_answer_is_ever_an_error_of_ours(status, text, headers):
    """Whatever comes back is one of the decisions, with a code and a message."""
    refusal = classify(status, headers, text, secret=KEY)

    assert isinstance(refusal, Refusal)
    assert refusal.code
    assert refusal.message
