"""Finds what workers and beat do not agree in, although one deployment has to have it alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from config.schedule import Schedule
from config.shared import NIGHTLY
from config.text import printable
from ledger.workers import LivingWorker

BEAT = "beat"
VALUE_CHARS = 80
MOST_NAMES = 5
"""Workers that are named by each value; of more, their number is."""
KEY = "the key (by its fingerprint; RELABEL_RATE__NAME lets several keys share a rate)"


def disagreements(workers: Iterable[LivingWorker], beat: Schedule | None) -> list[str]:
    """Return a clause for each setting that differs, with who has which value; safe to show.

    `beat` is the schedule that beat was started with, None where it is not known.
    """
    said = {worker.name: _said(worker) for worker in workers if worker.facts is not None}
    if beat is not None:
        said[BEAT] = dict(zip(NIGHTLY, beat, strict=True))
    clauses = []
    for setting in sorted({setting for each in said.values() for setting in each}):
        by_value: dict[str, list[str]] = defaultdict(list)
        for name, each in sorted(said.items()):
            if setting in each or (name != BEAT and setting not in {*NIGHTLY, KEY}):
                by_value[each.get(setting, "")].append(name)
        if len(by_value) > 1:
            clauses.append(f"{setting} is {', '.join(_has(value, names) for value, names in by_value.items())}")
    return clauses


def _said(worker: LivingWorker) -> dict[str, str]:
    facts = worker.facts
    if facts is None:
        return {}
    said = {"the version": facts.version, "OPENAI_BASE_URL": facts.base_url} | facts.settings
    if not {"OPENAI_PROJECT_ID", "RELABEL_RATE__NAME"} & facts.settings.keys():
        said[KEY] = facts.key  # each key has a rate of its own then
    return {name: value for name, value in said.items() if value}


def _has(value: str, names: list[str]) -> str:
    who = ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} workers"
    return f"{printable(value, VALUE_CHARS) or 'not set'} ({printable(who, MOST_NAMES * VALUE_CHARS)})"
