"""The settings of `relabel serve`, and the scopes that a token or a proxy's user may have."""

from __future__ import annotations

import enum
import ipaddress
import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FilePath, model_validator

from config.groups import Group

_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


class Scope(enum.StrEnum):
    """What a caller of the HTTP API may do; each of them includes `read`, and nothing else."""

    READ = "read"
    SUBMIT = "submit"
    CONTROL = "control"
    APPROVE = "approve"
    ADMIN = "admin"


def parse_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes of a list such as `read,control`; raise ValueError with what is none."""
    words = [word.strip() for word in text.split(",")]
    if unknown := sorted(set(words) - set(Scope)):
        raise ValueError(f"{unknown[0]!r} is no scope; choose from {', '.join(Scope)}")
    return frozenset(map(Scope, words))


def scopes_text(text: str) -> str:
    """Return a list of scopes that can be read; raise ValueError with what is none."""
    parse_scopes(text)
    return text


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return the networks of a list of addresses such as `10.0.0.5,fd00::/8`; raise ValueError with what is none."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))


def networks_text(text: str) -> str:
    """Return a list of addresses that can be read; raise ValueError with what is none."""
    try:
        found = networks(text)
    except ValueError:
        raise ValueError("must be addresses or networks, such as 10.0.0.5,fd00::/8") from None
    if any(each.prefixlen == 0 for each in found):
        raise ValueError("must not be every address; name those of your proxies")
    return text


def header_name(text: str) -> str:
    """Return the name of a header; raise ValueError where it is none that a proxy may set."""
    if not _HEADER.fullmatch(text) or text.lower() in {"authorization", "cookie", "host", "origin"}:
        raise ValueError("must be a header of its own, such as X-Forwarded-User")
    return text


class WebSettings(Group):
    """Where `relabel serve` listens, whom it lets in, and how much a caller may ask of it."""

    address: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that `relabel serve` listens on; any but loopback needs a certificate or trusted proxies.",
    )
    port: int = Field(8400, ge=1, le=65_535, description="Port that `relabel serve` listens on.")
    allowed_hosts: str | None = Field(None, description="More host names that it answers to, separated by commas.")
    cert_file: FilePath | None = Field(None, description="Certificate for TLS, a PEM file.")
    key_file: FilePath | None = Field(None, description="Key of the certificate, a PEM file.")
    trusted_proxies: Annotated[str | None, AfterValidator(lambda value: value and networks_text(value))] = Field(
        None, description="Addresses or networks of proxies whose `X-Forwarded-*` and user header count."
    )
    user_header: Annotated[str | None, AfterValidator(lambda value: value and header_name(value))] = Field(
        None, description="Header in which a trusted proxy names the person that it signed in."
    )
    proxy_scopes: Annotated[str, AfterValidator(scopes_text)] = Field(
        "read", description="Scopes of the persons that a trusted proxy names."
    )
    upload_gib: float = Field(1.0, gt=0, le=1_000_000, description="Maximum size of an upload in GiB, as it is sent.")
    upload_minutes: float = Field(60.0, gt=0, le=1440, description="Time that an upload may take.")
    requests_per_minute: float = Field(
        6000.0, gt=0, le=10_000_000, description="Requests of one token or person; beyond them the answer is 429."
    )
    connections: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="Connections at the same time; one more takes the place of one that waits for a request.",
    )

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("CERT_FILE and KEY_FILE belong together; set both or neither")
        return self

    @model_validator(mode="after")
    def _user_header_needs_proxies(self) -> Self:
        if self.user_header and not self.trusted_proxies:
            raise ValueError("USER_HEADER counts from trusted proxies only; set TRUSTED_PROXIES")
        return self
