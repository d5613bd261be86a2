"""Real files, read the way the command line reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.input_options import InputOptions
from ledger.job_spec import Mode
from ledger.row import Patch, Rejection
from producer.check import check, rows_of
from producer.checked import Checked
from producer.errors import UnreadableFile
from producer.source import open_source

Read = Callable[..., list[Patch | Rejection]]
Refusal = Callable[..., UnreadableFile]
Check = Callable[..., Checked]


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write a file and give the rows it holds."""

    def read_file(name: str, content: str | bytes, **options: Any) -> list[Patch | Rejection]:
        path = tmp_path / name
        path.write_bytes(_bytes(content))
        told = InputOptions(**options)
        with open_source(path, options=told) as source:
            return list(rows_of(source, told))

    return read_file


@pytest.fixture
def refusal(read: Read) -> Refusal:
    """Write a file that must be refused as a whole and give the error."""

    def refuse(name: str, content: str | bytes, **options: Any) -> UnreadableFile:
        with pytest.raises(UnreadableFile) as caught:
            read(name, content, **options)
        assert str(caught.value).startswith(name)
        return caught.value

    return refuse


@pytest.fixture
def checked(tmp_path: Path) -> Any:
    """Write a file and check it whole; what was checked is closed after the test."""
    opened: list[Checked] = []

    def check_file(name: str, content: str | bytes, *, mode: Mode = Mode.MERGE, **options: Any) -> Checked:
        path = tmp_path / name
        path.write_bytes(_bytes(content))
        told = InputOptions(**options)
        with open_source(path, options=told) as source:
            opened.append(check(source, mode=mode, options=told, spool_dir=tmp_path))
        return opened[-1]

    yield check_file
    for one in opened:
        one.close()
