"""The documents tell the truth where a test can know it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli.main import VERBS, cli
from docs.figures import FIGURES, QUOTING, RESULTS, Results, quoted
from docs.generate import SETTINGS, VERB_PAGE, settings_page
from ledger.job import JobState
from ledger.row import OUTCOMES

ROOT = Path(__file__).parent.parent
MADE = ("secrets/", "docs/_site/")
"""What a script makes where it is run."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"))
    if "_site" not in path.parts
)
REGENERATE = "run `.venv/bin/python -m docs.generate`"


def test_the_settings_table_is_that_of_the_model():
    """Every setting is in docs/settings.md with its default and description."""
    assert SETTINGS.read_text(encoding="utf-8") == settings_page(), REGENERATE


@pytest.mark.whole
def test_the_page_of_verbs_is_that_of_the_command_line():
    """Every option and help text; written in a process of its own, as click keeps what another test made of -h."""
    code = "from docs.generate import verbs_page; print(verbs_page(), end='')"

    written = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, encoding="utf-8")

    assert VERB_PAGE.read_text(encoding="utf-8") == written.stdout, REGENERATE


@pytest.mark.parametrize("page", QUOTING, ids=lambda page: page.name)
def test_quoted_figures_are_those_that_were_measured(page):
    """A figure in a page is a cell of bench/RESULTS.md, or made of some."""
    text = page.read_text(encoding="utf-8")

    assert quoted(text, Results(RESULTS.read_text(encoding="utf-8"))) == text, REGENERATE
    assert "<!-- figure: " in text


def test_no_other_page_gives_a_figure_of_cost():
    """It would not change with the next run."""
    cost = re.compile(r"\d (?:µs|ms of CPU|rows/s)\b")
    unquoted = {
        name: found
        for name in DOCUMENTS
        if name != "CHANGELOG.md" and not name.startswith("docs/adr/")
        for found in cost.findall((ROOT / name).read_text(encoding="utf-8"))
    }

    assert unquoted == {}


def test_a_figure_comes_from_the_first_number_of_its_cell():
    """Of a median with its least and most, the median."""
    table = "| | CPU µs a row | rows/s |\n|---|---|---|\n| a row | 1,773 (1,690 to 1,815) | 564 |"
    results = Results(f"<!-- cost: written by make bench -->\n{table}\n<!-- /cost -->")

    assert results.number("cost", "a row", "CPU µs a row") == 1773
    with pytest.raises(LookupError):
        results.number("cost", "another", "CPU µs a row")
    assert FIGURES


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


def test_the_diagrams_of_states_show_the_states_that_are_stored():
    """And the scripts named in them are there."""
    text = (ROOT / "docs/states.md").read_text(encoding="utf-8")
    diagrams = re.findall(r"```mermaid\n(.*?)```", text, flags=re.DOTALL)
    jobs, lists, shards, rows = (set(re.findall(r"(?<=> )\w+|\w+(?= -->)", diagram)) for diagram in diagrams)

    assert jobs == set(JobState) - {JobState.LOST}
    assert lists == {"unread", "stored"}
    assert shards == {"waiting", "announced", "leased", "closed"}
    assert rows == {"pending", *OUTCOMES}
    scripts = {path.name for path in ROOT.glob("ledger/lua/*.lua")}
    assert set(re.findall(r"\w+\.lua", text)) <= scripts


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_a_document_names_is_there(name):
    """A path in backticks, and the target of a link, leads somewhere; so does the heading that a link names."""
    text = prose(name)
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        if heading:
            assert heading in anchors(path.read_text(encoding="utf-8")), f"{target}#{heading}"
    if name == "CHANGELOG.md":  # speaks of what was
        return
    for path in re.findall(r"`([a-z_]+/[\w./-]*)`", text):
        assert path.startswith(MADE) or (ROOT / path).exists() or ((ROOT / name).parent / path).exists(), path


def prose(name: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as the repository's host and the site make them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_has_its_place_in_the_sidebar_of_the_site():
    """`make docs` refuses a page that has none."""
    tree = ast.parse((ROOT / "docs/conf.py").read_text(encoding="utf-8"))
    navigation = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NAVIGATION"
    )
    placed = {page for pages in navigation.values() for page in pages if "/" not in page}

    assert placed == {path.stem for path in (ROOT / "docs").glob("*.md")}


def test_every_guide_is_reachable():
    """Each page of docs/ is linked from the README or from another page of docs/."""
    linked = {
        ((ROOT / name).parent / target).resolve()
        for name in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", prose(name))
    }

    guides = {path for path in (ROOT / "docs").rglob("*.md") if "_site" not in path.parts and path.name != "index.md"}
    assert {path for path in guides if path.resolve() not in linked} == set()


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
