"""The documents tell the truth where a test can know it."""

import re
from pathlib import Path

import click
import pytest

from cli.main import VERBS, cli
from config.environment import environment_names

ROOT = Path(__file__).parent.parent
MADE = "secrets/"
"""What a script makes where it is run."""
README = (ROOT / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    lines = ["| variable | default | what it is |", "|---|---|---|"]
    for name, (model, field) in environment_names().items():
        info = model.model_fields[field]
        default = "" if info.default is None else f"`{info.default}`"
        lines.append(f"| `{name}` | {default} | {info.description} |")
    return "\n".join(lines)


def test_the_settings_table_is_that_of_the_model():
    """Every setting is in the README with its default and description; paste the left side where this fails."""
    shown = README.partition("tests/test_docs.py -->\n")[2].partition("\n<!-- /settings")[0]

    assert settings_table() == shown


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_is_in_the_readme_and_explains_itself(verb):
    """A verb has a row in the README's table, a help text with an example, and a help for each option."""
    command = cli.get_command(click.Context(cli), verb)

    assert f"| `relabel {verb}" in README
    assert f"relabel {verb}" in (command.help or "")
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_no_verb_is_in_the_readme_that_does_not_exist():
    """The table of verbs promises nothing."""
    named = set(re.findall(r"^\| `relabel (\w+)", README, flags=re.MULTILINE))

    assert set(VERBS) == named


def test_every_file_the_documents_name_is_there():
    """A path in backticks, and the target of a link, leads somewhere."""
    for name in ("README.md", "ARCHITECTURE.md", "SECURITY.md", "docs/operations.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"
        for path in re.findall(r"`([a-z_]+/[\w./]*)`", text):
            assert path.startswith(MADE) or (ROOT / path).exists(), f"{name}: {path}"


PROMISED = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8")))
)


@pytest.mark.parametrize(("path", "name"), PROMISED, ids=[name for _, name in PROMISED])
def test_a_promise_of_security_md_names_a_test_that_exists(path, name):
    """A renamed test must not leave a promise without anything that keeps it."""
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_promise_of_security_md_names_a_test():
    """No row of the table of promises goes without."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = text.partition("## Promises")[2].partition("\n## ")[0].split("|---|---|\n")[1].strip().splitlines()

    assert [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+`", row)] == []
