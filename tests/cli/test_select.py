"""`relabel select` as people type it: its screen, its exit codes, its documents, and Ctrl-C."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import click
import pytest

from cli.commands.select import select_command
from cli.main import cli
from sandbox.completion import Completion, new_id
from selection.expression import compile_where
from tests.harness.program import start_program

ROOT = Path(__file__).parents[2]
NOON = 1_795_000_000
KEY = {"OPENAI_API_KEY": "sk-select-key-0123456789", "RELABEL_RATE__PER_MINUTE": "60000"}


@pytest.fixture
async def sandbox_of(start):
    """The API's stand-in."""
    return await start()


@pytest.fixture
async def service(sandbox_of, tmp_path):
    """Settings that name a sandbox of 301 completions."""
    sandbox = sandbox_of
    for number in range(300):
        created = NOON + number
        metadata = {"team": ("search", "docs")[number % 2]} | ({"score": "0.9"} if number % 3 else {})
        sandbox.store.add(Completion(new_id(created, f"{number:024d}"), created, metadata))
    return KEY | {"OPENAI_BASE_URL": sandbox.base_url, "RELABEL_STATE_DIR": str(tmp_path / "state")}


async def test_the_screen_says_what_was_read_and_found(relabel, service, tmp_path):
    """Numbers under each other; standard output is left alone."""
    where = 'metadata.team == "search" and number(metadata.score) >= 0.8'

    ended = await relabel("select", "--where", where, "--set", "dataset=eval", "-o", "out.csv", **service)

    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        "Read     301 completions, 4 requests\n"
        "Matched  100   (50 left out: metadata.score missing or no number)\n"
        "Wrote    100 rows to out.csv\n"
        "Next: relabel plan out.csv  (shows what it would change)\n"
    )
    assert (tmp_path / "out.csv").read_bytes().count(b"\r\n") == 101


async def test_values_to_be_edited_are_planned_once_they_are(relabel, service):
    """The command is one that a shell takes, whatever the file's name."""
    ended = await relabel("select", "--keys", "team", "--limit", "1", "-o", "my edit.csv", **service)

    following = "Next: relabel plan 'my edit.csv'  (shows what it would change, once it is edited)"
    assert ended.err.splitlines()[-1] == following


async def test_facts_are_json_and_nothing_found_is_1(relabel, service):
    """On standard output."""
    ended = await relabel("select", "--metadata", "team=none", "--json", "-o", "out.csv", **service)

    facts = json.loads(ended.out)
    assert ended.code == 1
    assert ended.err.endswith("Matched  0\nNothing matched, so out.csv was not written.\n")
    assert facts.pop("seconds") >= 0
    assert facts == {
        "read": 0,
        "matched": 0,
        "left_out": {},
        "requests": 1,
        "output": None,
        "rows": 0,
        "doubts": [],
    }


async def test_a_file_that_names_no_key_has_no_next_step(relabel, service):
    """A plan of it is refused, as nothing would change."""
    ended = await relabel("select", "-o", "out.csv", **service)

    assert ended.err.endswith("Wrote    301 rows to out.csv\n")


