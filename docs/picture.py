"""Draws docs/rehearsal.svg: a real rehearsal in a real terminal of 80 x 24, as tmux captured it.

Run `python docs/picture.py` with tmux installed, after a change of what `relabel run` shows.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "rehearsal.svg"
COLUMNS, LINES = 80, 24
COMMAND = "relabel run --sandbox examples/relabel.csv"
DONE = "requests sent"
"""What the summary's last line says."""
DEADLINE_S = 120.0


def capture() -> str:
    """Return the terminal's content with its colours, once the rehearsal has ended.

    Raises:
        TimeoutError: it did not end in time.

    """
    socket = f"relabel-{os.getpid()}"
    tmux = ["tmux", "-L", socket, "-f", "/dev/null"]
    with tempfile.TemporaryDirectory() as state:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PS1": "$ ",
            "TERM": "tmux-256color",
            "RELABEL_STATE_DIR": state,
            "RELABEL_RATE__PER_MINUTE": "6000",
        }
        shell = ["new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "bash --norc"]
        subprocess.run([*tmux, *shell], check=True, cwd=ROOT, env=environment)
        try:
            subprocess.run([*tmux, "send-keys", f"clear; {COMMAND}", "Enter"], check=True)
            until = time.monotonic() + DEADLINE_S
            while time.monotonic() < until:
                shown = subprocess.run([*tmux, "capture-pane", "-p", "-e"], check=True, capture_output=True, text=True)
                if DONE in shown.stdout:
                    return shown.stdout
                time.sleep(0.2)
            raise TimeoutError(f"the rehearsal did not end within {DEADLINE_S:.0f} s")
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def draw(shown: str) -> None:
    """Write the picture of a terminal's content."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    console.print(f"$ {COMMAND}", highlight=False)
    for line in shown.rstrip().removesuffix("$").rstrip().splitlines():
        console.print(Text.from_ansi(line), highlight=False)
    without_fonts_from_elsewhere = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(PICTURE), title="relabel", code_format=without_fonts_from_elsewhere)


if __name__ == "__main__":
    if shutil.which("tmux") is None:
        sys.exit("tmux is not installed; install it to draw the picture anew.")
    draw(capture())
