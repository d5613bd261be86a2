"""What a hostile file, server or Redis may say, and what must be left of it on a terminal."""

from __future__ import annotations

KEY = "sk-proj-Zx81canary-hostile_5d0cQQw7"

HOSTILE = {
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "return": "done\rfailed",
    "line": "one\nrelabel: two",
    "nul": "a\0b",
    "bell": "\x07\x08\x7f",
    "c1": "\x9b31m\x85",
    "direction": "\u202egpj.exe\u2066",
    "separator": "a\u2028b\u2029c",
    "bytes": "\udc9b\udcff",
    "markup": "[red]x[/red][/]",
    "long": "y" * 8000,
    "key": f"Bearer {KEY} {KEY[:14]}",
}
EVERYTHING = " ".join(HOSTILE.values())


def left_in(text: str) -> list[str]:
    """Return what a terminal would act on in an output, and parts of the key; line ends and tabs may stay."""
    acted_on = [repr(char) for char in sorted(set(text)) if not char.isprintable() and char not in "\n\t"]
    parts = [KEY[at : at + 8] for at in range(8, len(KEY) - 7) if KEY[at : at + 8] in text]
    return acted_on + parts
