"""Text from outside is cleaned where it comes in and where it goes out, and no key is in it."""

from __future__ import annotations

import base64
import html
import json
import secrets
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.text import escaped_json, printable, printable_lines, redact, register_secret, sanitize

KEY = "sk-proj-0canary/5d0c+word_9ZxYvW"
AZURE_KEY = "9f86d081884c7d659a2feaa0c55ad015"
ENTRA_TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOi.eyJhdWQiOiJodHRwczovL2Nv.Zm9vYmFy-c2lnbmF0_dXJl"

FORMS = {
    "as it is": lambda key: key,
    "with its header": lambda key: f"Authorization: Bearer {key}",
    "as another header": lambda key: f"api-key={key}",
    "URL-encoded": lambda key: quote(key, safe=""),
    "URL-encoded throughout": lambda key: "".join(f"%{ord(char):02x}" for char in key),
    "within HTML": lambda key: "".join(f"&#{ord(char)};" for char in key),
    "within JSON within JSON": lambda key: json.dumps(key).replace("/", "\\/"),
    "as JSON escapes": lambda key: "".join(f"\\u{ord(char):04x}" for char in key),
    "for basic auth": lambda key: base64.b64encode(f":{key}".encode()).decode(),
    "for URL-safe basic auth": lambda key: base64.urlsafe_b64encode(f"user:{key}".encode()).decode().rstrip("="),
    "in capitals": lambda key: key.upper(),
    "its first half": lambda key: key[: len(key) // 2],
    "its second half": lambda key: key[len(key) // 2 :],
    "masked": lambda key: f"{key[:6]}********{key[-4:]}",
    "masked with dots": lambda key: f"{key[:5]}...{key[-3:]}",
    "its end alone": lambda key: f"****{key[-4:]}",
}
"""Ways in which a server, a proxy or a person may show a key."""


@pytest.mark.parametrize("key", [KEY, AZURE_KEY, ENTRA_TOKEN])
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_cut_out_however_it_is_shown(key, form):
    """Of the key nothing is left that is longer than its ordinary start."""
    shown = FORMS[form](key)

    redacted = redact(f"Incorrect key provided: {shown}. Try again.", secret=key)

    assert "[key]" in redacted
    assert shown not in redacted
    assert not any(key[at : at + 8].lower() in redacted.lower() for at in range(len(key) - 7))


@pytest.mark.parametrize("most", range(40, 80))
def test_a_key_that_is_cut_off_by_the_bound_is_cut_out_before(most):
    """No first half of a key is left at the end of a text."""
    kept = sanitize("x" * 30 + " " + AZURE_KEY * 3, most, secret=AZURE_KEY)

    assert len(kept) <= most
    assert AZURE_KEY[:8] not in kept


@pytest.mark.parametrize(
    "completion_id",
    [
        "b7e23ec29af22b0b4e41da31e868d572",
        "chatcmpl-0a1b2c3d4e5f6071",
        "chatcmpl-sk-proj-abcdefghijklmnop",
        "3f2b8c1e-7d4a-4b9e-a1c2-8d969eef6eca",
        "chatcmpl-ElXmqK9e4XM3V2Q45Qp7DcwZOy2rH",
    ],
)
@pytest.mark.parametrize("key", [KEY, AZURE_KEY])
def test_an_id_that_looks_like_a_key_stays(completion_id, key):
    """Providers' ids are 32 hex digits, UUIDs, or anything."""
    said = f"No completion {completion_id} was found at /v1/chat/completions/{completion_id}"

    assert sanitize(said, 500, secret=key) == said


@pytest.mark.parametrize("key", ["sk-proj-abc123def456", "sess-abcdef123456", "rk-live_7c4a8d09ca", "sk-****1f2a"])
def test_what_looks_like_somebody_elses_key_is_cut_out_of_what_comes_in(key):
    """Another project's key, or a masked one, is a secret, too."""
    assert sanitize(f"Incorrect API key provided: {key}.", 500) == "Incorrect API key provided: [key]"


@pytest.mark.parametrize("key", ["k", "none", "EMPTY", "sk-test"])
def test_a_key_too_short_for_a_secret_leaves_messages_as_they_are(key):
    """Services of one's own take any: that of a letter would be cut out of each word with it."""
    register_secret(key)
    said = f"Incorrect API key {key}: check the keys, EMPTY ones, too; none works"

    assert sanitize(said, 500, secret=key) == printable(said) == said


def test_a_registered_secret_is_cut_out_without_being_named():
    """As no seam is handed the key."""
    key = secrets.token_urlsafe(24)
    register_secret(key)

    assert key not in printable(f"a{key}b") + sanitize(f"a{key}b", 500)


@pytest.mark.parametrize("word", ["x", "-", ".x", "sk-.", "://", "*x", "%41"])
def test_a_long_text_takes_no_longer_than_its_length_warrants(word):
    """A word of 50,000 characters, as Redis may hold one: its square would take half a minute."""
    text = word * (50_000 // len(word))

    assert redact(f"{text} {AZURE_KEY}", secret=AZURE_KEY, strangers=True).endswith(" [key]")


def test_a_login_in_a_url_is_cut_out():
    """Errors of brokers and proxies may name their URL."""
    assert redact("cannot reach redis://user:pa55@host:1/0") == "cannot reach redis://[login]@host:1/0"


HOSTILE = st.text(
    alphabet=st.sampled_from("a \t\n\r\0\x1b\x07\x7f\x9b\x85\u202e\u2028\u2066\ufeff\udc9b\U000e0041é")
    | st.characters(),
    max_size=80,
)


@given(text=HOSTILE, most=st.integers(4, 60))
def test_what_comes_in_is_one_printable_line_of_bounded_length(text, most):
    """Whatever it is; and to clean it once more changes nothing."""
    kept = sanitize(text, most)

    assert kept.isprintable()
    assert len(kept) <= most
    assert sanitize(kept, most) == kept


@given(text=HOSTILE)
def test_what_goes_out_has_nothing_that_a_terminal_acts_on(text):
    """Lines and tabs stay where a message has several."""
    assert printable(text).isprintable()
    assert printable_lines(text).replace("\n", "").replace("\t", "").isprintable()


def test_ordinary_text_stays_as_it_is():
    """Of any script."""
    for text in ("naïve façade", "日本語 テスト", "a [red]b[/red] c", html.escape("<b>"), "50% of 1.5…2"):
        assert printable(text) == sanitize(text, 500) == text


@given(value=HOSTILE.map(lambda text: text.encode("utf-8", "ignore").decode()))
def test_escaped_json_says_the_same_and_no_terminal_acts_on_it(value):
    """The value stays exact."""
    document = msgspec.json.encode({"value": value})

    escaped = escaped_json(document)

    assert json.loads(escaped) == {"value": value}
    assert escaped.decode().isprintable()
