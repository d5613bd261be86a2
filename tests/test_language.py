"""Code, help and docs are written in plain technical English (CONTRIBUTING, "How code reads").

A list of what is known to be wrong, not of what is allowed: add to it what a reader stumbled over.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.main import VERBS, cli
from tests.test_imports import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
HELP_CHARS = 60
"""Characters of a verb's line in `relabel --help`."""

OPENINGS = {"Give", "Gives", "Tell", "Tells", "Say", "Says", "Look", "Looks", "Leave", "Leaves", "Name", "Names"}
"""First words of docstrings that name no standard operation: return, check, raise, log, list are meant."""

BANNED = {
    r"hearings?": "what headers say: `RateLimitHeaders`, `observe`",
    r"tally|tallies|tallied": "counters",
    r"stor(?:y|ies)": "summary",
    r"discretion": "what is hidden, by name",
    r"errands?": "background work",
    r"sightings?": "snapshot",
    r"patiently|patience": "retry while unavailable",
    r"complaints?": "error",
    r"nudg(?:e|es|ed|ing)": "schedule",
    r"knock(?:s|ed)?": "ping",
    r"put(?:s|ting)? (?:\w+ )?down": "pause; stop starting rows",
    r"(?:leave|leaves|left|leaving) word": "record",
    r"tells? of": "log, report",
    r"(?:look|looks|looked|looking) whether": "check whether",
    r"some seconds": "a number of seconds",
    r"(?:is|are|was|were) no (?:check|verb|setting|option)": "unknown check ...; choose from ...",
    r"as it is asked": "as requested",
}
"""Words and phrases that only we would know or that are no idiom, and what is meant."""

ANY_BANNED = re.compile(rf"(?<![a-zA-Z])(?:{'|'.join(BANNED)})(?![a-zA-Z])", flags=re.IGNORECASE)
"""All of them at once: one after the other, they would take four times as long."""

READ = {".py", ".lua", ".md", ".sh", ".yml"}
GENERATED = "verbs.md"
"""Made from the help texts in `cli/`, which are read there."""

FOLDERS = sorted({*PACKAGES, "bench", "docs", "deploy", "examples", "tests"})
OWN = Path(__file__).resolve()
"""This list quotes what it forbids."""


def texts(folder: str) -> Iterator[Path]:
    """Every file of a folder that people read."""
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in READ and "_site" not in path.parts and path.name != GENERATED and path != OWN:
            yield path


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring that says what code does; that of a test is a sentence on a fact."""
    is_of_tests = path.is_relative_to(ROOT / "tests")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            is_fact = is_of_tests and (isinstance(node, ast.Module) or node.name.startswith("test_"))
            if text and not is_fact:
                yield getattr(node, "lineno", 1), text


def banned_in(text: str) -> Iterator[tuple[int, str]]:
    """Line and phrase of what is banned in a text."""
    for found in ANY_BANNED.finditer(text):
        instead = next(said for phrase, said in BANNED.items() if re.fullmatch(phrase, found.group(), re.IGNORECASE))
        yield text.count("\n", 0, found.start()) + 1, f"{found.group()!r}; rather: {instead}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_open_with_a_standard_verb(folder):
    """Return, Read, Write, Send, Wait, Raise, Check; not Give, Tell, Say, Look."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {text.split()[0]}"
        for path in texts(folder)
        if path.suffix == ".py"
        for line, text in docstrings(path)
        if text.split()[0].rstrip(",.") in OPENINGS
    ]

    assert wrong == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_phrase_is_used_that_only_we_know(folder):
    """In code, comments, messages and docs alike."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {found}"
        for path in texts(folder)
        for line, found in banned_in(path.read_text(encoding="utf-8"))
    ]

    assert wrong == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_no_document_at_the_root_uses_one(name):
    """What people read first."""
    assert list(banned_in((ROOT / name).read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_line_in_the_help_is_short(verb):
    """The whole line is shown, and says enough."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    line = (command.help or "").strip().partition("\n\n")[0].replace("\n", " ")

    assert len(line) <= HELP_CHARS, line
