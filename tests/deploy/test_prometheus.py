"""The alert rules are sound, tested and documented."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
TESTED = Path(__file__).parent / "alerts.test.yml"
MADE = sorted((ROOT / "tests" / "metrics").glob("test_*alerts.py"))
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (Debian's package prometheus)"
)


def alerts() -> list[tuple[str, str, str]]:
    """Each alert with its summary and its runbook."""
    (group,) = YAML(typ="safe").load(RULES)["groups"]
    return [(rule["alert"], rule["annotations"]["summary"], rule["annotations"]["runbook"]) for rule in group["rules"]]


def test_the_operations_say_what_each_alert_means_and_what_to_do():
    """Its table is that of the rules; paste the left side where this fails."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    shown = text.partition("tests/deploy -->\n")[2].partition("\n<!-- /alerts")[0]
    table = ["| alert | what it means | what to do |", "|---|---|---|"]
    table += [f"| `{name}` | {summary} | {runbook} |" for name, summary, runbook in alerts()]

    assert "\n".join(table) == shown


def test_each_alert_is_tested_to_fire():
    """In the file that promtool runs, and at a real Prometheus with its fault really made (`make soak`)."""
    by_promtool = set(re.findall(r'alertname="(\w+)"', TESTED.read_text(encoding="utf-8")))
    made = {name for path in MADE for name in re.findall(r'"(Relabel\w+)"', path.read_text(encoding="utf-8"))}

    assert {name for name, _, _ in alerts()} == by_promtool == made


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", str(RULES)],
        ["check", "config", str(RULES.parent / "prometheus.yml")],
        pytest.param(["test", "rules", str(TESTED)], marks=pytest.mark.promise),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_promtool_agrees(command):
    """Prometheus' own checker, with the rules' tests."""
    checked = subprocess.run(["promtool", *command], text=True, capture_output=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
