"""The two calls over real HTTP: what is sent, what is made of the answer, and that every call ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
import subprocess
import time
import tracemalloc
import zlib

import pytest

from completions.client import open_api
from completions.errors import KeyRefused, NotSent, RateLimited, Refusal, Retryable, RowFailed, StopJob
from completions.target import Target

ODD_IDS = [
    "a/b",
    "a?b",
    "a#b",
    "a%2Fb",
    "%2F",
    "..x",
    "a..b",
    "...",
    "a+b",
    "a&b=c",
    "a;b",
    "a:b@c",
    "\\..\\x",
    "~tilde!*'()",
    "æøå-Ω-日本語-🙂",
    "e\u0301",
    "x" * 255,
    "/",
    "//example.com/x",
    "chatcmpl-abc/messages",
]


@contextlib.asynccontextmanager
async def calling(base_url, key, **options):
    """A client for the API at this URL."""
    async with open_api(Target(base_url, key, **options), in_flight=8) as api:
        yield api


@pytest.fixture
async def serve():
    """Start a small TCP server that handles each connection by hand; gives its port."""
    servers, connections = [], set()

    async def start(handle, **options):
        async def once(reader, writer):
            connections.add(asyncio.current_task())
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
            writer.close()

        servers.append(await asyncio.start_server(once, "127.0.0.1", 0, **options))
        return servers[-1].sockets[0].getsockname()[1]

    yield start
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    for server in servers:
        server.close()
        await server.wait_closed()


async def request_of(reader):
    """The head of a request and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line), 0)
    return head, await reader.readexactly(length)


def answer_of(body, status="200 OK", headers=()):
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(body, **options):
    """A handler that answers each request so."""

    async def handle(reader, writer):
        while True:
            await request_of(reader)
            writer.write(answer_of(body, **options))
            await writer.drain()

    return handle


# --- what is sent ---


@pytest.mark.parametrize("completion_id", ODD_IDS)
async def test_an_odd_id_reaches_exactly_one_completion(sandbox, key, completion_id):
    """Whatever the id holds, it stays one segment of the path, for the read and for the update."""
    sandbox.store.load({completion_id: {"a": "1"}})
    async with calling(sandbox.base_url, key) as api:
        read = await api.read(completion_id, request_name="1")
        await api.update(completion_id, {"b": "2"}, request_name="2")

    assert read.metadata == {"a": "1"}
    assert sandbox.store.metadata(completion_id) == {"b": "2"}
    assert [(entry.operation, entry.id) for entry in sandbox.log.entries] == [
        ("get", completion_id),
        ("update", completion_id),
    ]
    assert {entry.path.count("/") for entry in sandbox.log.entries} == {4}


@pytest.mark.parametrize(
    ("options", "present", "absent"),
    [
        ({}, ["authorization: bearer sk-canary-key-0123456789"], ["api-key", "openai-organization", "openai-project"]),
        ({"auth": "api-key"}, ["api-key: sk-canary-key-0123456789"], ["authorization"]),
        (
            {"organization": "org-1", "project": "proj_2"},
            ["openai-organization: org-1", "openai-project: proj_2"],
            ["api-key"],
        ),
    ],
)
async def test_each_request_carries_the_headers_that_were_asked_for(serve, key, options, present, absent):
    """The key in the header of the profile, the organisation and project only where they are set, JSON as JSON."""
    heads = []

    async def handle(reader, writer):
        head, body = await request_of(reader)
        heads.append((head.lower(), body))
        writer.write(answer_of(b'{"id": "x", "metadata": {}}'))
        await writer.drain()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}/v1", key, **options) as api:
        await api.update("x", {"k": "é"}, request_name="name-1")

    head, body = heads[0]
    lines = head.splitlines()
    assert lines[0] == "post /v1/chat/completions/x http/1.1"
    assert [line for line in present if line not in lines] == []
    assert [line for line in lines if line.split(":")[0] in absent] == []
    assert {"content-type: application/json", "x-client-request-id: name-1", f"content-length: {len(body)}"} <= set(
        lines
    )
    assert "cookie" not in head
    assert body.decode() == '{"metadata":{"k":"é"}}'


