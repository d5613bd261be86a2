"""Each fault does on the wire what its name says, and rules strike when they say."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import msgspec
import pytest

from sandbox.faults import Faults
from sandbox.script import APPLIED, FaultKind, decode_script


async def update(http, sandbox, completion_id, metadata=None, **request):
    """Status, content type and text of one update."""
    url = f"{sandbox.base_url}/chat/completions/{completion_id}"
    async with http.post(url, json={"metadata": metadata or {"k": "v"}}, **request) as answer:
        return answer.status, answer.content_type, await answer.text()


def choose(faults, count=1, *, method="POST", operation="update", completion_id="a", now=100.0):
    """The names of the faults met by some equal requests, one after the other."""
    chosen = [faults.choose(method, operation, completion_id, now) for _ in range(count)]
    return [fault and fault.kind.value for fault in chosen]


def scripted(*rules, seed=0):
    """Faults of a script added at second 100 to a sandbox that started at second 0."""
    faults = Faults(seed=seed, started=0.0, rates={})
    faults.add(decode_script(json.dumps(rules).encode()), 100.0)
    return faults


@pytest.mark.parametrize(
    ("fault", "status", "content_type", "words"),
    [
        ("error_500", 500, "application/json", "The server had an error"),
        ("error_500_after", 500, "application/json", "The server had an error"),
        ("html_502", 502, "text/html", "502 Bad Gateway"),
        ("bad_body_html", 200, "text/html", "<html>"),
        ("redirect", 307, "application/json", ""),
        ("unauthorized", 401, "application/json", "invalid_api_key"),
        ("quota", 429, "application/json", "insufficient_quota"),
        ("rate_limited", 429, "application/json", "rate_limit_exceeded"),
    ],
)
async def test_a_fault_answers_as_its_name_says(start, http, completion_id, fault, status, content_type, words):
    """Status, type and text fit, and the change is made only by those that strike afterwards."""
    sandbox = await start(fault_rates={fault: 1})

    answer = await update(http, sandbox, completion_id, allow_redirects=False)

    assert (answer[0], answer[1], words in answer[2]) == (status, content_type, True)
    applied = FaultKind(fault) in APPLIED
    assert sandbox.store.metadata(completion_id) == ({"k": "v"} if applied else {"team": "blue"})
    assert [(entry.fault, entry.applied, entry.status) for entry in sandbox.log.entries] == [(fault, applied, status)]


@pytest.mark.parametrize(("fault", "applied"), [("reset_before", False), ("reset_after", True)])
async def test_a_reset_leaves_no_answer(start, http, completion_id, fault, applied):
    """The client sees a broken connection; whether the change was made it cannot know, the log can."""
    sandbox = await start(fault_rates={fault: 1})

    with pytest.raises(aiohttp.ClientConnectionError):
        await update(http, sandbox, completion_id)

    (entry,) = sandbox.log.entries
    assert (entry.status, entry.applied, entry.fault) == (None, applied, fault)
    assert (sandbox.store.metadata(completion_id) == {"k": "v"}) is applied


async def test_a_reset_is_a_tcp_reset(start, completion_id):
    """The connection ends with RST, which no client can take for an orderly end."""
    sandbox = await start(fault_rates={"reset_before": 1})
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.address.rpartition(":")[2]))

    head = f"GET /v1/chat/completions/{completion_id} HTTP/1.1\r\nHost: sandbox\r\napi-key: k\r\n\r\n"
    writer.write(head.encode())

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize(("fault", "applied"), [("hang", False), ("hang_after", True)])
async def test_a_request_that_hangs_ends_with_the_client(start, http, completion_id, fault, applied):
    """No answer ever comes, and when the client has gone the request is over."""
    sandbox = await start(fault_rates={fault: 1})

    with pytest.raises(TimeoutError):
        await update(http, sandbox, completion_id, timeout=aiohttp.ClientTimeout(total=0.2))

    async with asyncio.timeout(30):
        while sandbox.log.stats.in_flight:  # noqa: ASYNC110 - the sandbox announces nothing but its log
            await asyncio.sleep(0)
    assert (sandbox.log.entries[0].status, sandbox.log.entries[0].applied) == (None, applied)


async def test_a_sandbox_closes_while_requests_hang(start, http, completion_id):
    """Closing does not wait for requests that will never be answered."""
    from sandbox import Sandbox, SandboxOptions

    async with Sandbox(SandboxOptions(fault_rates={"hang": 1}, accept_any_id=True)) as sandbox:
        hanging = asyncio.create_task(update(http, sandbox, completion_id))
        async with asyncio.timeout(30):
            while not sandbox.log.total:  # noqa: ASYNC110 - the sandbox announces nothing but its log
                await asyncio.sleep(0)

    with pytest.raises(aiohttp.ClientConnectionError):
        await hanging


@pytest.mark.parametrize(("fault", "applied"), [("slow", False), ("slow_after", True)])
async def test_a_slow_request_is_carried_out_late_or_answered_late(start, http, completion_id, fault, applied):
    """A client that does not wait leaves behind a change not made yet, or one made already."""
    sandbox = await start(fault_rates={fault: 1}, slow_s=3600)

    with pytest.raises(TimeoutError):
        await update(http, sandbox, completion_id, timeout=aiohttp.ClientTimeout(total=0.2))

    assert (sandbox.store.metadata(completion_id) == {"k": "v"}) is applied


async def test_a_slow_request_is_answered_in_the_end(start, http, completion_id):
    """Slow is not lost: the answer is the ordinary one."""
    sandbox = await start()
    sandbox.add_faults([{"fault": "slow", "seconds": 0.01}, {"fault": "slow_after", "seconds": 0.01}])

    assert (await update(http, sandbox, completion_id))[0] == 200
    assert sandbox.log.entries[0].applied


async def test_a_truncated_body_is_no_json(start, http, completion_id):
    """The answer is a 200 whose length is right and whose JSON ends in the middle."""
    sandbox = await start(fault_rates={"bad_body_truncated": 1})

    status, _, text = await update(http, sandbox, completion_id)

    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


async def test_another_completions_answer_can_come_back(start, http, completion_id):
    """The answer is in order but for its id."""
    sandbox = await start(fault_rates={"bad_body_other_id": 1})

    status, _, text = await update(http, sandbox, completion_id)

    assert (status, json.loads(text)["metadata"]) == (200, {"k": "v"})
    assert json.loads(text)["id"] != completion_id


async def test_an_ignored_update_is_answered_with_the_old_map(start, http, completion_id):
    """A 200 alone proves nothing."""
    sandbox = await start(fault_rates={"ignored": 1})

    status, _, text = await update(http, sandbox, completion_id)

    assert (status, json.loads(text)["metadata"]) == (200, {"team": "blue"})


@pytest.mark.parametrize(
    ("fault", "shown"),
    [("no_metadata", "nothing"), ("null_metadata", None), ("echo", {"k": "v"}), ("shows_before", {"team": "blue"})],
)
async def test_an_update_is_carried_out_and_shown_otherwise(start, http, completion_id, fault, shown):
    """The metadata is left out, null, that of the request, or that of before."""
    sandbox = await start(semantics="merge", fault_rates={fault: 1})

    status, _, text = await update(http, sandbox, completion_id)

    assert (status, json.loads(text).get("metadata", "nothing")) == (200, shown)
    assert sandbox.store.metadata(completion_id) == {"team": "blue", "k": "v"}
    assert sandbox.log.entries[0].applied


async def test_a_redirect_leads_nowhere(start, http, completion_id):
    """The other host is one that no resolver knows."""
    sandbox = await start(fault_rates={"redirect": 1})
    url = f"{sandbox.base_url}/chat/completions/{completion_id}"

    async with http.get(url, allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"https://elsewhere.invalid/v1/chat/completions/{completion_id}"


async def test_a_script_may_answer_anything(start, http, completion_id):
    """Status, headers and body are taken from the rule."""
    sandbox = await start()
    said = {"status": 503, "body": {"error": {"code": "server_is_overloaded"}}, "headers": {"retry-after-ms": "1500"}}
    sandbox.add_faults(
        [{"fault": "answer", "answer": said, "times": 1}, {"fault": "answer", "answer": {"status": 418}}]
    )

    async with http.get(f"{sandbox.base_url}/chat/completions/{completion_id}") as answer:
        first = (answer.status, answer.headers["retry-after-ms"], await answer.json())
    second = await update(http, sandbox, completion_id)

    assert first == (503, "1500", {"error": {"code": "server_is_overloaded"}})
    assert second == (418, "text/html", "")


async def test_a_fault_on_an_unknown_id_changes_nothing(start, http):
    """A 404 that is spoilt afterwards is not counted as applied."""
    sandbox = await start(fault_rates={"error_500_after": 1})

    assert (await update(http, sandbox, "chatcmpl-none"))[0] == 500
    assert not sandbox.log.entries[0].applied


async def test_a_script_file_is_in_force_from_the_start(start, http, completion_id, tmp_path):
    """Rules and rates are read from the file named in the options."""
    script = tmp_path / "faults.json"
    rule = {"match": {"method": "POST", "id": completion_id}, "fault": "error_500", "times": 2, "after": 1}
    script.write_text(json.dumps({"rules": [rule], "rates": {"html_502": 0}}))
    sandbox = await start(fault_script=script)

    statuses = [(await update(http, sandbox, completion_id))[0] for _ in range(5)]

    assert statuses == [200, 500, 500, 200, 200]


def test_a_rule_strikes_only_what_it_matches():
    """Method, operation and id must all fit; what is left out fits everything."""
    faults = scripted({"match": {"method": "POST", "operation": "update", "id": "a"}, "fault": "error_500"})

    assert choose(faults) == ["error_500"]
    assert choose(faults, method="GET", operation="get") == [None]
    assert choose(faults, operation="create", completion_id=None) == [None]
    assert choose(faults, completion_id="b") == [None]


def test_the_first_rule_that_strikes_wins():
    """Rules are tried in order, whether they name an id or not."""
    faults = scripted(
        {"fault": "error_500", "times": 1},
        {"match": {"id": "a"}, "fault": "html_502", "times": 1},
        {"fault": "quota"},
    )

    assert choose(faults, 3) == ["error_500", "html_502", "quota"]
    assert [posted["struck"] for posted in faults.facts()["rules"]] == [1, 1, 1]


def test_a_rule_may_count_each_id_for_itself():
    """`per_id` gives every id its own `times` and `after`."""
    faults = scripted({"fault": "error_500", "times": 1, "after": 1, "per_id": True})

    assert [choose(faults, 3, completion_id=name) for name in "ab"] == [[None, "error_500", None]] * 2


def test_a_window_counts_from_the_post_or_from_the_start():
    """A rule added at second 100 strikes in its seconds 10 to 20, or in the server's."""
    posted = scripted({"fault": "quota", "from_s": 10, "until_s": 20})
    since_start = scripted({"fault": "quota", "from_s": 105, "until_s": 110, "since": "start"})

    assert [choose(posted, now=now) for now in (109.9, 110, 119.9, 120)] == [[None], ["quota"], ["quota"], [None]]
    assert [choose(since_start, now=now) for now in (104, 105, 110)] == [[None], ["quota"], [None]]


