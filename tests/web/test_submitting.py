"""Submitting over HTTP: files, forms, rows as JSON; previews, questions, keys; and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from contextlib import AsyncExitStack

import pytest

from cli.commands.submit import submit_command
from config.groups import InputSettings
from config.web import Scope
from ledger.keys import JOBS
from ledger.row_reader import read_rows
from tests.harness.compress import zst
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.web.conftest import in_process, settings_of
from web.refusals import Refusal
from web.submit_endpoints import UPLOADS_OF_ONE, UploadTurns
from web.submit_options import SubmitOptions

IDS = PatchRows(5).ids
CSV = ("id,team\n" + "".join(f"{each},t{number}\n" for number, each in enumerate(IDS))).encode()
ROWS = [{"id": each, "metadata": {"team": f"t{number}"}} for number, each in enumerate(IDS)]
NDJSON = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
BAD = b"id,team\nbad id,x\nanother bad,y\n"


async def patches(ledger, job_id):
    """What a job is to apply."""
    spec = (await ledger.jobs.get(job_id)).spec
    return {row.patch.completion_id: row.patch.metadata async for row in read_rows(ledger.redis, spec)}


def typed(kind, **more):
    """Headers of a body."""
    return {"Content-Type": kind, **more}


BODIES = {
    "csv": {"content": CSV, "headers": typed("text/csv; charset=utf-8")},
    "ndjson": {"content": NDJSON, "headers": typed("application/x-ndjson")},
    "told by its content": {"content": NDJSON, "headers": typed("application/octet-stream")},
    "gzip": {"content": gzip.compress(CSV), "headers": typed("text/csv", **{"Content-Encoding": "gzip"})},
    "zstd": {"content": zst(NDJSON), "headers": typed("application/x-ndjson", **{"Content-Encoding": "zstd"})},
    "compressed without a word": {"content": gzip.compress(CSV), "headers": typed("application/gzip")},
    "rows as JSON": {"json": {"rows": ROWS, "name": "patches.csv"}},
    "rows as JSON, gzip": {
        "content": gzip.compress(json.dumps({"rows": ROWS}, indent=1).encode()),
        "headers": typed("application/json", **{"Content-Encoding": "gzip"}),
    },
    "form": {"files": {"file": ("patches.csv", CSV)}},
    "form of a compressed file": {"files": {"file": ("patches.jsonl.gz", gzip.compress(NDJSON))}},
    "form of two files": {
        "files": [("file", ("a.csv", CSV[:60].rpartition(b"\n")[0] + b"\n")), ("file", ("b.csv", CSV))]
    },
    "form without a name": {"files": {"file": ("blob", CSV)}, "data": {"priority": "high"}},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_whatever_the_body_is_the_rows_are_the_same(client, ledger, body):
    """201 with the job, and where it is."""
    answer = await client.post("/v1/jobs", **body)

    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['job_id']}"
    assert (job["object"], job["kind"], job["state"], job["by"]) == ("job", "file", "running", "ada (token all)")
    assert job["rejected_total"] == 0
    assert await patches(ledger, job["job_id"]) == {each: {"team": f"t{n}"} for n, each in enumerate(IDS)}


async def test_the_same_content_is_submitted_once(client):
    """200 with the job that has it; `again` makes another one."""
    made = [await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}) for _ in range(2)]
    again = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, data={"again": "true"})

    assert [answer.status_code for answer in made] == [201, 200]
    assert made[0].json()["job_id"] == made[1].json()["job_id"] == made[1].headers["location"].rpartition("/")[2]
    assert again.status_code == 201
    assert again.json()["job_id"] != made[0].json()["job_id"]


async def test_options_are_those_of_the_command(client, ledger):
    """As form fields, members of JSON, or query parameters."""
    fields = {"mode": "replace", "rate": "10/s", "max_failures": "5%", "priority": "low", "name": "my job",
              "undo": "false", "hold": "true", "columns": ["kind=team"], "null": ["t0"]}  # fmt: skip
    by_form = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, data=fields)
    by_query = await client.post("/v1/jobs", content=CSV, headers=typed("text/csv"), params=fields | {"again": "true"})
    by_json = await client.post(
        "/v1/jobs", json={"rows": ROWS, **fields, "undo": False, "hold": True, "again": True, "columns": []}
    )

    for answer in (by_form, by_query, by_json):
        assert answer.status_code == 201, answer.text
        job = answer.json()
        assert (job["mode"], job["state"], job["rate_per_minute"]) == ("replace", "held", 600)
        assert (job["priority"], job["name"]) == ("low", "my job")
        spec = (await ledger.jobs.get(job["job_id"])).spec
        assert (spec.journal, spec.max_failures) == (False, "5%")
    assert (await patches(ledger, by_form.json()["job_id"]))[IDS[1]] == {"kind": "t1"}


def test_every_option_of_the_command_is_a_parameter():
    """By the same name in snake case; what is left has another form over HTTP."""
    of_command = {option.opts[0].removeprefix("--").replace("-", "_") for option in submit_command.params}
    elsewhere = {"files": "the body", "yes": "confirm", "wait": "GET /v1/jobs/{job_id}/events", "json": "always"}

    assert of_command - set(elsewhere) == set(SubmitOptions.model_fields) - {"confirm"}


async def test_a_check_returns_the_preview_and_stores_nothing(client, ledger, relabel, tmp_path):
    """That of `submit --check --json`."""
    (tmp_path / "x.csv").write_bytes(CSV)
    printed = json.loads((await relabel("submit", "x.csv", "--check", "--json", RELABEL_RATE__NAME="tests")).out)
    before = await ledger.redis.keys("*")

    answer = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, data={"check": "true"})

    assert answer.status_code == 200
    assert answer.json() == {"object": "preview"} | printed
    assert {*await ledger.redis.keys("*")} - {b"relabel:tokens:used"} == {*before}


async def test_rejected_rows_are_counted_and_their_places_told(client):
    """The others go on; `strict` refuses all, and so does an input without a valid row."""
    body = CSV + b"bad id,x\n,y\n"
    answer = await client.post("/v1/jobs", files={"file": ("x.csv", body)})
    strict = await client.post("/v1/jobs", files={"file": ("x.csv", body)}, data={"strict": "true"})
    none = await client.post("/v1/jobs", files={"file": ("x.csv", BAD)})
    number = await client.post("/v1/jobs", json={"rows": [{"id": PatchRows(1).ids[0], "metadata": {"n": 5}}]})

    assert (answer.status_code, answer.json()["rejected_total"], answer.json()["rows"]["total"]) == (201, 2, 7)
    assert [place["line"] for place in answer.json()["rejections"]] == [7, 8]
    for refusal, total in ((strict, 2), (none, 2)):
        assert (refusal.status_code, refusal.json()["code"]) == (422, "rows_rejected")
        assert refusal.json()["rejected_total"] == total
        assert len(refusal.json()["rejections"]) == total
        assert "bad id" not in refusal.text
    assert "use stringify to send its text" in number.json()["detail"]
    assert "use stringify to send its text" in number.json()["rejections"][0]["reason"]


async def test_what_a_terminal_would_ask_is_to_be_confirmed(client, ledger):
    """422 with the questions and the preview; the same request with their codes is submitted."""
    body = b"id,index\n" + b"".join(f"{each},{n}\n".encode() for n, each in enumerate(PatchRows(30).ids))
    asked = await client.post("/v1/jobs", files={"file": ("x.csv", body)})

    assert (asked.status_code, asked.json()["code"]) == (422, "needs_confirmation")
    codes = [question["code"] for question in asked.json()["questions"]]
    assert codes == ["index_column"]
    assert "name the keys with columns" in asked.json()["detail"]
    assert " --" not in str(asked.json()["questions"])
    assert asked.json()["preview"]["completions"] == 30
    assert not await ledger.redis.exists(JOBS)
    confirmed = await client.post("/v1/jobs", files={"file": ("x.csv", body)}, data={"confirm": ",".join(codes)})
    assert confirmed.status_code == 201


UNREADABLE = {
    "an empty body": ({"content": b"", "headers": typed("text/csv")}, "unreadable_file"),
    "a workbook": ({"content": b"PK\x03\x04" + b"\0" * 90, "headers": typed("text/csv")}, "unreadable_file"),
    "damaged gzip": ({"content": gzip.compress(CSV)[:-9], "headers": typed("application/gzip")}, "unreadable_file"),
    "another encoding than is said": (
        {"content": CSV, "headers": typed("text/csv", **{"Content-Encoding": "gzip"})}, "invalid_request",
    ),
    "an unknown encoding": (
        {"content": CSV, "headers": typed("text/csv", **{"Content-Encoding": "br"})}, "unsupported_media_type",
    ),
    "another type": ({"content": CSV, "headers": typed("application/xml")}, "unsupported_media_type"),
    "no type": ({"content": CSV}, "unsupported_media_type"),
    "JSON that is none": ({"content": b'{"rows": [', "headers": typed("application/json")}, "invalid_request"),
    "JSON of another form": ({"json": [1, 2]}, "invalid_request"),
    "rows that are none": ({"json": {"rows": 5}}, "invalid_request"),
    "no rows": ({"json": {"rows": []}}, "unreadable_file"),
    "an unknown option": ({"json": {"rows": ROWS, "odd": 1}}, "invalid_request"),
    "an option twice": ({"content": CSV, "headers": typed("text/csv"), "params": {"mode": "odd"}}, "invalid_request"),
    "a rate that is none": ({"json": {"rows": ROWS, "rate": "fast"}}, "invalid_request"),
    "an unknown question": ({"json": {"rows": ROWS, "confirm": "all"}}, "invalid_request"),
    "a form without a file": ({"files": {"other": ("x.csv", CSV)}}, "invalid_request"),
    "a form that is cut": (
        {"content": b"--x\r\nContent-Disposition: form-data", "headers": typed("multipart/form-data; boundary=x")},
        "invalid_request",
    ),
    "a form without a boundary": ({"content": b"x", "headers": typed("multipart/form-data")}, "invalid_request"),
    "a key that is none": ({"json": {"rows": ROWS}, "headers": {"Idempotency-Key": "a b"}}, "invalid_request"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "code"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_refused_and_leaves_nothing(client, ledger, body, code):
    """With a code, and in the words of HTTP."""
    answer = await client.post("/v1/jobs", **body)

    assert answer.status_code in {415, 422}, answer.text
    assert answer.json()["code"] == code, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert " --" not in answer.json()["detail"]
    assert "Value error" not in answer.text
    assert not await ledger.redis.exists(JOBS)


async def test_an_unreadable_file_names_the_place(client):
    """Line and column as members of their own."""
    answer = await client.post("/v1/jobs", files={"file": ("x.csv", b'id,team\n"chatcmpl-1,x\n')})

    assert answer.status_code == 422
    assert answer.json()["line"] == 2


async def test_a_key_makes_one_job_however_often_it_is_sent(client, connect, new_token, ledger):
    """201, then 200 with the same job; other content or options are refused; another token's key is its own."""
    headers = {"Idempotency-Key": "night-1"}
    first = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, headers=headers, data={"again": "true"})
    second = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, headers=headers, data={"again": "true"})
    other = await client.post("/v1/jobs", files={"file": ("x.csv", CSV)}, headers=headers)
    longer = {"file": ("x.csv", CSV + CSV[8:])}
    more = await client.post("/v1/jobs", files=longer, headers=headers, data={"again": "true"})
    async with connect(await new_token(Scope.SUBMIT)) as stranger:
        files = {"file": ("x.csv", CSV)}
        theirs = await stranger.post("/v1/jobs", files=files, headers=headers, data={"again": "true"})

    assert [first.status_code, second.status_code, theirs.status_code] == [201, 200, 201]
    assert first.json()["job_id"] == second.json()["job_id"] != theirs.json()["job_id"]
    for refusal in (other, more):
        assert (refusal.status_code, refusal.json()["code"]) == (422, "idempotency_key_reused")
    assert await ledger.redis.zcard(JOBS) == 2
    assert all(b"night-1" not in key for key in await ledger.redis.keys("*"))
    for key in await ledger.redis.keys("relabel:idempotency:*"):
        assert 0 < await ledger.redis.ttl(key) <= 86_400


