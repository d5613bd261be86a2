"""Scrapes as Prometheus makes them, read with the official parser."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Scrape:
    """One answer of the endpoint."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """A sample's value, None where there is none."""
        return self._samples.get((name, frozenset(labels.items())))

    def total(self, name: str) -> float:
        """All samples of that name together."""
        return sum(value for (each, _), value in self._samples.items() if each == name)

    @property
    def names(self) -> set[str]:
        """The names of all samples, and of the families that have none just now."""
        bare = {family.name + ("_total" if family.type == "counter" else "") for family in self.families}
        return bare | {name for name, _ in self._samples}

    @property
    def counters(self) -> dict[tuple[str, Labels], float]:
        """The samples that must never fall."""
        return {key: value for key, value in self._samples.items() if key[0].endswith("_total")}


def scrape(port: int) -> Scrape:
    """Ask the endpoint on this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return Scrape(answer.read().decode())