async def test_an_api_version_is_part_of_the_query(serve, key):
    """Azure's older paths need it; it is encoded."""
    heads = []

    async def handle(reader, writer):
        heads.append((await request_of(reader))[0])
        writer.write(answer_of(b'{"id": "x", "metadata": {}}'))
        await writer.drain()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}/openai", key, version="2025-02-01-preview&x") as api:
        await api.read("x", request_name="1")

    assert heads[0].startswith("GET /openai/chat/completions/x?api-version=2025-02-01-preview%26x HTTP/1.1")


async def test_every_request_of_a_job_has_a_name_of_its_own(harness, completion_id):
    """X-Client-Request-Id is unique and ASCII, over rows, tries and turns, and tells the job."""
    ids = [f"{completion_id[:-2]}{n}" for n in range(10, 40)]
    harness.sandbox.store.load({each: {} for each in ids})
    harness.fault("error_500", times=10)
    job_id = await harness.submit(*((each, {"k": "v"}) for each in ids))

    await harness.turn(job_id)

    names = [entry.client_request_id for entry in harness.sent()]
    assert len(set(names)) == len(names) >= 60
    assert all(name.isascii() and len(name) <= 512 and name.startswith(job_id) for name in names)


async def test_no_log_line_shows_an_id_or_the_key(sandbox, key, completion_id, caplog):
    """Neither ours nor a library's, whatever the level."""
    caplog.set_level(logging.DEBUG)
    async with calling(sandbox.base_url, key) as api:
        await api.read(completion_id, request_name="1")
        sandbox.add_faults(rules=[{"fault": "unauthorized"}])
        with pytest.raises(StopJob):
            await api.update(completion_id, {"k": "canary-value"}, request_name="2")

    said = "\n".join(record.getMessage() for record in caplog.records)
    assert [word for word in (completion_id, key, "canary-value", "/chat/completions") if word in said] == []


# --- what is made of an answer ---


@pytest.mark.parametrize(
    ("fault", "kind", "code", "write_in_doubt"),
    [
        ("error_500", Retryable, "server_error", True),
        ("error_500_after", Retryable, "server_error", True),
        ("reset_before", Retryable, "network", True),
        ("reset_after", Retryable, "network", True),
        ("hang", Retryable, "timeout", True),
        ("hang_after", Retryable, "timeout", True),
        ("html_502", Retryable, "http_502", True),
        ("bad_body_html", Retryable, "bad_response", True),
        ("bad_body_truncated", Retryable, "bad_response", True),
        ("bad_body_other_id", Retryable, "bad_response", True),
        ("redirect", StopJob, "redirect", None),
        ("unauthorized", KeyRefused, "invalid_api_key", None),
        ("quota", StopJob, "insufficient_quota", None),
        ("rate_limited", RateLimited, "rate_limit_exceeded", None),
    ],
)
@pytest.mark.parametrize("write", [True, False])
async def test_every_fault_becomes_its_decision(sandbox, key, completion_id, fault, kind, code, write_in_doubt, write):
    """The right class and code; only a write that may have been carried out is in doubt."""
    sandbox.add_faults(rules=[{"fault": fault}])
    async with calling(sandbox.base_url, key, timeout_s=0.5 if code == "timeout" else 30) as api:
        call = (
            api.update(completion_id, {"k": "v"}, request_name="1")
            if write
            else api.read(completion_id, request_name="1")
        )
        with pytest.raises(Refusal) as caught:
            await call

    refusal = caught.value
    assert (type(refusal), refusal.code) == (kind, code)
    assert getattr(refusal, "ambiguous", None) == (write_in_doubt and write)
    assert len(sandbox.log.entries) == 1 or not write


async def test_a_missing_completion_is_the_rows_own_failure(sandbox, key):
    """With the server's id of the request."""
    async with calling(sandbox.base_url, key) as api:
        with pytest.raises(RowFailed) as caught:
            await api.read("chatcmpl-none", request_name="1")

    assert (caught.value.code, caught.value.status) == ("not_found", 404)
    assert caught.value.request_id == sandbox.log.entries[0].request_id


async def test_a_wrong_path_stops_the_job(sandbox, key, completion_id):
    """A server without the route says 404 for every row; none of them is to blame."""
    async with calling(f"{sandbox.address}/v2", key) as api:
        with pytest.raises(StopJob):
            await api.read(completion_id, request_name="1")