async def test_a_key_of_a_job_makes_no_plan(client):
    """Nor the other way round: who asked to see what would change must not be shown a job that changes it."""
    for key, (first, then) in {"a": ("/v1/jobs", "/v1/plans"), "b": ("/v1/plans", "/v1/jobs")}.items():
        body = {"json": {"rows": ROWS}, "headers": {"Idempotency-Key": key}}
        made = await client.post(first, **body)
        again = await client.post(first, **body)
        other = await client.post(then, **body)

        assert (made.status_code, again.status_code) == (201, 200)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_while_the_first_request_with_a_key_runs_the_next_is_refused(client, ledger):
    """409 with how long; a request that failed leaves its key free."""
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly():
        yield CSV[:20]
        began.set()
        await go_on.wait()
        yield CSV[20:]

    headers = typed("text/csv", **{"Idempotency-Key": "slow"})
    first = asyncio.create_task(client.post("/v1/jobs", content=slowly(), headers=headers))
    await began.wait()

    async def key_is_taken():
        return await ledger.redis.keys("relabel:idempotency:*:lock")

    await wait_until(key_is_taken, within=20, what="the first request has its key")
    refused = await client.post("/v1/jobs", content=CSV, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_in_progress")
    assert int(refused.headers["retry-after"]) > 0
    go_on.set()
    assert (await first).status_code == 201

    headers = typed("text/csv", **{"Idempotency-Key": "fails"})
    assert (await client.post("/v1/jobs", content=BAD, headers=headers)).status_code == 422
    assert (await client.post("/v1/jobs", content=CSV, headers=headers)).status_code == 200


async def test_an_upload_that_breaks_off_leaves_nothing(served, new_token, ledger):
    """Neither a job nor a file nor its key; the server goes on."""
    token = await new_token(Scope.SUBMIT)
    host, port = served.url.removeprefix("http://").split(":")
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
    for kind, begin in ((b"text/csv", b""), (b"multipart/form-data; boundary=x", part)):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = [b"POST /v1/jobs HTTP/1.1", b"Host: 127.0.0.1", b"Authorization: Bearer " + token.encode()]
        head += [b"Idempotency-Key: k", b"Content-Length: 5000000", b"Content-Type: " + kind, b"", b""]
        writer.write(b"\r\n".join(head) + begin + CSV + b"x" * 2_000_000)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        del reader

    async def nothing_is_left():
        return not await ledger.redis.keys("relabel:idempotency:*")

    await wait_until(nothing_is_left, within=30, what="the key is free")
    assert not await ledger.redis.exists(JOBS)
    assert "Traceback" not in served.log.read_text()
    assert [path.name for path in served.log.parent.iterdir() if path.is_file()] == ["serve.log"]


@pytest.mark.parametrize("kind", ["text/csv", "multipart/form-data; boundary=x"])
async def test_an_upload_whose_token_is_revoked_meanwhile_makes_no_job(redis_url, new_token, ledger, kind):
    """It may come for an hour; revoking ends what a token may do at once."""
    is_form = kind.startswith("multipart")

    async def parts():
        if is_form:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n'
        yield CSV
        await ledger.tokens.revoke("t-submit")
        yield b"\r\n--x--\r\n" if is_form else b"\n"

    headers = {"Authorization": f"Bearer {await new_token(Scope.SUBMIT)}", "Idempotency-Key": "k"} | typed(kind)
    async with in_process(settings_of(redis_url)) as client:
        answer = await client.post("/v1/jobs", content=parts(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert not await ledger.redis.exists(JOBS)
    assert not await ledger.redis.keys("relabel:idempotency:*")


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "UTF-16", '"idna"'])
@pytest.mark.parametrize("path", ["/sign-in", "/jobs/x/actions/pause", "/v1/jobs"])
async def test_a_form_is_decoded_as_utf_8_only(redis_url, path, charset):
    """Some codecs take the square of a field's length, minutes in which nobody else is answered, before any token."""
    body = b'--x\r\nContent-Disposition: form-data; name="a-"\r\n\r\nb-\r\n--x--\r\n'
    async with in_process(settings_of(redis_url)) as client:
        answers = [
            await client.post(path, content=body, headers=typed(f"multipart/form-data; boundary=x; charset={each}"))
            for each in (charset, "UTF-8")
        ]

    assert (answers[0].status_code, answers[0].json()["code"]) == (415, "unsupported_media_type")
    assert answers[1].status_code != 415


async def test_a_form_of_many_files_takes_little_memory(redis_url, new_token):
    """Each goes to disk, and its other fields are short."""

    async def parts():
        for number in range(100):
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="%d.csv"\r\n\r\n' % number
            yield b"x" * 200_000 + b"\r\n"
        yield b"--x--\r\n"

    headers = {"Authorization": f"Bearer {await new_token(Scope.SUBMIT)}"}
    form = typed("multipart/form-data; boundary=x")
    async with in_process(settings_of(redis_url)) as client:
        tracemalloc.start()
        try:
            many = await client.post("/v1/jobs", content=parts(), headers=headers | form)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        field = await client.post(
            "/v1/jobs", files={"file": ("a.csv", CSV)}, data={"name": "x" * 20_000}, headers=headers
        )

    assert (many.status_code, many.json()["code"]) == (422, "unreadable_file")
    assert peak < 8 << 20
    assert (field.status_code, field.json()["code"]) == (422, "invalid_request")


async def test_one_caller_does_not_take_the_room_of_all_others():
    """However slowly their uploads come."""
    turns = UploadTurns(wait_s=0.01)
    async with AsyncExitStack() as held:
        for _ in range(UPLOADS_OF_ONE):
            await held.enter_async_context(turns.turn("ada"))
        with pytest.raises(Refusal) as found:
            await held.enter_async_context(turns.turn("ada"))
        async with turns.turn("bob"):
            pass
    async with turns.turn("ada"):
        pass

    assert found.value.code == "busy"


async def test_what_is_too_large_is_refused_by_the_name_of_the_limit(redis_url, new_token):
    """Also where nobody said how long it is, and also other bodies than uploads."""
    headers = {"Authorization": f"Bearer {await new_token(*Scope)}"}
    async with in_process(settings_of(redis_url, upload_gib=1e-6)) as client:

        async def parts():
            for _ in range(10):
                yield b"x" * 500

        told = await client.post("/v1/jobs", content=b"x" * 2000, headers=headers | typed("text/csv"))
        untold = await client.post("/v1/jobs", content=parts(), headers=headers | typed("text/csv"))
        action = await client.post("/v1/jobs/x/pause", content=b"x" * (1 << 21), headers=headers)

    for answer in (told, untold):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.json()["limit"] == "RELABEL_WEB__UPLOAD_GIB"
    assert (action.status_code, action.json()["code"]) == (413, "too_large")


async def test_a_bomb_is_refused_by_what_it_expands_to(redis_url, new_token):
    """By the limit of an input, whatever its size on the way."""
    settings = settings_of(redis_url).model_copy(update={"input": InputSettings(max_gib=0.001)})
    headers = {"Authorization": f"Bearer {await new_token(Scope.SUBMIT)}"}
    bomb = gzip.compress(b"id,team\n" + b"chatcmpl-1,x\n" * 500_000)
    as_json = gzip.compress(b'{"rows": [' + b" " * (40 << 20) + b"]}")
    async with in_process(settings) as client:
        answer = await client.post("/v1/jobs", content=bomb, headers=headers | typed("application/gzip"))
        encoded = typed("application/json", **{"Content-Encoding": "gzip"})
        rows = await client.post("/v1/jobs", content=as_json, headers=headers | encoded)

    assert len(bomb) < 200_000
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_file")
    assert "RELABEL_INPUT__MAX_GIB" in answer.json()["detail"]
    assert (rows.status_code, rows.json()["code"]) == (413, "too_large")


NAMES = ["../../etc/passwd.csv", "C:\\x\\rows.csv", "\x1b[2Jrows.csv", "a" * 400 + ".csv", "-", ".csv", "\u202egpj.csv"]
NAMES += ["/dev/stdin", "/proc/self/fd/0"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_called_what_its_last_part_is(client, name):
    """No path of the server's is opened; the name of a job is one printable line."""
    answer = await client.post("/v1/jobs", files={"file": (name, CSV)})

    assert answer.status_code in {201, 422}, answer.text
    if answer.status_code == 201:
        assert answer.json()["name"].isprintable()
        assert "/" not in answer.json()["name"]
        assert "\\" not in answer.json()["name"].replace("\\x1b", "").replace("\\u202e", "")


async def test_a_plan_is_submitted_alike(client):
    """A job that reads and writes nothing, and is made anew each time."""
    made = [await client.post("/v1/plans", files={"file": ("x.csv", CSV)}) for _ in range(2)]

    assert [answer.status_code for answer in made] == [201, 201]
    assert {answer.json()["kind"] for answer in made} == {"plan"}
    assert len({answer.json()["job_id"] for answer in made}) == 2


async def test_what_workers_are_to_select_is_a_plan_at_once(client, ledger):
    """It is stored with what was asked for, and has no rows yet; its key finds it again."""
    selected = {"where": "metadata.team == 'a'", "since": "3d"}
    body = {"select": selected, "set": {"team": "b"}, "name": "mine", "rate": 60}
    made = [
        await client.post("/v1/plans", json=body, headers={"Idempotency-Key": key}) for key in ("one", "one", "another")
    ]

    assert [answer.status_code for answer in made] == [201, 200, 201], made[0].text
    job = made[0].json()
    assert made[0].headers["location"] == f"/v1/jobs/{job['job_id']}"
    assert (job["kind"], job["state"], job["name"], job["rate_per_minute"]) == ("plan", "submitting", "mine", 60)
    assert job["selection"]["asked"] == {"where": "metadata.team == 'a'", "since": "3d", "set": {"team": "b"}}
    assert (job["selection"]["is_read"], job["rows"]["total"], job["keys"]) == (False, 0, ["team"])
    assert made[1].json()["job_id"] == job["job_id"] != made[2].json()["job_id"]
    assert job["job_id"] in await ledger.jobs.active()
    reused = await client.post("/v1/plans", json=body | {"name": "other"}, headers={"Idempotency-Key": "one"})
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    rows = await client.get(f"/v1/jobs/{job['job_id']}/rows")
    assert (rows.status_code, rows.json()["code"]) == (409, "wrong_state")
    assert rows.json()["actions"] == ["pause", "cancel"]
    for verb, state in (("pause", "paused"), ("resume", "submitting"), ("cancel", "cancelled")):
        answer = await client.post(f"/v1/jobs/{job['job_id']}/{verb}")
        assert (answer.status_code, answer.json()["state"]) == (200, state)


SELECTIONS = {
    "a bad expression": ({"select": {"where": "created > ago("}, "set": {"a": "b"}}, "invalid_input", 15),
    "a bad template": ({"select": {}, "set": {"a": "{metadata.}"}}, "invalid_input", 11),
    "nothing to change": ({"select": {"limit": 3}}, "invalid_input", None),
    "keys to edit": ({"select": {}, "keys": ["a"]}, "invalid_input", None),
    "an unknown member": ({"select": {"limits": 3}, "set": {"a": "b"}}, "invalid_request", None),
    "no selection": ({"select": 3, "set": {"a": "b"}}, "invalid_request", None),
    "rows, too": ({"select": {}, "rows": [], "set": {"a": "b"}}, "invalid_request", None),
    "a check": ({"select": {}, "check": True, "set": {"a": "b"}}, "invalid_request", None),
}


@pytest.mark.parametrize(("body", "code", "column"), SELECTIONS.values(), ids=SELECTIONS)
async def test_what_cannot_be_selected_is_refused_at_once(client, ledger, body, code, column):
    """With the column of an expression; nothing is stored."""
    answer = await client.post("/v1/plans", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json().get("column") == column
    assert not await ledger.redis.exists(JOBS)


async def test_options_of_a_query_count_for_a_selection_too(client):
    """Those that it has; of others only that they say nothing, as a generated client sends them all."""
    body = {"select": {"limit": 3}, "set": {"a": "b"}}
    taken = await client.post("/v1/plans", json=body, params={"name": "mine", "mode": "merge", "check": "false"})
    refused = await client.post("/v1/plans", json=body, params={"mode": "replace"})

    assert (taken.status_code, taken.json()["name"]) == (201, "mine")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_a_job_that_changes_something_is_not_selected(client):
    """What is selected is looked at as a plan first."""
    answer = await client.post("/v1/jobs", json={"select": {}, "set": {"a": "b"}})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "/v1/plans" in answer.json()["detail"]


async def test_submissions_at_once_are_all_answered(client):
    """Each with its own job, however many come together."""
    bodies = [CSV.replace(b",t0", f",n{number}".encode()) for number in range(12)]
    made = await asyncio.gather(*(client.post("/v1/jobs", content=body, headers=typed("text/csv")) for body in bodies))

    assert [answer.status_code for answer in made] == [201] * 12
    assert len({answer.json()["job_id"] for answer in made}) == 12
