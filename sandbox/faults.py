"""Which fault, if any, a request meets: by probability, drawn from the seed, and by script."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sandbox.script import Answer, FaultKind, Rule, Script, checked_rates


class Fault(msgspec.Struct, frozen=True):
    """The fault one request meets, and what it was told about it."""

    kind: FaultKind
    seconds: float | None = None
    answer: Answer | None = None


class _Posted:
    """A rule in force, with its counts."""

    def __init__(self, rule: Rule, number: int, posted: float, started: float) -> None:
        self.rule = rule
        self.number = number
        self.seen: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self._origin = started if rule.since == "start" else posted

    def strikes(
        self, method: str, operation: str, completion_id: str, draw: Callable[[int], float], now: float
    ) -> bool:
        """Return whether the rule strikes this request; counts it as seen if it matches."""
        rule, match = self.rule, self.rule.match
        age = now - self._origin
        if (
            match.method not in (None, method)
            or match.operation not in (None, operation)
            or match.id not in (None, completion_id)
            or age < rule.from_s
            or (rule.until_s is not None and age >= rule.until_s)
        ):
            return False
        scope = completion_id if rule.per_id else ""
        self.seen[scope] += 1
        if self.seen[scope] <= rule.after or (rule.probability < 1 and draw(self.number) >= rule.probability):
            return False
        if rule.times is not None and self.struck[scope] >= rule.times:
            return False
        self.struck[scope] += 1
        return True


class Faults:
    """Everything that can go wrong now. Rules go before probabilities, the first that strikes wins."""

    def __init__(self, *, seed: int, started: float, rates: Mapping[str, float]) -> None:
        self.rates = checked_rates(rates)
        self._key = str(seed).encode()
        self._started = started
        self._number = 0
        self._by_id: dict[str, list[_Posted]] = {}
        self._general: list[_Posted] = []
        self._occurrences: Counter[tuple[str, str]] = Counter()

    def add(self, script: Script, now: float) -> None:
        """Add rules, after those in force, and set the named probabilities (0 removes one)."""
        self.rates = checked_rates({kind.value: rate for kind, rate in self.rates.items()} | script.rates)
        for rule in script.rules:
            self._number += 1
            wanted = rule.match.id
            rules = self._general if wanted is None else self._by_id.setdefault(wanted, [])
            rules.append(_Posted(rule, self._number, now, self._started))

    def clear(self) -> None:
        """Remove all rules and probabilities."""
        self.rates.clear()
        self._by_id.clear()
        self._general.clear()

    def facts(self) -> dict[str, Any]:
        """Return the rules in force, with how often each one struck, and the probabilities."""
        rules = heapq.merge(self._general, *self._by_id.values(), key=lambda posted: posted.number)
        return {
            "rules": [
                {"number": posted.number, "rule": posted.rule, "struck": posted.struck.total()} for posted in rules
            ],
            "rates": self.rates,
        }

    def choose(self, method: str, operation: str, completion_id: str | None, now: float) -> Fault | None:
        """Return the fault of this request, None where there is none.

        Draws depend on the seed, method, id and how often that pair was seen, so the order in which requests for
        different ids arrive changes nothing.
        """
        scope = completion_id or ""
        own = self._by_id.get(scope)
        if not (self._general or own or self.rates):
            return None
        occurrence = self._occurrences[method, scope]
        self._occurrences[method, scope] = occurrence + 1

        def draw(number: int) -> float:
            return self._draw(f"{number} {method} {scope} {occurrence}")

        rules = heapq.merge(self._general, own, key=lambda posted: posted.number) if own else self._general
        for posted in rules:
            if posted.strikes(method, operation, scope, draw, now):
                return Fault(posted.rule.fault, posted.rule.seconds, posted.rule.answer)
        return self._by_rate(draw(0)) if self.rates else None

    def _by_rate(self, draw: float) -> Fault | None:
        for kind, rate in self.rates.items():
            if draw < rate:
                return Fault(kind)
            draw -= rate
        return None

    def _draw(self, what: str) -> float:
        digest = hashlib.blake2b(what.encode("utf-8", "surrogatepass"), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") / 2**64