@pytest.mark.parametrize(
    ("body", "headers", "metadata"),
    [
        (b'{"id":"x","metadata":{"a":"1"},"new_field":[1,{}],"choices":null}', (), {"a": "1"}),
        (b'{"id":"x","metadata":{}}', (), {}),
        (zlib.compress(b'{"id":"x","metadata":{"a":"1"}}'), ("Content-Encoding: deflate",), {"a": "1"}),
        (zlib.compress(b'{"id":"x","metadata":{"a":"1"}}', wbits=-15), ("Content-Encoding: deflate",), {"a": "1"}),
        (b'{"id":"x","metadata":{"a":"1"}}', ("Content-Encoding: utf-8",), {"a": "1"}),
    ],
)
async def test_a_completion_is_read_leniently(serve, key, body, headers, metadata):
    """Stored objects break the schema (contract section 1); only id and metadata matter."""
    port = await serve(answers(body, headers=headers))
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        assert (await api.read("x", request_name="1")).metadata == metadata


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", ()),
        (b"null", ()),
        (b"[]", ()),
        (b'{"id":1,"metadata":{}}', ()),
        (b'{"metadata":{}}', ()),
        (b'{"id":"x","metadata":{"a":"\xff"}}', ()),
        (b'{"id":"x","extra":' + b"[" * 200_000, ()),
        (b'{"id":"x","metadata":{}}', ("Content-Encoding: gzip",)),
        (b"not deflated", ("Content-Encoding: deflate",)),
        (b'{"id":"X","metadata":{}}', ()),
    ],
)
async def test_a_200_with_a_body_that_is_no_completion_is_tried_again(serve, key, body, headers):
    """An update may have been carried out all the same."""
    port = await serve(answers(body, headers=headers))
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        with pytest.raises(Retryable) as caught:
            await api.update("x", {}, request_name="1")
        with pytest.raises(Retryable) as caught_reading:
            await api.read("x", request_name="2")

    assert (caught.value.code, caught.value.ambiguous) == ("bad_response", True)
    assert (caught_reading.value.code, caught_reading.value.ambiguous) == ("bad_response", False)


# --- bodies without an end ---


def bomb(mebibytes):
    """A body of a few bytes that becomes so large."""
    return zlib.compress(b" " * (mebibytes << 20))


