"""Prints values as JSON on standard output."""

from __future__ import annotations

import json
from typing import Any

import click

from ledger.job import Job
from relabel.facts import job_facts


def print_json(job: Job) -> None:
    """Print the job as one JSON object over several lines."""
    print_facts(job_facts(job))


def print_facts(facts: Any, *, one_line: bool = False) -> None:
    """Print JSON in ASCII, so that no terminal acts on what a file or a server put in."""
    click.echo(json.dumps(facts) if one_line else json.dumps(facts, indent=2))
