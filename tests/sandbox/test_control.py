"""The endpoints under /_sandbox/: see what happened, change what will happen."""

from __future__ import annotations

import asyncio
import io
import json

import pytest


async def ask(http, sandbox, method, path, body=None):
    """Status and body of one control request; a large body is streamed."""
    data = None if body is None else io.BytesIO(json.dumps(body).encode())
    async with http.request(method, f"{sandbox.address}/_sandbox/{path}", data=data) as answer:
        return answer.status, await answer.json()


async def update(http, sandbox, completion_id, metadata=None):
    """The status of one update."""
    url = f"{sandbox.base_url}/chat/completions/{completion_id}"
    headers = {"X-Client-Request-Id": "job-1-row-2"}
    async with http.post(url, json={"metadata": metadata or {"k": "v"}}, headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_the_log_tells_every_request_in_order(start, http, completion_id):
    """Method, id, what was sent, what was answered and whether it was applied; control requests are left out."""
    sandbox = await start()
    await update(http, sandbox, completion_id, {"k": "1"})
    await update(http, sandbox, "chatcmpl-none", {"k": "2"})

    _, log = await ask(http, sandbox, "GET", "log")

    first, second = log["entries"]
    assert (log["next"], log["total"], log["dropped"]) == (2, 2, 0)
    assert (first["seq"], first["method"], first["operation"], first["id"]) == (0, "POST", "update", completion_id)
    assert (first["metadata"], first["status"], first["applied"], first["fault"]) == ({"k": "1"}, 200, True, None)
    assert first["client_request_id"] == "job-1-row-2"
    assert (second["id"], second["status"], second["code"], second["applied"]) == (
        "chatcmpl-none",
        404,
        "not_found",
        False,
    )


async def test_the_log_can_be_read_on_from_where_it_was_left(start, http, completion_id):
    """`next` is what `since` takes, and `limit` cuts the answer."""
    sandbox = await start()
    for _ in range(5):
        await update(http, sandbox, completion_id)

    _, head = await ask(http, sandbox, "GET", "log?limit=2")
    _, tail = await ask(http, sandbox, "GET", f"log?since={head['next']}")
    _, nothing = await ask(http, sandbox, "GET", f"log?since={tail['next']}")

    assert [entry["seq"] for entry in head["entries"] + tail["entries"]] == [0, 1, 2, 3, 4]
    assert (nothing["entries"], nothing["next"]) == ([], 5)


async def test_the_log_is_bounded_and_says_what_it_dropped(start, http, completion_id):
    """The oldest requests go first, their numbers are not given again."""
    sandbox = await start(log_limit=2)
    for _ in range(5):
        await update(http, sandbox, completion_id)

    _, log = await ask(http, sandbox, "GET", "log?since=1")

    assert ([entry["seq"] for entry in log["entries"]], log["dropped"]) == ([3, 4], 3)


async def test_the_log_file_has_every_request(start, http, completion_id, tmp_path):
    """One JSON object a line, beyond the bound of the log in memory, and no key in it."""
    path = tmp_path / "requests.jsonl"
    sandbox = await start(log_limit=1, log_file=path)
    for number in range(3):
        await update(http, sandbox, completion_id, {"n": str(number)})

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [line["metadata"] for line in lines] == [{"n": "0"}, {"n": "1"}, {"n": "2"}]
    assert "sk-test" not in path.read_text()


async def test_the_figures_add_up(start, http, completion_id):
    """Counts by status, operation and fault, and what is stored."""
    sandbox = await start()
    sandbox.add_faults([{"fault": "error_500_after", "times": 1}])
    for _ in range(3):
        await update(http, sandbox, completion_id)
    await update(http, sandbox, "chatcmpl-none")

    _, stats = await ask(http, sandbox, "GET", "stats")

    assert (stats["requests"], stats["applied"], stats["completions"]) == (4, 3, 1)
    assert stats["by_status"] == {"500": 1, "200": 2, "404": 1}
    assert (stats["by_operation"], stats["by_fault"]) == ({"update": 4}, {"error_500_after": 1})
    assert (stats["in_flight"], stats["max_in_flight"], stats["overlaps"]) == (0, 1, 0)
    assert stats["requests_per_second"] > 0


async def test_two_requests_for_one_id_at_once_are_an_overlap(start, http, completion_id):
    """One id must never be in flight twice: the figures tell when it was."""
    sandbox = await start(latency_s=0.2)

    await asyncio.gather(*[update(http, sandbox, completion_id) for _ in range(2)], update(http, sandbox, "chatcmpl-b"))

    _, stats = await ask(http, sandbox, "GET", "stats")
    assert (stats["overlaps"], stats["max_in_flight"]) == (1, 3)


async def test_completions_are_loaded_and_dumped_in_bulk(start, http):
    """What goes in comes out, several megabytes of it."""
    sandbox = await start()
    many = {f"chatcmpl-{n}": {"n": str(n), "text": "x" * 400} for n in range(10_000)}

    loaded = await ask(http, sandbox, "PUT", "completions", many)
    _, dumped = await ask(http, sandbox, "GET", "completions")

    assert loaded == (200, {"loaded": 10_000})
    assert {key: dumped[key] for key in many} == many


async def test_faults_are_posted_seen_and_taken_away(start, http, completion_id):
    """A rule works from the next request on and shows how often it struck."""
    sandbox = await start()
    rule = {"match": {"method": "POST", "id": completion_id}, "fault": "error_500", "times": 2, "after": 0}

    posted, _ = await ask(http, sandbox, "POST", "faults", {"rules": [rule], "rates": {"quota": 1}})
    met = [await update(http, sandbox, completion_id) for _ in range(3)]
    _, facts = await ask(http, sandbox, "GET", "faults")
    _, cleared = await ask(http, sandbox, "DELETE", "faults")

    assert (posted, met) == (200, [500, 500, 429])
    assert (facts["rules"][0]["struck"], facts["rules"][0]["rule"]["fault"]) == (2, "error_500")
    assert facts["rates"] == {"quota": 1}
    assert cleared == {"rules": [], "rates": {}}
    assert await update(http, sandbox, completion_id) == 200


async def test_a_rate_of_nothing_takes_the_fault_away(start, http, completion_id):
    """Posting 0 removes one rate and leaves the others."""
    sandbox = await start(fault_rates={"quota": 0.5, "slow": 0.1})

    _, facts = await ask(http, sandbox, "POST", "faults", {"rates": {"quota": 0}})

    assert facts["rates"] == {"slow": 0.1}


async def test_options_change_while_it_runs(start, http, completion_id):
    """A merge follows a replace without a new start, and a key is only said to be set."""
    sandbox = await start()

    status, options = await ask(http, sandbox, "PATCH", "options", {"semantics": "merge", "api_key": "sk-test"})
    await update(http, sandbox, completion_id, {"k": "v"})
    _, shown = await ask(http, sandbox, "GET", "options")

    assert (status, options["semantics"], options["api_key"]) == (200, "merge", "set")
    assert shown == options
    assert sandbox.store.metadata(completion_id) == {"team": "blue", "k": "v"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "options", {"log_limit": 5}, 400),
        ("PATCH", "options", {"latency_s": "long"}, 400),
        ("PATCH", "options", {"latency_s": -1}, 400),
        ("PATCH", "options", {"semantics": "guess"}, 400),
        ("POST", "faults", [{"fault": "explode"}], 400),
        ("POST", "faults", {"rates": {"quota": 2}}, 400),
        ("PUT", "completions", {"chatcmpl-a": {"k": 1}}, 400),
        ("PUT", "completions", {"chatcmpl-a": {"k": "v" * 513}}, 400),
        ("GET", "log?since=then", None, 400),
        ("GET", "nothing", None, 404),
        ("DELETE", "stats", None, 405),
    ],
)
async def test_a_control_request_that_means_nothing_is_refused(start, http, method, path, body, status):
    """The answer says what is wrong, and nothing has changed."""
    sandbox = await start()
    options = sandbox.options

    answered, told = await ask(http, sandbox, method, path, body)

    assert (answered, bool(told["error"]["message"])) == (status, True)
    assert (sandbox.options, len(sandbox.store)) == (options, 1)
