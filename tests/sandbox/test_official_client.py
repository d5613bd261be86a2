"""The official `openai` client works against the sandbox unchanged."""

from __future__ import annotations

import pytest

MESSAGES = [{"role": "user", "content": "Say this is a test."}, {"role": "user", "content": "Say it again."}]


async def test_a_stored_completion_lives_from_create_to_delete(start, openai, official):
    """Create, retrieve, update and delete speak of the same completion."""
    client = official(await start())
    completions = client.chat.completions

    made = await completions.create(model="gpt-4o-mini", messages=MESSAGES, store=True, metadata={"run": "1"})
    read = await completions.retrieve(made.id)
    updated = await completions.update(made.id, metadata={"run": "2"})
    deleted = await completions.delete(made.id)

    assert (read.id, read.metadata, read.choices[0].message.content) == (made.id, {"run": "1"}, "This is a test.")
    assert updated.metadata == {"run": "2"}
    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        await completions.retrieve(made.id)


async def test_a_completion_that_is_not_stored_cannot_be_retrieved(start, openai, official):
    """Without `store` create answers, and nothing is kept."""
    client = official(await start())

    made = await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.retrieve(made.id)


async def test_paging_visits_every_completion_once_newest_first(start, official):
    """The client's own iterator follows `after` through all pages."""
    sandbox = await start()
    sandbox.store.load({f"chatcmpl-B{n:04d}{'x' * 24}": {"n": str(n)} for n in range(45)})
    client = official(sandbox)

    seen = [completion async for completion in client.chat.completions.list(limit=10)]

    assert len({completion.id for completion in seen}) == 46
    assert [c.created for c in seen] == sorted((c.created for c in seen), reverse=True)


async def test_ascending_order_is_the_other_way_round(start, official):
    """`order` turns the list, over page borders too."""
    sandbox = await start()
    sandbox.store.load({f"chatcmpl-B{n:04d}{'x' * 24}": {} for n in range(7)})
    client = official(sandbox)

    up = [c.id async for c in client.chat.completions.list(order="asc", limit=3)]
    down = [c.id async for c in client.chat.completions.list(order="desc", limit=3)]

    assert up == down[::-1]


async def test_lists_are_filtered_by_metadata_and_model(start, official):
    """Every pair named must be there, and the model must be the one asked for."""
    sandbox = await start()
    sandbox.store.load(
        {"chatcmpl-a": {"team": "red", "run": "1"}, "chatcmpl-b": {"team": "red"}, "chatcmpl-c": {"run": "1"}}
    )
    completions = official(sandbox).chat.completions

    both = await completions.list(metadata={"team": "red", "run": "1"})
    other_model = await completions.list(model="gpt-nothing")

    assert [completion.id for completion in both.data] == ["chatcmpl-a"]
    assert other_model.data == []


async def test_messages_are_numbered_and_paged(start, official):
    """Message ids are the completion's id with a number behind."""
    completions = official(await start()).chat.completions
    made = await completions.create(model="gpt-4o-mini", messages=MESSAGES, store=True)

    first = await completions.messages.list(made.id, limit=1)
    everything = [message async for message in completions.messages.list(made.id, limit=1)]
    backwards = await completions.messages.list(made.id, order="desc")

    assert first.has_more is True
    assert [(m.id, m.content) for m in everything] == [
        (f"{made.id}-0", "Say this is a test."),
        (f"{made.id}-1", "Say it again."),
    ]
    assert [message.id for message in backwards.data] == [f"{made.id}-1", f"{made.id}-0"]


async def test_an_id_with_odd_characters_is_one_path_segment(start, official):
    """What the client percent-encodes is decoded to the same id."""
    sandbox = await start()
    sandbox.store.load({"odd/id?with #": {}})

    updated = await official(sandbox).chat.completions.update("odd/id?with #", metadata={"k": "v"})

    assert (updated.id, sandbox.store.metadata("odd/id?with #")) == ("odd/id?with #", {"k": "v"})


@pytest.mark.parametrize(
    ("fault", "expected", "code"),
    [
        ("error_500", "InternalServerError", None),
        ("html_502", "InternalServerError", None),
        ("unauthorized", "AuthenticationError", "invalid_api_key"),
        ("quota", "RateLimitError", "insufficient_quota"),
        ("rate_limited", "RateLimitError", "rate_limit_exceeded"),
        ("reset_before", "APIConnectionError", None),
        ("reset_after", "APIConnectionError", None),
    ],
)
async def test_each_fault_is_the_error_class_the_client_has_for_it(
    start, openai, official, completion_id, fault, expected, code
):
    """The client sorts the sandbox's answers as it sorts the API's."""
    sandbox = await start(fault_rates={fault: 1})

    with pytest.raises(getattr(openai, expected)) as caught:
        await official(sandbox).chat.completions.update(completion_id, metadata={"k": "v"})

    assert getattr(caught.value, "code", None) == code


async def test_the_clients_own_retry_gets_past_a_fault(start, official, completion_id):
    """A rule that strikes once is over when the client tries again."""
    sandbox = await start()
    sandbox.add_faults([{"fault": "reset_before", "times": 1}])

    updated = await official(sandbox, max_retries=1).chat.completions.update(completion_id, metadata={"k": "v"})

    assert updated.metadata == {"k": "v"}
    assert [entry.fault for entry in sandbox.log.entries] == ["reset_before", None]


async def test_a_request_that_hangs_times_out_in_the_client(start, openai, official, completion_id):
    """A hanging server is a timeout to the client, and the change is not made."""
    sandbox = await start(fault_rates={"hang": 1})

    with pytest.raises(openai.APITimeoutError):
        await official(sandbox, timeout=0.2).chat.completions.update(completion_id, metadata={"k": "v"})

    assert sandbox.store.metadata(completion_id) == {"team": "blue"}


async def test_a_refused_key_is_an_authentication_error(start, openai, official, completion_id):
    """Only the key that was set is let in."""
    sandbox = await start(api_key="sk-the-right-one")

    with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
        await official(sandbox).chat.completions.retrieve(completion_id)

    read = await official(sandbox, api_key="sk-the-right-one").chat.completions.retrieve(completion_id)
    assert read.id == completion_id


async def test_the_official_azure_client_is_served_too(start, openai, completion_id):
    """The api-key header and Azure's path lead to the same completion."""
    sandbox = await start(api_key="azure-key")
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=sandbox.address, api_key="azure-key", api_version="2025-02-01-preview", max_retries=0
    ) as client:
        updated = await client.chat.completions.update(completion_id, metadata={"k": "v"})

    assert updated.metadata == {"k": "v"}
