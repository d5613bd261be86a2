"""What a value must look like, beyond its type."""

from __future__ import annotations

import base64
import ipaddress
import re
import shlex
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

WHSEC = "whsec_"
"""What stands before a signing secret in Base64. Source: Standard Webhooks specification, "Signature scheme"."""
MOST_PORTS = 65_536
MAX_HOST_CHARS = 253
"""Characters in the name of a host. Source: RFC 1035, section 2.3.4, as text."""
LEAST_SECRET = 16
"""Bytes of a signing secret."""
PERSON = "one word of up to 100 letters, digits and . @ + - _, such as ada@example.org"
"""What the name of a person is."""
_PERSON = re.compile(r"\w[\w.@+-]{0,99}")


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def base_url(value: str) -> str:
    """Return the API's URL without a trailing slash; ValueError says what is wrong with it."""
    parts = http_url(value)
    if parts is None or not parts.hostname:
        raise ValueError("must be a URL such as https://api.openai.com/v1, in plain characters")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, password, query or fragment; the key goes into OPENAI_API_KEY")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must use https, as the key would travel in clear (http is for loopback only)")
    return value.rstrip("/")


def base_url_hint(url: str) -> str:
    """Return how a base URL usually ends, where this one ends otherwise; '' where it does not."""
    return "" if url.endswith("/v1") else "; a base URL usually ends in /v1"


def api_key(value: SecretStr | None) -> SecretStr | None:
    """Return the key without spaces around it; ValueError where it cannot travel in a header."""
    if value is None:
        return None
    key = value.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ValueError("must be one word of plain characters, as it travels in a header")
    return SecretStr(key)


def is_person_name(text: str) -> bool:
    """Return whether a text can be the name of a person (`PERSON`)."""
    return _PERSON.fullmatch(text) is not None


def person_name(value: str) -> str:
    """Return the name of a person; ValueError where it is none."""
    if not is_person_name(value):
        raise ValueError(f"must be {PERSON}")
    return value


def command_line(value: SecretStr) -> SecretStr:
    """Return a command line that can be split into words; ValueError where it cannot."""
    try:
        words = shlex.split(value.get_secret_value())
    except ValueError:
        words = []
    if not words:
        raise ValueError("must be a command with its arguments, quoted as for a shell; it is run without one")
    return value


def is_user_and_password(text: str) -> bool:
    """Return whether the text is `user:password`, both there, in characters that a browser can send."""
    user, _, password = text.partition(":")
    return bool(user and password) and text.isascii() and text.isprintable()


def user_and_password(value: SecretStr | None) -> SecretStr | None:
    """Return the user and password; ValueError where they are none."""
    if value is not None and not is_user_and_password(value.get_secret_value()):
        raise ValueError("must be user:password, in plain characters")
    return value


def webhook_url(value: SecretStr) -> SecretStr:
    """Return the URL of a webhook; ValueError says what is wrong with it."""
    parts = http_url(value.get_secret_value())
    if parts is None:
        raise ValueError("must be a URL such as https://hooks.example.com/relabel, in plain characters")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("must hold no user, password or fragment")
    return value


def signing_secret(value: SecretStr) -> SecretStr:
    """Return the secret that signs notifications, without space around it; ValueError says what is wrong with it."""
    secret = value.get_secret_value().strip()
    if not secret.startswith(WHSEC):
        raise ValueError(f"must be {WHSEC} and Base64, as in {WHSEC}$(openssl rand -base64 24)")
    try:
        signing_key = base64.b64decode(secret.removeprefix(WHSEC), validate=True)
    except ValueError:  # not Base64, or not even ASCII
        raise ValueError(f"must be Base64 after {WHSEC}") from None
    if len(signing_key) < LEAST_SECRET:
        raise ValueError(f"must hold at least {LEAST_SECRET} bytes after {WHSEC}, so that nobody guesses it")
    return SecretStr(secret)


def http_url(value: str) -> SplitResult | None:
    """Return the parts of an http or https URL that HTTP clients can use; None where it is none.

    In ASCII, so that what is shown is what is called: an international name is written in its `xn--` form.
    """
    if not (value.isascii() and value.isprintable()) or " " in value:
        return None
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return None
    sound = parts.scheme in {"https", "http"} and is_host(host) and has_sound_port(parts)
    return parts if sound else None


def is_host(text: str) -> bool:
    """Return whether a text is an IP address, or a name whose labels DNS could know (RFC 1035, section 2.3.4)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return len(text) <= MAX_HOST_CHARS and all(re.fullmatch(r"[A-Za-z0-9_-]{1,63}", label) for label in labels)
    return True


def header_value(value: str | None) -> str | None:
    """Return a value that travels in a header, without space around it; ValueError where it cannot."""
    value = (value or "").strip()
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be of plain characters, as it travels in a header")
    return value or None


def has_sound_port(parts: SplitResult) -> bool:
    """Return whether the port of a URL is a port, or there is none."""
    try:
        return parts.port is None or 0 < parts.port < MOST_PORTS
    except ValueError:
        return False


def said_plainly(message: str) -> str:
    """Return what pydantic says of a value, without the words that it puts in front of a sentence of ours."""
    return message.removeprefix("Value error, ")
