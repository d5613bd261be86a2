"""The recipe for receivers that are not Slack, as docs/notifications.md has it, on what is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from ledger.job import Counts, JobState
from ledger.job_spec import Kind, Mode
from notify.outbox import Facts, HeldFile, NightFacts, Notice, RejectedFile
from notify.payload import body_of

GUIDE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
JOB = Facts(
    timestamp="2026-11-25T19:30:47.000Z",
    job_id="20261125-193046-34e6b0d1",
    name="<b>a</b> & co.csv",
    kind=Kind.FILE,
    parent=None,
    mode=Mode.MERGE,
    state=JobState.FINISHED,
    reason="all of its rows have ended",
    reason_code=None,
    rows=Counts(total=1, updated=1),
    submitted_at="2026-11-25T19:30:46.000Z",
    finished_at=None,
)
NIGHT = NightFacts(
    timestamp="2026-11-25T19:30:47.000Z",
    date="2026-11-25",
    files=1,
    jobs=1,
    rejected=1,
    held_files=0,
    held=[],
    rejected_files=[RejectedFile("a.csv", None, "it cannot be read")],
    rows=Counts(total=0),
)
HELD = msgspec.structs.replace(NIGHT, held_files=1, held=[HeldFile("b.csv", "job-1", "are these ids?")])
NOTICES = [
    *(Notice("d", "j", msgspec.structs.replace(JOB, state=state), 1.0) for state in JobState if state != "submitting"),
    *(Notice("d", "", None, 1.0, night=night) for night in (NIGHT, HELD)),
]


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: json.loads(body_of(notice))["type"])
def test_a_flow_of_power_automate_takes_each_notification_and_finds_its_text(notice: Notice) -> None:
    """By the schema of its trigger; the message is what its expression names, which Teams shows as HTML."""
    schema: dict[str, Any] = json.loads(re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1])
    (field,) = re.findall(r"@\{triggerBody\(\)\?\['(\w+)'\]\}", GUIDE)
    body = json.loads(body_of(notice))

    jsonschema.validate(body, schema)
    assert body[field].startswith("relabel: ")
    assert "<" not in body[field]


def test_every_field_and_type_is_in_the_guide() -> None:
    """A receiver is written from the guide alone."""
    bodies = [json.loads(body_of(notice)) for notice in NOTICES]
    named = set(re.findall(r"`([\w.]+)`", GUIDE))

    assert {field for body in bodies for field in body} - named == set()
    types = {body["type"] for body in bodies} - {"job.held", "job.running"}
    assert types - named == set()