async def test_rows_on_standard_output_can_be_piped_on(relabel, service):
    """As JSON Lines."""
    ended = await relabel("select", "--limit", "5", "--set", "k=v", "-o", "-", **service)

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert (ended.code, len(rows), rows[0]["metadata"]) == (0, 5, {"k": "v"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--where", "metadata.score > 0.8"], "metadata values are text; write number(metadata.score) > 0.8"),
        (["--where", 'metadata.a matches "a("'], "--where, column 20: the pattern cannot be used"),
        (["--set", "k=v", "-o", "out.txt"], "name the file .csv or .jsonl"),
        (["-o", "-", "--json"], "leave one out"),
        (["--keys", '"a'], "keys with commas"),
        (["--model", ""], "--model is empty"),
        (["--set", "k=v", "-o", "x" * 300 + ".csv"], "File name too long"),
        (["--set", "k=v", "--plan", "-o", "out.csv"], "leave it out, or --plan"),
        (["--keys", "k", "--plan"], "plan the edited file"),
        (["--plan"], "say what, with --set"),
        (["--yes"], "--yes goes with --plan or --apply"),
        (["--set", "k=v", "--plan", "--apply"], "leave --plan out"),
        (["--set", "k=v", "--plan", "--max-changes", "5"], "--max-changes goes with --apply"),
        (["--set", "k=v", "--apply"], "--apply needs --yes and --max-changes N"),
        (["--set", "k=v", "--apply", "--yes"], "--apply needs --yes and --max-changes N"),
    ],
)
async def test_what_cannot_be_used_is_2_before_anything_is_sent(relabel, arguments, said):
    """There is not even an API."""
    ended = await relabel("select", *arguments, **KEY, OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert ended.code == 2
    assert said in " ".join(ended.err.split())


@pytest.mark.promise
async def test_a_plan_of_a_selection_reads_nothing_twice(relabel, service, sandbox_of):
    """The values of the pages are its own; the list is all that was asked for, but for a look at the API."""
    where = 'metadata.team == "search" and has(metadata.score)'

    ended = await relabel("select", "--where", where, "--set", "team=docs", "--plan", "--run", "--json", **service)

    plan = json.loads(ended.out)
    assert (ended.code, plan["kind"], plan["state"]) == (0, "plan", "finished")
    assert (plan["rows"]["total"], plan["rows"]["would_change"], plan["requests"]["sent"]) == (100, 100, 0)
    assert plan["changes"] == [{"key": "team", "before": "search", "after": "docs", "rows": 100}]
    assert {entry.operation for entry in sandbox_of.log.entries} == {"list"}
    assert "Matched  100\n" in ended.err


async def test_a_selection_is_applied_on_one_screen(relabel, service, sandbox_of, tmp_path):
    """What was found, what would change, the apply; nothing is kept for the next one.

    A completion that has no room for another key fails in the plan, so that not all went well.
    """
    full = {"score": "1"} | {f"k{number}": "v" for number in range(15)}
    sandbox_of.store.add(Completion(new_id(NOON, f"{400:024d}"), NOON, full))
    options = ("--where", "has(metadata.score)", "--set", "dataset=eval", "--apply", "--run", "--yes")

    ended = await relabel("select", *options, "--max-changes", "200", **service)

    assert ended.code == 1
    assert re.search(
        r"^Read     302 completions, 4 requests\nMatched  201\n(?:Job .*\n|\d+%, .*\n)+"
        r"Plan     \S+\n  would change  200   dataset: absent -> eval  \(200 rows\)\n"
        r"  failed          1   too_many_pairs  \(1\)\n"
        r"200 completions will be changed: up to ",
        ended.err,
        re.MULTILINE,
    )
    assert re.search(r"\): finished in .*\n  updated 200\n", ended.err)
    assert sum(each.get("dataset") == "eval" for each in sandbox_of.store.dump().values()) == 200
    assert list((tmp_path / "state").glob("select-*")) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
async def test_the_same_command_goes_on_with_one_that_ended_early(
    relabel, environment, service, sandbox_of, eventually, tmp_path, number, code
):
    """In the middle of a page that takes long: it ends at once, says how to go on, and no page is read twice."""
    sandbox_of.add_faults(rules=[{"fault": "hang", "match": {"operation": "list"}, "after": 2}])
    command = ("select", "--where", "has(metadata.score)", "--set", "k=v", "-o", "out.jsonl")
    process = await start_program("relabel", *command, cwd=tmp_path, env=environment | service)
    partial = tmp_path / "out.jsonl.partial"
    await eventually(lambda: partial.exists() and partial.read_bytes().count(b'"cursor"') == 2)

    process.send_signal(number)
    out, err = await process.communicate()

    assert (process.returncode, out) == (code, b"")
    said = b"Interrupted after 2 requests; the same command goes on from there."
    assert (said in err) == (number != signal.SIGKILL)
    sandbox_of.faults.clear()
    ended = await relabel(*command, **service)
    assert ended.err.startswith("Going on: read 200 completions, 2 requests; matched 134")
    assert "\nRead     301 completions, 4 requests\nMatched  200\nWrote    200 rows to out.jsonl\n" in ended.err
    ids = [json.loads(line)["completion_id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(set(ids)) == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl"]


async def test_interrupted_before_the_first_page_it_says_so_and_leaves_nothing(
    environment, service, sandbox_of, eventually, tmp_path
):
    """There is nothing to go on with, and no file that would stand in the way of other options."""
    sandbox_of.add_faults(rules=[{"fault": "hang", "match": {"operation": "list"}}])
    command = ("select", "--set", "k=v", "-o", "out.jsonl")
    process = await start_program("relabel", *command, cwd=tmp_path, env=environment | service)
    await eventually((tmp_path / "out.jsonl.partial").exists)

    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert (process.returncode, err) == (130, b"Interrupted before a page was read; nothing was found yet.\n")
    assert list(tmp_path.glob("out*")) == []


def commands(text):
    """The command lines of `relabel select` in a document."""
    return [shlex.split(line)[2:] for line in re.findall(r"^ *(relabel select .*?)(?:\n|\Z)", text, re.MULTILINE)]


@pytest.mark.parametrize("name", ["docs/select.md", "cli/commands/select.py"])
def test_every_command_of_the_documents_can_be_typed(name):
    """Each option is there, and each expression compiles."""
    found = commands((ROOT / name).read_text(encoding="utf-8").replace("\\\\n", "\\n"))

    assert found
    for arguments in found:
        context = select_command.make_context("select", list(arguments), parent=click.Context(cli))
        if where := context.params["where"]:
            compile_where(where, now=NOON)


def test_every_expression_of_the_guide_compiles():
    """The first column of its table."""
    table = (ROOT / "docs/select.md").read_text(encoding="utf-8").partition("## Expressions")[2].partition("\n- ")[0]
    found = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)

    assert len(found) == 8
    for expression in found:
        compile_where(expression, now=NOON)
