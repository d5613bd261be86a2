"""The operations of the API: one function each, from a call to a reply. Source: contract section 1."""

from __future__ import annotations

import random
import string
import time
from typing import Any

from sandbox.completion import Completion, created_answer, message_answers, new_id, stored_answer
from sandbox.errors import ApiError, bad_request, completion_not_found
from sandbox.generate import generate
from sandbox.metadata import check_metadata, check_pairs, stored_values, wrong_type
from sandbox.options import SandboxOptions
from sandbox.query import read_query
from sandbox.reply import Reply, json_reply
from sandbox.routes import Call
from sandbox.store import Store

_LETTERS = string.digits + string.ascii_letters
_ARRIVALS = 1 << 32
"""Seed of the first completion that arrives, unlike any that a person gives."""
_MOST_ARRIVALS = 10_000
"""Completions that arrive between two calls at most."""


class Operations:
    """The six operations over one store. `document` is the decoded body, None where it was not JSON."""

    def __init__(self, store: Store, *, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)
        self._arrived, self._arrived_at = 0, time.monotonic()

    def delete_cursor(self, call: Call, options: SandboxOptions) -> None:
        """Delete the completion after which a list is to begin, if the call is one for a list that does."""
        after = read_query(call.query).after if call.operation == "list" else None
        if after is not None and after in self._store:
            self._store.delete(after, lag_s=options.list_lag_s)

    def perform(self, call: Call, document: Any, options: SandboxOptions) -> Reply:
        """Carry out a call; a refusal is a reply too."""
        self._arrive(options.arrivals_per_second)
        try:
            match call.operation:
                case "create":
                    reply = self._create(document, options)
                case "list":
                    reply = self._list(call, options)
                case "update":
                    reply = self._update(call, document, options)
                case "messages":
                    reply = self._messages(call, options)
                case "delete":
                    reply = self._delete(call, options)
                case _:
                    completion = self._find(call, options)
                    shown = completion.metadata_at(time.monotonic() - options.read_lag_s)
                    reply = json_reply(stored_answer(completion, shown))
        except ApiError as error:
            return error.reply()
        return reply

    def _arrive(self, per_second: float) -> None:
        """Store the completions that others have created since the last call."""
        now = time.monotonic()
        due = min(int((now - self._arrived_at) * per_second), _MOST_ARRIVALS) if per_second else 0
        if due or not per_second:
            self._arrived_at = now
        for completion in generate(due, seed=_ARRIVALS + self._arrived, now=int(time.time()), days=0):
            self._store.add(completion)
        self._arrived += due

    def _create(self, document: Any, options: SandboxOptions) -> Reply:
        body = _fields(document, required=("messages", "model"))
        metadata = body.get("metadata")
        if body.get("stream"):
            raise bad_request("The sandbox does not stream.", code="unsupported_value", param="stream")
        if not isinstance(body["messages"], list):
            raise wrong_type("messages", "an array", body["messages"])
        if metadata is not None and not body.get("store"):
            message = "The 'metadata' parameter is only allowed when 'store' is enabled."
            raise bad_request(message, code=None, param="metadata")
        if metadata is not None:
            check_pairs(check_metadata(metadata))
        now = int(time.time())
        completion = Completion(
            id=new_id(now, "".join(self._random.choices(_LETTERS, k=24))),
            created=now,
            metadata=metadata or {},
            model=str(body["model"]),
            visible_at=time.monotonic() + options.visibility_lag_s,
            prompt=[message for message in body["messages"] if isinstance(message, dict)],
        )
        if body.get("store"):
            self._store.add(completion)
        return json_reply(created_answer(completion), applied=bool(body.get("store")))

    def _list(self, call: Call, options: SandboxOptions) -> Reply:
        query = read_query(call.query)
        after = query.after
        if after is not None and after not in self._store:
            if options.deleted_cursor == "empty":
                return _page([], query.limit)
            if options.deleted_cursor == "refused":
                raise completion_not_found(after)
            if options.deleted_cursor == "ignored":
                after = None
        place = None if after is None else self._store.place(after)
        if after is not None and place is None:
            raise completion_not_found(after)
        moment = time.monotonic() - options.list_lag_s
        # Unlike the specification says, the recorded default is descending (contract section 1).
        found: list[Any] = []
        for completion in self._store.walk(place, descending=query.order != "asc", lag_s=options.list_lag_s):
            shown = completion.metadata_at(moment)
            if query.model not in (None, completion.model) or not query.metadata.items() <= shown.items():
                continue
            found.append(stored_answer(completion, shown))
            if len(found) > query.limit:
                break
        return _page(found, query.limit)

    def _messages(self, call: Call, options: SandboxOptions) -> Reply:
        query = read_query(call.query)
        messages = message_answers(self._find(call, options))
        if query.order == "desc":
            messages.reverse()
        if query.after is not None:
            places = [n for n, message in enumerate(messages) if message["id"] == query.after]
            if not places:
                raise bad_request(f"Message {query.after} not found", code="not_found", param="after")
            messages = messages[places[0] + 1 :]
        return _page(messages[: query.limit + 1], query.limit)

    def _update(self, call: Call, document: Any, options: SandboxOptions) -> Reply:
        body = _fields(document, required=("metadata",))
        if unknown := [name for name in body if name != "metadata"]:
            raise bad_request(f"Unknown parameter: '{unknown[0]}'.", code="unknown_parameter", param=unknown[0])
        # What null does is not known (contract section 1): here it is the empty map.
        metadata = {} if body["metadata"] is None else check_metadata(body["metadata"])
        completion = self._find(call, options)
        if options.semantics == "merge":
            metadata = completion.metadata | metadata
        check_pairs(metadata)
        lag_s = max(options.read_lag_s, options.list_lag_s)
        completion.update(stored_values(metadata, options.values), now=time.monotonic(), lag_s=lag_s)
        return json_reply(stored_answer(completion), applied=True)

    def _delete(self, call: Call, options: SandboxOptions) -> Reply:
        completion = self._store.find(call.id or "")
        if completion is None:
            raise completion_not_found(call.id or "")
        self._store.delete(completion.id, lag_s=options.list_lag_s)
        answer = {"object": "chat.completion.deleted", "id": completion.id, "deleted": True}
        return json_reply(answer, applied=True)

    def _find(self, call: Call, options: SandboxOptions) -> Completion:
        completion = self._store.find(call.id or "", make_plausible=options.accept_any_id)
        if completion is None:
            raise completion_not_found(call.id or "")
        return completion


def _fields(document: Any, *, required: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise bad_request("We could not parse the JSON body of your request.", code=None)
    for name in required:
        if name not in document:
            message = f"Missing required parameter: '{name}'."
            raise bad_request(message, code="missing_required_parameter", param=name)
    return document


def _page(found: list[Any], limit: int) -> Reply:
    data = found[:limit]
    return json_reply(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": len(found) > limit,
        }
    )