def test_rates_are_met_and_depend_on_nothing_but_the_seed():
    """About the share asked for is struck, the same ids whatever the order, other ids with another seed."""
    ids = [f"chatcmpl-{n}" for n in range(4000)]
    rates = {"error_500": 0.1, "reset_after": 0.05}

    def drawn(seed, order):
        faults = Faults(seed=seed, started=0.0, rates=rates)
        return {name: choose(faults, 2, completion_id=name) for name in order}

    there, back, other = drawn(1, ids), drawn(1, ids[::-1]), drawn(2, ids)

    assert there == back
    assert there != other
    met = [kind for pair in there.values() for kind in pair]
    assert 700 < met.count("error_500") < 900
    assert 320 < met.count("reset_after") < 480


def test_a_rule_may_strike_with_a_probability():
    """Two rules draw apart from each other."""
    faults = scripted({"fault": "quota", "probability": 0.5}, {"fault": "hang", "probability": 0.5})

    met = choose(faults, 1000)

    assert all(met.count(kind) > 150 for kind in ("quota", "hang", None))


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "explode"},
        {"fault": "quota", "tmies": 3},
        {"fault": "quota", "match": {"verb": "POST"}},
        {"fault": "quota", "probability": 0},
        {"fault": "answer"},
        {"fault": "quota", "answer": {"status": 200}},
        {},
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule):
    """A typing error must not be a rule that never strikes."""
    with pytest.raises(msgspec.ValidationError):
        scripted(rule)


