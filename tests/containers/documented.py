"""The commands of docs/operations.md, so that what is run is what people read."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path


class Documented:
    """Commands of the blocks of shell in a document, each handed out by how it begins; it knows which never were."""

    def __init__(self, document: Path) -> None:
        text = document.read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
        self._commands = {command: False for block in blocks for command in commands_of(textwrap.dedent(block))}

    def command(self, beginning: str) -> str:
        """Return the command that is this, or the one that begins so, without its comment.

        Raises:
            AssertionError: the document has none, or more than one.

        """
        found = [command for command in self._commands if command.startswith(beginning)]
        found = [beginning] if beginning in found else found
        assert len(found) == 1, f"docs/operations.md has {len(found)} commands that begin with {beginning!r}: {found}"
        self._commands[found[0]] = True
        return found[0]

    def not_run(self, program: str) -> list[str]:
        """Return the commands of a program that were never asked for."""
        return [command for command, used in self._commands.items() if program in command and not used]


def commands_of(block: str) -> list[str]:
    """Return the commands of a block. Where one sets a variable, what follows is part of it."""
    commands: list[str] = []
    for line in filter(None, (re.sub(r"(^|\s+)# .*$", "", line) for line in block.splitlines())):
        if commands and re.match(r"\w+=", commands[-1]):
            commands[-1] += f"\n{line}"
        else:
            commands.append(line)
    return commands
