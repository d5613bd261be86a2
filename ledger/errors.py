"""Errors that several modules of the ledger raise."""

from __future__ import annotations


class StateLost(Exception):
    """The job's keys are gone or torn: the server came back empty, dropped them, or somebody else wrote to them."""
