"""Text from outside: cleaned where it comes in, made safe to show where it goes out; no API key is left in either.

`sanitize` is for what others wrote and relabel keeps (an API's message, a file's name, a reason): one line of printable
characters, bounded. `printable` is for what people see: a terminal acts on nothing in it. JSON needs neither, as it is
written in ASCII.
"""

from __future__ import annotations

import base64
import binascii
import functools
import html
import json
import re
import string
from collections.abc import Iterator
from urllib.parse import unquote

CODE_CHARS, MESSAGE_CHARS, REQUEST_ID_CHARS, REASON_CHARS = 64, 500, 128, 1000
"""Most that is kept of a code, a server's message, a request id, and a reason; real ones are far shorter."""
OTHER_CODE = "other"
_CODE = re.compile(r"[a-z_]{1,48}(?:\d{3})?")
HIDDEN = "[key]"
"""What stands for a key that was cut out."""
PART_CHARS = 8
"""Characters of a key in a row that count as the key: fewer are no secret, and would make ordinary words unreadable."""
_SHOWN_PART_CHARS = 3
"""Characters at either end of a masked key, such as `abc***xyz`, that give it away as ours."""
_SLACK_CHARS = 1024
"""What is read beyond the bound, so that a key across it is found; an endless text costs no more."""

# prefixes of OpenAI's keys and of our tokens; not after a letter or a hyphen, as `chatcmpl-sk-...` is an id
_KEY_SHAPED = re.compile(
    r"(?<![\w-])(?:(?:sk|sess|rk)-(?:[\w.\-]*\*{2,}[\w*.\-]*|[\w*.\-]{12,})|rlb_[\w-]{20,})", re.IGNORECASE
)
# from the start of a word only: from each of its characters, a long word would take the square of its length
_MASKED = re.compile(
    r"(?<![^\s\"'`<>(){}\[\],;:=*•…])([^\s\"'`<>(){}\[\],;:=*•…]*?)(?:\*{2,}|[•…]+|\.{3,})([^\s\"'`<>(){}\[\],;:=]*)"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_ACTED_ON = re.compile(r"[\x7f-\U0010ffff]")
"""Control characters below stand in JSON as escapes already; the printable ones of these stay."""
_USER_OF_URL = re.compile(r"(?<=://)[^\s/@]+@")
_JSON_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})")

_PUBLIC_STARTS = frozenset({"sk-proj-", "sk-admin-", "sk-admin", "k-admin-", "sk-svcacct-", "sk-svcac"})
"""What many keys begin with is no secret, and may be part of an id."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""Keys are ASCII; `str.lower` may change a text's length."""

_secrets: list[str] = []


def register_secret(secret: str) -> None:
    """Have a secret of this process cut out of all text from now on.

    It is known to the process as a whole, so that no seam depends on being handed the key.
    """
    if secret not in _secrets:
        _secrets.append(secret)


def sanitize(text: str, most: int, *, secret: str = "") -> str:
    """Return text from outside as it may be kept: redacted, on one line, printable, at most `most` characters."""
    text = redact(text[: most + _SLACK_CHARS], secret=secret, strangers=True)
    return _cut(_escaped(" ".join(text.split())), most)


def printable(text: str, most: int | None = None) -> str:
    """Return text as it may be shown: control characters, line ends and direction marks spelled out, keys cut out."""
    if most is not None:
        text = text[: most + _SLACK_CHARS]
    return _cut(_escaped(redact(text)), most)


def printable_lines(text: str) -> str:
    """Return `printable` of each line, for a message of several."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def escaped_json(document: bytes) -> bytes:
    """Return JSON in UTF-8 that says the same, with what a terminal would act on as escapes."""
    if document.isascii() and b"\x7f" not in document:
        return document
    return _ACTED_ON.sub(_json_escape, document.decode()).encode()


def _json_escape(found: re.Match[str]) -> str:
    if found[0].isprintable():
        return found[0]
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def redact(text: str, *, secret: str = "", strangers: bool = False) -> str:
    """Cut the registered secrets and this one out of a text, also in parts, masked, URL-encoded, escaped or in Base64.

    `strangers` also cuts out what has the shape of somebody else's key. Ids of hex digits stay as they are. One that is
    shorter than `PART_CHARS` is a placeholder, as services of one's own take them, and stays.
    """
    for each in (*_secrets, secret):
        if len(each) >= PART_CHARS:
            text = _without(text, each)
    text = _USER_OF_URL.sub("[login]@", text)
    return _KEY_SHAPED.sub(HIDDEN, text) if strangers else text


def _without(text: str, secret: str) -> str:
    for read in (str, unquote, html.unescape, _json_unescaped):
        plain = read(text)
        hidden = _without_parts(plain, secret)
        if hidden != plain:
            text = hidden
    text = _BASE64.sub(lambda found: HIDDEN if _decodes_to(found[0], secret) else found[0], text)
    return _MASKED.sub(lambda found: HIDDEN if _is_masked(found, secret) else found[0], text)


def _without_parts(text: str, secret: str) -> str:
    kept, at = [], 0
    for start, end in _ranges(text.translate(_LOWER), _parts(secret)):
        if text[start:end].lower() not in _PUBLIC_STARTS:
            kept += [text[at:start], HIDDEN]
            at = end
    return "".join([*kept, text[at:]])


def _ranges(text: str, parts: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield where parts of a secret stand, those that overlap or touch as one."""
    begin = end = -1
    for start in range(len(text) - PART_CHARS + 1):
        if text[start : start + PART_CHARS] in parts:
            if start > end:
                if begin >= 0:
                    yield begin, end
                begin = start
            end = start + PART_CHARS
    if begin >= 0:
        yield begin, end


@functools.lru_cache(maxsize=32)
def _parts(secret: str) -> frozenset[str]:
    lowered = secret.translate(_LOWER)
    return frozenset(lowered[at : at + PART_CHARS] for at in range(len(lowered) - PART_CHARS + 1))


def _decodes_to(word: str, secret: str) -> bool:
    try:
        plain = base64.b64decode(word.translate(str.maketrans("-_", "+/")).rstrip("=") + "===").decode("latin-1")
    except binascii.Error:
        return False
    return _without_parts(plain, secret) != plain


def _is_masked(found: re.Match[str], secret: str) -> bool:
    head, tail = found[1], found[2].lstrip("*•….").rstrip(".!?")
    return (len(head) >= _SHOWN_PART_CHARS and secret.startswith(head)) or (
        len(tail) >= _SHOWN_PART_CHARS and secret.endswith(tail)
    )


def _json_unescaped(text: str) -> str:
    return _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text.replace("\\/", "/"))


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 3] + "..."


def known_code(code: str | None) -> str:
    """Return a code where it is one as ours and the API's are, else `other`: a server may put anything there."""
    return code if code and _CODE.fullmatch(code) else OTHER_CODE
