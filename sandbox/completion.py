"""One stored completion, and the shapes it is answered in. Source: recorded answers (contract section 1)."""

from __future__ import annotations

import re
import string
from typing import Any

import msgspec

DEFAULT_MODEL = "gpt-4o-mini-2024-07-18"
"""The model of a completion that was loaded, not created."""
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_DIGITS = {digit: n for n, digit in enumerate(_ALPHABET)}
_ID_EPOCH = 1_576_800_000
_PLAUSIBLE = re.compile(
    r"(chatcmpl[-_]|chat_|resp_)[A-Za-z0-9_-]{6,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_MESSAGE_ID = re.compile(r"chatcmpl-[A-Za-z0-9]{29}-\d+")
_PROMPT: list[dict[str, Any]] = [{"role": "user", "content": "Say this is a test."}]
_ANSWER = "This is a test."


class Completion(msgspec.Struct, gc=False):
    """One stored completion; `visible_at` is the monotonic time from which it can be read.

    That time begins when the machine starts: an hour ago may be below 0.
    `former` holds what it held before each of its last updates, with the monotonic time of that update; `deleted_at` is
    the monotonic time from which it is only shown by a list that lags.
    """

    id: str
    created: int
    metadata: dict[str, str]
    model: str = DEFAULT_MODEL
    visible_at: float = float("-inf")
    prompt: list[dict[str, Any]] | None = None
    former: list[tuple[float, dict[str, str]]] | None = None
    deleted_at: float | None = None

    def update(self, metadata: dict[str, str], *, now: float, lag_s: float) -> None:
        """Hold other metadata; a read that lags is shown the old for so long."""
        if lag_s:
            kept = [(at, held) for at, held in self.former or () if at > now - lag_s]
            self.former = [*kept, (now, self.metadata)]
        self.metadata = metadata

    def metadata_at(self, moment: float) -> dict[str, str]:
        """Return its metadata at a monotonic time."""
        if not self.former:
            return self.metadata
        return next((held for at, held in self.former if at > moment), self.metadata)


def is_plausible(completion_id: str) -> bool:
    """Return whether the id looks like one of a server (contract section 4), and is not a pasted message id."""
    return bool(_PLAUSIBLE.fullmatch(completion_id)) and not _MESSAGE_ID.fullmatch(completion_id)


def new_id(created: int, letters: str) -> str:
    """An id of the recorded form: five base62 characters of time, then 24 of `letters` (contract section 4)."""
    rest, head = created - _ID_EPOCH, ""
    for _ in range(5):
        rest, digit = divmod(rest, 62)
        head = _ALPHABET[digit] + head
    return f"chatcmpl-{head}{letters}"


def created_of(completion_id: str, *, now: int) -> int:
    """The second an id of the recorded form was made, else `now` (contract section 4, age hint)."""
    head = completion_id.removeprefix("chatcmpl-")[:5]
    if len(completion_id) != 38 or any(letter not in _DIGITS for letter in head):
        return now
    seconds = 0
    for letter in head:
        seconds = seconds * 62 + _DIGITS[letter]
    return min(now, _ID_EPOCH + seconds)


def created_answer(completion: Completion) -> dict[str, Any]:
    """Return the answer of create: the object without its metadata (openai/openai-node#1818)."""
    message: dict[str, Any] = {"role": "assistant", "content": _ANSWER, "refusal": None, "annotations": []}
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 14, "completion_tokens": 5, "total_tokens": 19},
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def stored_answer(completion: Completion, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the answer of get, list and update: no refusal, null tool calls, and keys the schema does not have.

    `metadata` is what is shown where that is not what is held.
    """
    message = {"content": _ANSWER, "role": "assistant", "tool_calls": None, "function_call": None}
    return {
        "object": "chat.completion",
        "id": completion.id,
        "model": completion.model,
        "created": completion.created,
        "request_id": "req_sandbox",
        "tool_choice": None,
        "usage": {"total_tokens": 19, "completion_tokens": 5, "prompt_tokens": 14},
        "seed": 0,
        "top_p": 1.0,
        "temperature": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "system_fingerprint": "fp_sandbox",
        "input_user": None,
        "service_tier": "default",
        "tools": None,
        "metadata": completion.metadata if metadata is None else metadata,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "response_format": None,
    }


def message_answers(completion: Completion) -> list[dict[str, Any]]:
    """The messages the completion was made from; their ids are `<completion id>-<n>`."""
    prompt = _PROMPT if completion.prompt is None else completion.prompt
    return [_message(f"{completion.id}-{n}", message) for n, message in enumerate(prompt)]


def _message(message_id: str, message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    return {
        "id": message_id,
        "role": message.get("role", "user"),
        "content": content if isinstance(content, str) else None,
        "content_parts": content if isinstance(content, list) else None,
        "name": message.get("name"),
    }
