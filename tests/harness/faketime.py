"""Finds libfaketime, which stands between a program and its clocks."""

from __future__ import annotations

from pathlib import Path


def faketime_library() -> Path | None:
    """Return where the library is; None where it is not installed. Its folder depends on the distribution."""
    folders = [each for lib in (Path("/usr/lib"), Path("/usr/local/lib")) for each in (lib, *sorted(lib.glob("*-*")))]
    places = (folder / "faketime" / "libfaketime.so.1" for folder in folders)
    return next((place for place in places if place.exists()), None)
