"""What a worker shares with its children is in memory: where it is killed, it leaves no folder behind."""

from __future__ import annotations

import multiprocessing.process
from pathlib import Path

import pytest
from billiard.heap import Arena

from tasks.worker_app import SHARED_MEMORY, share_in_memory


@pytest.mark.skipif(not Path(SHARED_MEMORY).is_dir(), reason=f"{SHARED_MEMORY} is not here")
def test_nothing_is_made_where_files_wait(tmp_path, monkeypatch):
    """The folder that files wait in while they are checked is kept between lives of a worker."""
    monkeypatch.setitem(multiprocessing.process.current_process()._config, "tempdir", None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    share_in_memory()
    arena = Arena(4096)

    assert len(arena.buffer) == 4096
    assert list(tmp_path.iterdir()) == []
