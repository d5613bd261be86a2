"""The API to call and how, from the settings."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from config.api_key import read_api_key
from config.proxy import Proxy, proxy_for
from config.settings import Settings


class Target(NamedTuple):
    """The API to call and how. Times are seconds; `secret` is the key."""

    base_url: str
    secret: str
    auth: str = "bearer"
    version: str | None = None
    organization: str | None = None
    project: str | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    proxy: Proxy | None = None

    def __repr__(self) -> str:
        """Return the endpoint, and never the key."""
        return f"Target({self.base_url!r})"

    def headers(self) -> dict[str, str]:
        """Return the headers that every request carries, except the key (contract section 2)."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "relabel"}
        if self.organization:
            headers["OpenAI-Organization"] = self.organization
        if self.project:
            headers["OpenAI-Project"] = self.project
        return headers

    def key_header(self, secret: str) -> dict[str, str]:
        """Return the header that carries the key."""
        return {"Authorization": f"Bearer {secret}"} if self.auth == "bearer" else {"api-key": secret}


async def read_target(settings: Settings) -> Target:
    """Return what a call to the API needs, with the key as it is now.

    Raises:
        SettingsError: the key cannot be read, or the environment names a proxy that cannot be used.

    """
    return target_of(settings, await asyncio.to_thread(read_api_key, settings))


def target_of(settings: Settings, secret: str) -> Target:
    """Return what a call to the API needs, with this key.

    Raises:
        SettingsError: the environment names a proxy that cannot be used.

    """
    return Target(
        base_url=settings.openai_base_url,
        secret=secret,
        auth=settings.api.auth,
        version=settings.api.version,
        organization=settings.openai_org_id,
        project=settings.openai_project_id,
        timeout_s=settings.api.timeout_s,
        connect_timeout_s=settings.api.connect_timeout_s,
        proxy=proxy_for(settings.openai_base_url),
    )
