"""Probes the service behind the API on one completion, or restores one that a killed probe left changed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from config.errors import RelabelError
from ledger.service_profile import Behaviour
from probe.backup_file import BackupFile
from probe.errors import BackupError, BrokenOff, NotBegun, StillChanged
from relabel.errors import CompletionNotRestored, InvalidInput, ProbeFailed, ProbeInterrupted, Unreachable
from relabel.session import Session

if TYPE_CHECKING:
    from probe.examine import OnStep


async def probe(session: Session, completion_id: str, on_step: OnStep, stopped: asyncio.Event) -> Behaviour | None:
    """Examine the service on this completion, restore it whatever happens, and store and return what was found.

    Where an earlier probe was killed before it could restore the completion, restores it instead and returns None.
    `on_step` is called with each step; `stopped`, once set, ends the probe.

    Raises:
        InvalidInput: the completion, or the folder of the backup, cannot be used; nothing was changed.
        Unreachable: the API cannot be reached or refuses the key; nothing was changed.
        ProbeFailed, ProbeInterrupted: the probe ended early; the completion is restored.
        CompletionNotRestored: the completion could not be restored.

    """
    from probe.session import Watch, probe_completion, restore_completion  # noqa: PLC0415 - loads an HTTP client

    backup = BackupFile(session.settings.state_folder, session.settings.openai_base_url, completion_id)
    try:
        left = backup.read()
        if left is None:
            watch = Watch(on_step, backup.write, backup.remove, stopped)
            return await probe_completion(session.settings, session.ledger, completion_id, watch)
        on_step("an earlier probe was killed before it could restore this completion; restoring it")
        await restore_completion(session.settings, session.ledger, completion_id, left)
        backup.remove()
    except (NotBegun, BrokenOff) as error:
        raise _ended_early(error) from error
    except StillChanged as error:
        raise CompletionNotRestored(str(error), backup.read() or {}, backup.path) from error
    return None


def _ended_early(error: NotBegun | BrokenOff) -> RelabelError:
    """Return the error of a probe after which the completion is as it was before."""
    if isinstance(error, BackupError):
        return InvalidInput(str(error))
    reason = str(error).rstrip(".")
    if isinstance(error, NotBegun):
        return (Unreachable if error.unreachable else InvalidInput)(f"{reason}. Nothing was changed.")
    ended = ProbeInterrupted if error.interrupted else ProbeFailed
    return ended(f"the probe was broken off: {reason}. The completion holds what it held before.")
