"""Writes the generated parts of the docs: the table of settings, the page of verbs, the figures that are quoted.

Run `python -m docs.generate` after a change of a setting or of a verb's help; `make bench` runs it, too.
`tests/test_docs.py` compares.
"""

from __future__ import annotations

from pathlib import Path

import click

from cli.main import VERBS, cli
from config.environment import environment_names
from docs.figures import QUOTING, RESULTS, Results, quoted

DOCS = Path(__file__).parent
SETTINGS = DOCS / "settings.md"
VERB_PAGE = DOCS / "verbs.md"
OPENED, CLOSED = "<!-- settings: written by docs/generate.py -->\n", "\n<!-- /settings -->"


def settings_table() -> str:
    """Return every environment variable with its default and description, as a Markdown table."""
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, (model, field) in environment_names().items():
        info = model.model_fields[field]
        default = "" if info.default is None else f"`{info.default}`"
        lines.append(f"| `{name}` | {default} | {info.description} |")
    return "\n".join(lines)


def settings_page() -> str:
    """Return the page of settings with its table written anew."""
    before, _, rest = SETTINGS.read_text(encoding="utf-8").partition(OPENED)
    return before + OPENED + settings_table() + CLOSED + rest.partition(CLOSED)[2]


def verbs_page() -> str:
    """Return the help of every verb as a Markdown page."""
    head = "# Verbs\n\nWhat `relabel VERB --help` shows. `python -m docs.generate` writes this page.\n"
    return "\n".join([head, *(_section(verb) for verb in VERBS)])


def _section(verb: str) -> str:
    parent = cli.make_context("relabel", [], resilient_parsing=True, terminal_width=100)
    command = cli.get_command(parent, verb)
    assert command is not None, verb
    context = click.Context(command, parent=parent, info_name=verb, terminal_width=100)
    parts = [f"## relabel {verb}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            child_help = child.get_help(click.Context(child, parent=context, info_name=name, terminal_width=100))
            parts.append(f"### relabel {verb} {name}\n\n```text\n{child_help}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    SETTINGS.write_text(settings_page(), encoding="utf-8")
    VERB_PAGE.write_text(verbs_page(), encoding="utf-8")
    measured = Results(RESULTS.read_text(encoding="utf-8"))
    for page in QUOTING:
        page.write_text(quoted(page.read_text(encoding="utf-8"), measured), encoding="utf-8")
