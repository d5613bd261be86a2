"""Remembers the embedded server's ledger in the state folder, between two commands and while one runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from embedded.memory_file import read_memory_file, write_memory_file
from ledger.cancellation import end_tasks, is_cancelled
from ledger.connect import AWAY
from ledger.errors import NewerLedger
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector, Memory

EVERY_S = 2.0
"""How often a command that takes longer stores what it sees, so that nothing is forgotten where it is killed."""


@asynccontextmanager
async def remembering(ledger: Ledger, state_dir: Path, *, seen_by: str) -> AsyncIterator[None]:
    """Record what was lost since the last command, and remember what there is for as long as the block runs."""
    keeper = _Keeper(ledger, state_dir, seen_by)
    await keeper.step()
    repeating = asyncio.create_task(keeper.repeat())
    try:
        yield
    finally:
        await end_tasks([repeating])
        await keeper.step()


async def remember_once(ledger: Ledger, state_dir: Path, *, seen_by: str) -> None:
    """Record what was lost since the last command, and remember what there is now."""
    await _Keeper(ledger, state_dir, seen_by).step()


class _Keeper:
    def __init__(self, ledger: Ledger, state_dir: Path, seen_by: str) -> None:
        self._ledger = ledger
        self._state_dir = state_dir
        self._detector = LossDetector(seen_by, _memory(read_memory_file(state_dir)))

    async def step(self) -> None:
        """Compare and remember; what fails here is shown by the command itself, and fails nothing else."""
        with contextlib.suppress(NewerLedger, OSError, *AWAY):
            await self._detector.check(self._ledger)
            content = msgspec.json.encode(self._detector.memory)
            await asyncio.to_thread(write_memory_file, self._state_dir, content)

    async def repeat(self) -> None:
        """Take a step every two seconds, until cancelled."""
        while not is_cancelled():
            await asyncio.sleep(EVERY_S)
            await self.step()


def _memory(stored: bytes | None) -> Memory | None:
    try:
        return None if stored is None else msgspec.json.decode(stored, type=Memory)
    except msgspec.MsgspecError:  # of another release, or torn
        return None
