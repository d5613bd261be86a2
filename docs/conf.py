"""How Sphinx builds the docs as a site: `make docs`. The sources are the repository's Markdown files as they are."""

from __future__ import annotations

from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from relabel import __version__

ROOT = Path(__file__).parent.parent

project = "relabel"
author = "the authors of relabel"
version = release = __version__

root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/adr/*.md",
    "examples/*.md",
    "examples/*/*.md",
    "tests/faults/README.md",
    "bench/RESULTS.md",
]
exclude_patterns = ["docs/_site", ".venv", "**/.pytest_cache"]
extensions = ["myst_parser"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"relabel {version}"
html_copy_source = False
html_show_sphinx = False

NAVIGATION = {
    "Guides": [
        "/examples/README",
        "select",
        "files",
        "modes",
        "outcomes",
        "plan",
        "approval",
        "receipt",
        "undo",
        "history",
        "rate",
        "workers",
        "python",
        "http",
        "console",
        "nightly",
        "notifications",
    ],
    "Reference": ["verbs", "settings", "comparison"],
    "Operations": ["operations", "monitoring", "flower", "reliability", "/SECURITY"],
    "How it works": ["architecture", "walkthrough", "states", "glossary", "adr/README", "/tests/faults/README"],
    "Project": ["/CONTRIBUTING", "/CHANGELOG", "/bench/RESULTS"],
}
"""The pages in the order of the site's sidebar, from docs/ unless they begin with a slash."""


def setup(app: Sphinx) -> None:
    """Add the sidebar to the start page, and show diagrams as text: no script is loaded from elsewhere."""
    for language in ("mermaid", "csv"):
        app.add_lexer(language, TextLexer)
    app.connect("source-read", add_navigation)
    app.connect("build-finished", redirect_index)


def add_navigation(app: Sphinx, name: str, content: list[str]) -> None:
    """Append the tables of contents, which a repository's host would not show, to the start page."""
    if name == "README":
        content[0] += "".join(toctree(app, title, pages) for title, pages in NAVIGATION.items())
    elif name in {"docs/adr/README", "examples/README"}:
        folder = name.removesuffix("README")
        pages = sorted(page for page in app.env.found_docs if page.startswith(folder) and page != name)
        content[0] += "\n".join(["\n```{toctree}\n:hidden:", *(page.removeprefix(folder) for page in pages), "```\n"])


def toctree(app: Sphinx, title: str, pages: list[str]) -> str:
    """Return a hidden table of contents of the pages that are there."""
    paths = [page if page.startswith("/") else f"/docs/{page}" for page in pages]
    there = [path for path in paths if path.removeprefix("/") in app.env.found_docs]
    return "\n".join(["\n```{toctree}\n:hidden:", f":caption: {title}", *there, "```\n"])


def redirect_index(app: Sphinx, failure: Exception | None) -> None:
    """Write the page that a web server shows for the folder."""
    if failure is None:
        page = '<!doctype html><meta http-equiv="refresh" content="0; url=README.html"><title>relabel</title>\n'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")