async def endless(reader, writer, status="200 OK"):
    """Answer with a body that never ends."""
    await request_of(reader)
    writer.write(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


@pytest.mark.parametrize(
    "make",
    [
        lambda: bomb(64),
        lambda: bomb(64)[:-9],
        lambda: zlib.compress(b"")[:2] + b"\0\0\0\xff\xff" * 200_000,
        lambda: b'{"id":"x","metadata":{"a":"' + b"1" * 70_000 + b'"}}',
        lambda: b'{"id":"x","metadata":{},"choices":"' + b" " * (5 << 20) + b'"}',
    ],
    ids=["bomb", "bomb cut short", "nothing in many blocks", "metadata", "plain"],
)
async def test_a_body_that_is_too_large_is_tried_again_and_takes_little_memory(serve, key, make):
    """Whether it is large as sent or only when it is decompressed; a write is in doubt then."""
    body = make()
    compressed = not body.startswith(b"{")
    port = await serve(answers(body, headers=("Content-Encoding: deflate",) * compressed))
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        tracemalloc.start()
        try:
            with pytest.raises(Retryable) as caught:
                await api.update("x", {}, request_name="1")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert (caught.value.code, caught.value.status, caught.value.ambiguous) == ("bad_response", 200, True)
    assert peak < 24 << 20


async def test_a_body_is_decompressed_in_steps_that_leave_the_event_loop_free(serve, key):
    """Else leases would lapse meanwhile; a body of 3 MiB takes many turns of the loop."""
    body = b'{"id":"x","metadata":{"a":"1"},"choices":"' + b" " * (3 << 20) + b'"}'
    port = await serve(answers(zlib.compress(body), headers=("Content-Encoding: deflate",)))
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with calling(f"http://127.0.0.1:{port}", key) as api:
        await api.read("x", request_name="1")
        counting = asyncio.create_task(count())
        assert (await api.read("x", request_name="2")).metadata == {"a": "1"}
        counting.cancel()

    assert turns > 40


@pytest.mark.parametrize(
    ("status", "kind"), [("200 OK", Retryable), ("429 Slow Down", RateLimited), ("401 No", StopJob)]
)
async def test_a_body_without_an_end_is_cut_off(serve, key, status, kind):
    """The status still decides, and the connection is closed."""
    closed = asyncio.Event()

    async def handle(reader, writer):
        try:
            await endless(reader, writer, status)
        finally:
            closed.set()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        with pytest.raises(Refusal) as caught:
            await api.read("x", request_name="1")
        await asyncio.wait_for(closed.wait(), 30)

    assert isinstance(caught.value, kind)
    assert caught.value.status == int(status[:3])


async def test_only_codings_that_are_decoded_within_bounds_are_asked_for(serve, key):
    """Others would be decoded by whatever library is installed."""
    heads = []

    async def handle(reader, writer):
        heads.append((await request_of(reader))[0].lower())
        writer.write(answer_of(zlib.compress(b'{"id":"x"}', wbits=31), headers=("Content-Encoding: GZip",)))
        await writer.drain()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        await api.read("x", request_name="1")

    assert "accept-encoding: gzip, deflate\r\n" in heads[0]


@pytest.mark.parametrize(
    "shown", ["", ',"metadata":null', ',"metadata":[]', ',"metadata":{"a":1}', ',"metadata":{"a":null}']
)
async def test_an_answer_that_shows_no_metadata_is_told_from_one_that_shows_none_is_held(serve, key, shown):
    """It is the completion's answer and no error; null is told from what is left out or is no map of texts."""
    port = await serve(answers(f'{{"id":"x"{shown}}}'.encode()))
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        replies = [await api.update("x", {}, request_name="1"), await api.read("x", request_name="2")]

    assert [(reply.metadata, reply.is_null) for reply in replies] == [(None, "null" in shown and "{" not in shown)] * 2


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"\x00\x01\x02",
        b"",
    ],
)
async def test_what_is_not_http_is_a_lost_connection(serve, key, bytes_sent):
    """No answer of a server, however broken, is an error of ours."""

    async def handle(reader, writer):
        await request_of(reader)
        writer.write(bytes_sent)
        await writer.drain()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key, timeout_s=30) as api:
        with pytest.raises(Retryable) as caught:
            await api.update("x", {}, request_name="1")

    assert (caught.value.code, caught.value.ambiguous) == ("network", True)


async def test_a_redirect_is_not_followed(serve, key):
    """Neither the key nor the metadata goes where the server points."""
    visits = []

    async def elsewhere(reader, writer):
        visits.append(await request_of(reader))

    other = await serve(elsewhere)
    location = f"Location: http://127.0.0.1:{other}/v1/chat/completions/x"
    port = await serve(answers(b"", status="307 Temporary Redirect", headers=(location,)))
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        for call in (api.read("x", request_name="1"), api.update("x", {}, request_name="2")):
            with pytest.raises(StopJob):
                await call

    assert visits == []


async def test_answers_that_only_inform_are_passed_over(serve, key):
    """The one that counts follows them (RFC 9110, section 15.2)."""

    async def handle(reader, writer):
        await request_of(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        writer.write(answer_of(b'{"id": "x", "metadata": {"a": "1"}}'))
        await writer.drain()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        assert (await api.read("x", request_name="1")).metadata == {"a": "1"}


async def test_a_header_with_the_end_of_a_line_is_not_sent(serve, key):
    """It could be read as another header, or as another request."""
    port = await serve(silence)
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        with pytest.raises(ValueError, match="end of a line"):
            await api.read("x", request_name="1\r\nX-Other: 2")


async def test_a_connection_that_the_server_closes_is_not_used_again(serve, key):
    """Whether it says so or not, the next request opens another one."""
    opened = []

    async def handle(reader, writer):
        opened.append(await request_of(reader))
        headers = ("Connection: close",) if len(opened) == 1 else ()
        writer.write(answer_of(b'{"id": "x", "metadata": {}}', headers=headers))
        await writer.drain()
        if len(opened) == 1:
            await asyncio.Event().wait()  # left to the client to close

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key) as api:
        for name in ("1", "2"):
            await api.read("x", request_name=name)

    assert len(opened) == 2


