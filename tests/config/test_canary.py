"""The share of a canary, as people write it."""

from __future__ import annotations

import re

import pytest

from config.canary import CanaryShare


@pytest.mark.parametrize(
    ("text", "total", "rows"),
    [
        ("1%", 6_198, 62),
        ("1%", 700, 20),
        ("1%", 2_900, 29),
        ("0.5%", 100_000, 500),
        ("100%", 90_000, 1_000),
        (" 50 ", 6_198, 50),
        ("5", 6_198, 20),
        ("999999999", 6_198, 1_000),
        ("1%", 19, 19),
        ("1%", 0, 0),
    ],
)
def test_a_canary_has_twenty_to_a_thousand_rows(text, total, rows):
    """All rows, where there are fewer."""
    assert CanaryShare.parse(text).rows_of(total) == rows


@pytest.mark.parametrize(
    "text", ["", "0", "0%", "101%", "-1", "1.5", "1 %", "many", "nan%", "1e3", "%", "1%%", "\uff11%"]
)
def test_what_is_no_share_is_refused(text):
    """Nothing is guessed."""
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        CanaryShare.parse(text)
