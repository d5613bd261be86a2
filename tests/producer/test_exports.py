"""What a spreadsheet program really writes is read as it is; `exports/README.md` says how the files were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.row import Patch

EXPORTS = Path(__file__).parent / "exports"
IDS = [
    "chatcmpl-0uaQfZwSdk4fRumP48y3Tt3qdGal4",
    "chatcmpl-I0vPebowFBzavAbsO63BBh6XNaBNb",
    "chatcmpl-76DFztpTllkJaYs96hbQCBcTX3giO",
]
KEYS = ("quality", "score", "share", "reviewed", "on", "note")
NOTES = ('says "yes", twice', "two\nlines")


@pytest.mark.parametrize(
    ("name", "delimiter", "good", "bad"),
    [
        (
            "labels.en-US.csv",
            ",",
            ("good", "1234.5", "85%", "TRUE", "11/27/2026"),
            ("schön; naïve", "0.25", "7%", "FALSE", "12/01/2026"),
        ),
        (
            "labels.de-DE.csv",
            ";",
            ("good", "1234,5", "85%", "WAHR", "27.11.2026"),
            ("schön; naïve", "0,25", "7%", "FALSCH", "01.12.2026"),
        ),
    ],
)
def test_an_export_of_libreoffice_is_read_as_its_locale_writes_it(checked, read, name, delimiter, good, bad):
    """Separator, numbers, dates and booleans are its own; the empty row is none, and empty cells name no key."""
    content = (EXPORTS / name).read_bytes()

    assert read("labels.csv", content) == [
        Patch(2, IDS[0], dict(zip(KEYS, (*good, NOTES[0]), strict=True))),
        Patch(3, IDS[1], dict(zip(KEYS, (*bad, NOTES[1]), strict=True))),
        Patch(6, IDS[2], {"note": "-5"}),
    ]
    result = checked("labels.csv", content)
    assert (result.reading.delimiter, result.reading.notices, result.rejected) == (delimiter, (), 0)