# --- every call ends ---


async def silence(reader, _writer):
    """Take the request and never answer."""
    await request_of(reader)
    await asyncio.Event().wait()


async def dripping(reader, writer):
    """Answer a byte at a time, for ever."""
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def dripping_to_the_end(reader, writer):
    """Answer a byte at a time, in a body that only the end of the connection ends."""
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def dripping_headers(reader, writer):
    """Never come to the end of the headers."""
    await request_of(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("handle", [silence, dripping, dripping_to_the_end, dripping_headers])
async def test_a_call_ends_at_its_deadline_whatever_the_server_does(serve, key, handle):
    """The deadline is for the request in all, so bytes that drip do not lengthen it."""
    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key, timeout_s=0.4) as api:
        started = time.monotonic()
        with pytest.raises(Retryable) as caught:
            await asyncio.wait_for(api.update("x", {}, request_name="1"), 60)

    assert (caught.value.code, caught.value.ambiguous) == ("timeout", True)
    assert time.monotonic() - started >= 0.35


async def test_a_call_that_timed_out_frees_its_connection(serve, key):
    """After as many hanging calls as there are connections, the next one still goes out."""
    seen = []

    async def handle(reader, writer):
        seen.append(await request_of(reader))
        if len(seen) > 8:
            writer.write(answer_of(b'{"id": "x", "metadata": {}}'))
            await writer.drain()
        await asyncio.Event().wait()

    port = await serve(handle)
    async with calling(f"http://127.0.0.1:{port}", key, timeout_s=1.5) as api:
        hanging = [api.update("x", {}, request_name=str(n)) for n in range(8)]
        assert all(isinstance(end, Retryable) for end in await asyncio.gather(*hanging, return_exceptions=True))

        await api.read("x", request_name="last")


# --- a connection that cannot be made ---


async def test_a_refused_connection_leaves_nothing_in_doubt(serve, key):
    """The request never left, so the row can be sent again without a read."""

    async def never(_reader, _writer):
        raise AssertionError("nobody can come here")

    port = await serve(never)
    closed = await asyncio.start_server(never, "127.0.0.1", 0)
    free = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    assert free != port
    async with calling(f"http://127.0.0.1:{free}", key) as api:
        with pytest.raises(Retryable) as caught:
            await api.update("x", {}, request_name="1")

    assert (caught.value.code, caught.value.ambiguous) == ("network", False)


async def test_a_host_without_an_address_is_tried_again(key):
    """Name servers fail and come back; nothing was sent (RFC 2606 keeps `.invalid` out of the DNS)."""
    async with calling("https://api.invalid/v1", key) as api:
        with pytest.raises(Retryable) as caught:
            await api.update("x", {}, request_name="1")

    assert caught.value.code in {"dns", "network"}
    assert not caught.value.ambiguous
    assert key not in str(caught.value)


@pytest.fixture
def certificate(tmp_path):
    """A certificate that nobody signed but its owner."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make a certificate with")
    key_file, certificate_file = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key_file), "-out", str(certificate_file), "-days", "1"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    return context


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_certificate_that_nobody_vouches_for_stops_the_job(serve, key, certificate):
    """It is never accepted, and the reason says what to mend."""
    visits = []

    async def handle(reader, _writer):
        visits.append(await request_of(reader))

    port = await serve(handle, ssl=certificate)
    async with calling(f"https://127.0.0.1:{port}/v1", key) as api:
        with pytest.raises(StopJob) as caught:
            await api.update("x", {}, request_name="1")

    assert caught.value.code == "tls"
    assert "certificate" in caught.value.message
    assert visits == []


async def test_an_update_that_may_not_leave_any_more_is_not_sent(sandbox, completion_id, key):
    """It is asked when the connection is there, and neither headers nor body leave; the next one does."""
    async with calling(sandbox.base_url, key) as api:
        with pytest.raises(NotSent):
            await api.update(completion_id, {"k": "v"}, request_name="n", may_leave=lambda: False)
        assert sandbox.log.total == 0
        reply = await api.update(completion_id, {"k": "v"}, request_name="n", may_leave=lambda: True)

    assert reply.metadata == {"k": "v"}
    assert sandbox.log.total == 1
