"""The use cases behind every door: values and functions without click, rich or printing; and the door of Python.

Loading the package loads next to nothing: what a program uses of it is loaded then, Celery and an HTTP client only when
something is sent.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.errors import RelabelError, SettingsError
    from ledger.errors import LedgerUnreachable, NeedsApproval, NoSuchJob
    from producer.errors import UnreadableFile
    from relabel import aio
    from relabel.errors import (
        AlteredPlan,
        InvalidInput,
        JobExpired,
        NeedsConfirmation,
        NotAnApprover,
        OtherDigest,
        OwnJob,
        RowsFailed,
        RowsLost,
        RowsRejected,
        Unreachable,
        WorkerDied,
        WrongState,
    )
    from relabel.input_rows import REMOVE
    from relabel.job_status import JobStatus
    from relabel.sync import Client, connect
    from relabel.sync_job_handle import Job

__version__ = "0.2.0"

__all__ = [
    "REMOVE",
    "AlteredPlan",
    "Client",
    "InvalidInput",
    "Job",
    "JobExpired",
    "JobStatus",
    "LedgerUnreachable",
    "NeedsApproval",
    "NeedsConfirmation",
    "NoSuchJob",
    "NotAnApprover",
    "OtherDigest",
    "OwnJob",
    "RelabelError",
    "RowsFailed",
    "RowsLost",
    "RowsRejected",
    "SettingsError",
    "Unreachable",
    "UnreadableFile",
    "WorkerDied",
    "WrongState",
    "aio",
    "connect",
]

_FROM = {
    **dict.fromkeys(("Client", "connect"), "relabel.sync"),
    "Job": "relabel.sync_job_handle",
    **dict.fromkeys(("RelabelError", "SettingsError"), "config.errors"),
    **dict.fromkeys(("LedgerUnreachable", "NeedsApproval", "NoSuchJob"), "ledger.errors"),
    "UnreadableFile": "producer.errors",
    "REMOVE": "relabel.input_rows",
    "JobStatus": "relabel.job_status",
}
"""Where the names of Python's door come from; those that are not here are errors of the use cases."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'relabel' has no attribute {name!r}")
    if name == "aio":
        return importlib.import_module("relabel.aio")
    return getattr(importlib.import_module(_FROM.get(name, "relabel.errors")), name)
