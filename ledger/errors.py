"""Errors that several modules of the ledger raise."""

from __future__ import annotations


class StateLost(Exception):
    """The job's keys are gone or torn: the server came back empty, dropped them, or somebody else wrote to them."""


class NoSuchJob(Exception):
    """There is no job of that id."""


class LeaseLost(Exception):
    """The worker's lease ran out and another may have the shard: what it has to say counts no more."""