@pytest.mark.parametrize("rates", [{"error_500": 1.5}, {"error_500": -0.1}, {"answer": 0.1}, {"explode": 0.1}])
def test_a_rate_that_is_none_is_refused(rates):
    """Names and numbers are checked."""
    with pytest.raises(ValueError, match="fault"):
        Faults(seed=0, started=0.0, rates=rates)


def test_rates_above_one_together_are_refused():
    """Adding rates checks them with those in force."""
    faults = Faults(seed=0, started=0.0, rates={"error_500": 0.6})

    with pytest.raises(ValueError, match="at most 1 together"):
        faults.add(decode_script(b'{"rates": {"quota": 0.5}}'), 0.0)


async def test_the_log_tells_the_truth_about_every_change(start, http):
    """Under a mix of faults the store holds exactly what the log calls applied."""
    kinds = [kind for kind in FaultKind if kind.value not in ("answer", "hang", "hang_after")]
    sandbox = await start(fault_rates=dict.fromkeys(kinds, 0.95 / len(kinds)), slow_s=0.01, seed=3)
    ids = [f"chatcmpl-{number}" for number in range(400)]
    sandbox.store.load({completion_id: {} for completion_id in ids})

    await asyncio.gather(
        *[update(http, sandbox, completion_id, allow_redirects=False) for completion_id in ids],
        return_exceptions=True,
    )

    applied = {entry.id for entry in sandbox.log.entries if entry.applied}
    assert {completion_id for completion_id in ids if sandbox.store.metadata(completion_id)} == applied
    assert sandbox.log.stats.by_fault.keys() == {kind.value for kind in kinds}
    assert sandbox.log.total == sandbox.log.stats.by_status.total()
