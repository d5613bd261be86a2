"""Stores a completion's metadata on this machine's disk for as long as a probe may leave it changed."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from embedded.private import make_private
from ledger.claims import claim_of
from ledger.row import Metadata
from probe.errors import BackupError

MAX_BYTES = 1 << 20
"""Bytes that are read of a backup, which takes some 40 kB at most; of a longer file, what is read is no backup."""


class Backup(msgspec.Struct):
    """The content of the file."""

    completion_id: str
    metadata: Metadata


class BackupFile:
    """The backup of one completion's metadata, readable by its owner only."""

    def __init__(self, folder: Path, target: str, completion_id: str) -> None:
        self.path = folder / f"probe-{claim_of(target, completion_id)}.json"
        self._completion_id = completion_id

    def read(self) -> Metadata | None:
        """Return what the completion held; None where no probe left it changed.

        Raises:
            BackupError: the file cannot be read.

        """
        try:
            with self.path.open("rb") as file:
                return msgspec.json.decode(file.read(MAX_BYTES), type=Backup).metadata
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise BackupError(
                f"{self.path} cannot be read ({type(error).__name__}); check the file before you go on."
            ) from error

    def write(self, metadata: Metadata) -> None:
        """Write the backup; it is on disk when this returns.

        Raises:
            BackupError: it cannot be written, so nothing may be changed.

        """
        try:
            make_private(self.path.parent)
            with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(Backup(self._completion_id, metadata)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BackupError(
                f"{self.path} cannot be written ({error.strerror}), so nothing was changed; set RELABEL_STATE_DIR."
            ) from error

    def remove(self) -> None:
        """Remove the backup, once the completion is restored."""
        self.path.unlink(missing_ok=True)
