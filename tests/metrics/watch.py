"""An endpoint and a real Prometheus with the rules that are shipped, a minute of which is a second here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from metrics.endpoint import endpoint
from tests.harness.cluster import Cluster, settings_for
from tests.harness.wait import wait_until
from tests.metrics.prometheus import prometheus

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
LONGEST_S = 150.0
"""Bound of an alert: each is due within a minute, and the machine may be busy."""


def hurried(rules: str) -> str:
    """The rules with each minute and each hour made a second."""
    rules = re.sub(r"(\[|for: )(\d+)m\b", r"\1\2s", rules)
    return re.sub(r"\* (60|3600)\b", "* 1", rules)


class Watch:
    """An endpoint, which may be ended and started again, and a Prometheus that evaluates the rules."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._stack = ExitStack()
        self._port = 0

    @contextmanager
    def open(self, *, web_port: int = 0, **metrics: Any) -> Iterator[Watch]:
        """Start both, and end them; `web_port` is where a server of the test answers scrapes."""
        self._settings = settings_for(self._cluster.redis.url, self._cluster.sandbox.base_url, metrics=metrics)
        rules = hurried(RULES.read_text(encoding="utf-8"))
        with self._stack:
            self.begin()
            with prometheus(self._port, self._folder, rules=rules, web_port=web_port) as self._ask:
                yield self

    def begin(self) -> None:
        """Let scrapes be answered, at the port of before."""
        self._port = self._stack.enter_context(endpoint(self._settings, address="127.0.0.1", port=self._port))

    def end(self) -> None:
        """Let them find nobody."""
        self._stack.close()

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        return await asyncio.to_thread(self._ask, query)

    async def firing(self) -> dict[str, dict[str, str]]:
        """The alerts that fire now, by name, each with its labels."""
        found = await self.ask('ALERTS{alertstate="firing"}')
        return {one["metric"]["alertname"]: one["metric"] for one in found}

    async def fires(self, *names: str) -> dict[str, dict[str, str]]:
        """Wait until these alerts have all fired, not at one time; give the labels of each."""
        seen: dict[str, dict[str, str]] = {}

        async def all_fired() -> bool:
            seen.update(await self.firing())
            return set(names) <= seen.keys()

        try:
            await wait_until(all_fired, within=LONGEST_S, every=0.25, what=f"{names} fire")
        except AssertionError:
            raise AssertionError(f"only {sorted(seen)} fired, of {names}") from None
        return seen

    async def ends(self, *names: str) -> None:
        """Wait until none of these fires."""

        async def none_fires() -> bool:
            return not set(names) & (await self.firing()).keys()

        await wait_until(none_fires, within=LONGEST_S, every=0.25, what=f"{names} end")
