"""`relabel report`: every row, in columns that can be fed back in."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections import Counter

import msgspec
import pytest

from ledger.row import Outcome, Patch
from tests.harness.rows import dated_id

ALL = {
    0: Outcome.UPDATED,
    1: Outcome.UNCHANGED,
    3: Outcome.DRIFTED,
    4: Outcome.CANCELLED,
}
CSV = "id,team\na,red\nb,blue\nc,green\nd,pink\ne,grey\nf,black\n,white\n"
ODD = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\tx",
    "\rx",
    "'=x",
    "''@x",
    "'x",
    'say "hi", x',
    "a\r\nb",
    "a\rb",
    "é \u2028 🎉",
    " x ",
]


def patches(checked):
    """The patches of a checked file, without their lines, which differ from file to file."""
    with checked:
        bodies = [shard.body for shard in checked.shards(100)]
        found = [patch for body in bodies for patch in msgspec.msgpack.decode(body, type=list[Patch])]
        assert checked.rejected == 0
    return [(patch.completion_id, patch.metadata) for patch in found]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_report_of_a_job_that_goes_oldest_first_is_in_that_order(relabel, tmp_path):
    """Rows never sent come after the others; each has its line of the file. A report without the option is as ever."""
    young, old = dated_id(1_764_000_000.0), dated_id(1_763_000_000.0)
    (tmp_path / "p.csv").write_text(f"id,team\n{young},a\n,b\nunknown-1,c\n{old},d\n{young},e\n")

    submitted = await relabel("submit", "p.csv", "--oldest-first")
    again = await relabel("submit", "p.csv", "--again")

    job_id = submitted.out.strip()
    rows = rows_of((await relabel("report", job_id)).out)
    assert [(row["id"], row["relabel.outcome"], row["relabel.line"]) for row in rows] == [
        (old, "pending", "5"),
        (young, "pending", "2"),
        ("unknown-1", "pending", "4"),
        ("", "rejected", "3"),
        (young, "folded", "6"),
    ]
    plain = rows_of((await relabel("report", again.out.strip())).out)
    assert [row["relabel.line"] for row in plain] == ["2", "3", "4", "5", "6"]
    assert "oldest first" in (await relabel("status", job_id)).out
    assert json.loads((await relabel("status", job_id, "--json")).out)["oldest_first"] is True


async def test_a_report_holds_every_row_in_file_order_with_its_outcome(relabel, make_job, fails):
    """Own columns first, then the outcome's; rows never sent stand where they stood."""
    job = await make_job(
        "id,team\na,red\n,blue\nc,green\nd,pink\na,blue\ne,\n", {0: Outcome.UPDATED, 1: fails("not_found", status=404)}
    )

    ended = await relabel("report", job.job_id)

    rows = rows_of(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert [(row["id"], row["team"], row["relabel.outcome"], row["relabel.line"]) for row in rows] == [
        ("a", "blue", "updated", "2"),
        ("", "blue", "rejected", "3"),
        ("c", "green", "failed", "4"),
        ("d", "pink", "pending", "5"),
        ("a", "blue", "folded", "6"),
        ("e", "", "unchanged", "7"),
    ]
    failed = rows[2]
    assert (failed["relabel.code"], failed["relabel.status"]) == ("not_found", "404")
    assert (failed["relabel.request_id"], failed["relabel.attempts"]) == ("req_1", "2")
    assert failed["relabel.at"] == "2025-11-23T12:13:20.250Z"
    assert [row["relabel.message"] for row in (rows[1], *rows[4:])] == [
        "column id: the id is empty",
        "folded into the row of line 2, as its id is the same",
        "the row names nothing to change, so nothing was sent",
    ]
    assert rows[5]["relabel.code"] == "no_change"


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
async def test_a_whole_report_can_be_fed_back_and_comes_to_the_same(relabel, make_job, read, name):
    """Folded rows are folded again, and rows without a change are unchanged again."""
    content = "id,k,l\na,1,\nb,1,\na,2,x\nc,,\na,,y\n"
    if name == "p.jsonl":
        rows = [("a", {"k": "1"}), ("b", {"k": "1"}), ("a", {"k": "2", "l": "x"}), ("c", {}), ("a", {"l": "y"})]
        content = "".join(json.dumps({"id": row, "metadata": metadata}) + "\n" for row, metadata in rows)
    job = await make_job(content, name=name)

    ended = await relabel("report", job.job_id)

    with read(ended.out, name) as again, read(content, name) as first:
        assert (again.total, again.folded, again.unchanged) == (2, 2, 1) == (first.total, first.folded, first.unchanged)
    assert patches(read(ended.out, name)) == patches(read(content, name))


async def test_the_outcomes_of_a_report_add_up_to_the_total(relabel, make_job, ledger):
    """Folded rows are outside the sum, in the report and in the counts."""
    job = await make_job("id,k\na,1\nb,\na,2\n,x\nc,\nd,1\n", {0: Outcome.UNCHANGED, 1: Outcome.UPDATED})

    ended = await relabel("report", job.job_id, "--format", "jsonl")

    words = Counter(json.loads(line)["relabel"]["outcome"] for line in ended.out.splitlines())
    counts = (await ledger.jobs.get(job.job_id)).counts
    assert words == {"updated": 1, "unchanged": 3, "rejected": 1, "folded": 1}
    assert (counts.total, counts.unchanged, counts.updated, counts.rejected, counts.pending) == (5, 3, 1, 1, 0)


async def test_only_the_outcomes_asked_for_are_reported(relabel, make_job, fails):
    """--only takes several, and may be given more than once; a word that is no outcome is refused."""
    job = await make_job(CSV + "a,red\n", {**ALL, 2: fails("timeout")})

    ended = await relabel("report", job.job_id, "--only", "failed,rejected", "--only", "drifted, folded")
    wrong = await relabel("report", job.job_id, "--only", "failed,done")
    of_diff = await relabel("report", job.job_id, "--diff", "--only", "folded")

    assert [row["relabel.outcome"] for row in rows_of(ended.out)] == ["failed", "drifted", "rejected", "folded"]
    assert (wrong.code, wrong.out, "'done' cannot be chosen; choose from pending, updated" in wrong.err) == (
        2,
        "",
        True,
    )
    assert (of_diff.code, "the row that took one over" in of_diff.err) == (2, True)


async def test_failed_rows_of_csv_can_be_fed_back_exactly(relabel, make_job, read, fails, tmp_path):
    """Formulas are guarded for spreadsheets, and the guard comes off again; so in every column."""
    source = io.StringIO(newline="")
    writer = csv.writer(source)
    writer.writerow(["=weird", "completion_id", "metadata.metadata", "metadata.id"])
    for number, value in enumerate(ODD):
        writer.writerow([value, f"=id{number}", "" if number % 2 else value, value])
    job = await make_job(source.getvalue(), {row: fails("timeout", "=danger()") for row in range(len(ODD))})

    ended = await relabel("report", job.job_id, "--only", "failed", "-o", "failed.csv")

    report = (tmp_path / "failed.csv").read_bytes()
    assert (ended.code, ended.out) == (0, "")
    assert patches(read(report)) == patches(read(source.getvalue()))
    cells = [cell for row in csv.reader(io.StringIO(report.decode(), newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'=danger()" in cells


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
async def test_failed_rows_of_jsonl_can_be_fed_back_exactly_in_both_formats(
    relabel, make_job, read, fails, tmp_path, layout
):
    """Removals (null), empty values and odd text survive, as CSV in a column of JSON."""
    rows = [{"id": f"x{n}", "metadata": {"k": value, "gone": None, "e": ""}} for n, value in enumerate(ODD)]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    job = await make_job(content, {row: fails("timeout") for row in range(len(ODD))}, name="patches.jsonl")

    await relabel("report", job.job_id, "--only", "failed", "-o", f"failed.{layout}")

    report = (tmp_path / f"failed.{layout}").read_bytes()
    assert patches(read(report, f"failed.{layout}")) == patches(read(content, "patches.jsonl"))


async def test_a_csv_report_as_jsonl_keeps_every_value(relabel, make_job, read, fails):
    """The other direction."""
    content = 'id,metadata\na,"{""k"": null, ""e"": """"}"\n=b,"{""k"": ""=1""}"\n'
    job = await make_job(content, {0: fails("timeout"), 1: Outcome.UPDATED})

    ended = await relabel("report", job.job_id, "--format", "jsonl")

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert patches(read(ended.out, "x.jsonl")) == patches(read(content))
    assert [row["relabel"]["outcome"] for row in rows] == ["failed", "updated"]
    assert rows[1]["relabel"] == {
        "outcome": "updated", "code": None, "status": None, "message": None,
        "request_id": None, "attempts": None, "at": None, "line": 3,
            "settled_at": rows[0]["relabel"]["settled_at"], "before": None, "after": None,
    }  # fmt: skip


async def test_rejected_csv_rows_keep_their_cells_and_never_become_valid_by_being_reported(relabel, make_job, read):
    """A ragged row or one that is not UTF-8 is shown as it was, apart from the columns it does not fit."""
    long = "x" * 600
    content = f"id,k,l\na,1\nb,1,2,3\nd,{long},\n".encode() + b"e,caf\xe9,\n" + b'f,"x"y,\n'
    job = await make_job(content)

    ended = await relabel("report", job.job_id, "--only", "rejected")

    rows = rows_of(ended.out)
    assert [(row["id"], row["relabel.input"]) for row in rows] == [
        ("", "a,1"),
        ("", "b,1,2,3"),
        ("d", ""),
        ("", "e,caf\ufffd,"),
        ("", 'f,"x"y,'),
    ]
    assert rows[2]["k"] == long
    assert rows[2]["relabel.message"].startswith("column k: ")
    with read(ended.out) as again:
        assert (again.total, again.rejected) == (0, 5)
    second = await relabel("report", (await make_job(ended.out)).job_id, "--only", "rejected")
    assert [row["relabel.input"] for row in rows_of(second.out)] == [row["relabel.input"] for row in rows]


async def test_rejected_jsonl_rows_keep_their_own_text(relabel, make_job, read):
    """An object keeps its members as written, repeated names and numbers too; anything else is quoted as input."""
    lines = [
        '{"id": "a", "metadata": {"n": 1.50}, "relabel": {"old": 1}, "note": "x"}',
        '{"id": "b", "id": "c", "metadata": {"k": "v"}}',
        "{ }",
        '["id"]',
        '{"id": "d", "metadata": {"k": "v"}',
        '{"id": "e", "metadata": {"k": NaN}}',
    ]
    bad = [line.encode() for line in lines] + [b'{"id": "f", "metadata": {"k": "caf\xe9"}}']
    job = await make_job(b"\n".join([b'{"id": "ok", "metadata": {"k": "v"}}', *bad]), name="p.jsonl")

    ended = await relabel("report", job.job_id, "--only", "rejected")

    texts = [line.partition('"relabel":')[0] for line in ended.out.splitlines()]
    assert texts == [
        '{"id": "a", "metadata": {"n": 1.50}, "note": "x", ',
        '{"id": "b", "id": "c", "metadata": {"k": "v"}, ',
        "{",
        *["{"] * 4,
    ]
    rows = [json.loads(line)["relabel"] for line in ended.out.splitlines()]
    assert [row.get("input") for row in rows] == [
        None,
        None,
        None,
        *lines[3:],
        '{"id": "f", "metadata": {"k": "caf\ufffd"}}',
    ]
    assert {(row["outcome"], row["code"]) for row in rows} == {("rejected", "invalid_row")}
    with read(ended.out, "again.jsonl") as again:
        assert (again.total, again.rejected) == (0, 7)
    second = await relabel("report", (await make_job(ended.out, name="again.jsonl")).job_id)
    told = [json.loads(line)["relabel"].get("input") for line in second.out.splitlines()]
    assert told == [row.get("input") for row in rows]


async def test_rejected_rows_cross_over_to_the_other_format_as_input(relabel, make_job):
    """CSV rows in JSONL, and JSONL rows in CSV."""
    of_csv = await make_job("id,k\n,x\n")
    of_jsonl = await make_job('{"id": "a"}\n', name="p.jsonl")

    as_jsonl = await relabel("report", of_csv.job_id, "--format", "jsonl")
    as_csv = await relabel("report", of_jsonl.job_id, "--format", "csv")

    assert json.loads(as_jsonl.out)["relabel"]["input"] == ",x"
    assert rows_of(as_csv.out)[0]["relabel.input"] == '{"id": "a"}'


async def test_a_report_file_is_private_replaces_the_old_one_and_tells_the_format(relabel, make_job, tmp_path):
    """Mode 600; a link stays a link; the name's ending counts where --format is not given."""
    job = await make_job("id,team\na,red\n", {0: Outcome.UPDATED})
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")

    await relabel("report", job.job_id, "-o", "link.jsonl")

    assert json.loads((tmp_path / "real.jsonl").read_text())["id"] == "a"
    assert (tmp_path / "link.jsonl").is_symlink()
    assert stat.S_IMODE((tmp_path / "real.jsonl").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.jsonl", "real.jsonl"]


async def test_a_report_that_cannot_be_written_is_one_sentence_and_leaves_nothing(relabel, make_job, tmp_path):
    """A folder that is not there, a full disk: exit code 2."""
    job = await make_job("id,team\na,red\n", {0: Outcome.UPDATED})

    nowhere = await relabel("report", job.job_id, "-o", "no/such/file.csv")
    full = await relabel("report", job.job_id, "-o", "/dev/full")
    packed = await relabel("report", job.job_id, "-o", "x.csv.gz")

    for ended, words in ((nowhere, "No such file"), (full, "No space left"), (packed, "compressor")):
        assert ended.code == 2
        assert words in ended.err
        assert ended.err.startswith("relabel: ")
        assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.whole
async def test_a_reader_that_has_seen_enough_is_no_error(make_job, environment, tmp_path):
    """As in `relabel report JOB | head`."""
    job = await make_job("id,team\n" + "".join(f"c{n},red\n" for n in range(100)))
    reading, writing = os.pipe()
    os.close(reading)

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", "report", job.job_id, env=environment, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    _, err = await process.communicate()

    assert (process.returncode, err) == (0, b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_is_read_only_is_one_sentence(relabel, make_job, tmp_path):
    """Nothing is tried beside the file that was named."""
    job = await make_job("id,team\na,red\n")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)

    ended = await relabel("report", job.job_id, "-o", "locked/x.csv")

    assert (ended.code, "Permission denied" in ended.err) == (2, True)


async def test_a_torn_job_gives_no_report_and_leaves_the_old_file(relabel, make_job, ledger, tmp_path):
    """Rows that Redis lost are not passed over in silence."""
    job = await make_job(CSV, {0: Outcome.UPDATED})
    await ledger.redis.hdel(f"relabel:{{{job.job_id}}}:shards", "1")
    (tmp_path / "r.csv").write_text("old")

    ended = await relabel("report", job.job_id, "-o", "r.csv")

    assert (ended.code, "submit the file again" in ended.err) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]
    assert (tmp_path / "r.csv").read_text() == "old"


async def test_the_summary_groups_failures_with_samples_and_advice(relabel, make_job, fails):
    """What, how often, which rows, what to do, and where the rest is."""
    content = "id,team\n" + "".join(f"c{n},red\n" for n in range(9)) + ",blue\n"
    ends = {row: fails("not_found", f"Completion c{row} not found", status=404) for row in range(5)}
    job = await make_job(
        content, {**ends, 5: fails("odd\x1b[31m", "[bold]x\x1b]0;t\x07", status=400), 6: Outcome.UPDATED}
    )

    ended = await relabel("report", job.job_id, "--summary")

    lines = ended.out.splitlines()
    assert "not_found (HTTP 404), 5 rows" in ended.out
    assert [line.strip() for line in lines if "Completion c" in line] == [
        f"line {n + 2}, c{n}: Completion c{n} not found" for n in range(3)
    ]
    assert "stored less than 30 days ago" in ended.out
    assert "Next:" not in ended.out, "rows are pending"
    assert f"relabel report {job.job_id} --only failed -o failed.csv" in ended.out
    assert "line 11, column id: the id is empty" in ended.out
    assert r"line 7, c5: [bold]x\x1b]0;t\x07" in ended.out
    assert "\x1b" not in ended.out


async def test_the_summary_of_a_finished_job_names_the_next_steps(relabel, make_job, fails):
    """Those that work: nothing to retry where nothing failed, to verify or undo where nothing was updated."""
    all_fine = await make_job("id,k\na,1\n", {0: Outcome.UPDATED})
    some_failed = await make_job("id,k\na,1\nb,1\n", {0: fails("timeout"), 1: Outcome.UPDATED})
    as_it_was = await make_job("id,k\na,1\n", {0: Outcome.UNCHANGED})

    async def steps(job_id: str, **settings: str) -> list[str]:
        said = (await relabel("report", job_id, "--summary", **settings)).out
        return [line.removeprefix("Next: ") for line in said.splitlines() if line.startswith("Next: ")]

    report = "relabel report {} -o report.csv  (writes every row with its outcome)"
    undo = "relabel undo {}  (restores what was there before)"
    retry = "relabel retry {}  (tries the failed rows again that may succeed)"
    verify = "relabel verify {}  (reads the rows again and shows which still hold)"
    assert await steps(all_fine.job_id) == [line.format(all_fine.job_id) for line in (report, verify, undo)]
    some = (report, retry, verify, undo)
    assert await steps(some_failed.job_id) == [line.format(some_failed.job_id) for line in some]
    assert await steps(as_it_was.job_id) == [report.format(as_it_was.job_id)]
    assert await steps(all_fine.job_id, OPENAI_BASE_URL="http://127.0.0.1:9/v1") == [report.format(all_fine.job_id)]


async def test_a_csv_report_may_begin_with_a_byte_order_mark(relabel, make_job, read, tmp_path):
    """By which Excel knows UTF-8; the file can be fed back all the same."""
    job = await make_job("id,k\na,é\n", {0: Outcome.UPDATED})

    ended = await relabel("report", job.job_id, "--bom", "-o", "r.csv")
    refused = await relabel("report", job.job_id, "--bom", "-o", "r.jsonl")

    report = (tmp_path / "r.csv").read_bytes()
    assert (ended.code, report[:5]) == (0, b"\xef\xbb\xbfid")
    assert patches(read(report)) == [("a", {"k": "é"})]
    assert (refused.code, "--bom is for CSV reports" in refused.err, (tmp_path / "r.jsonl").exists()) == (
        2,
        True,
        False,
    )


async def test_a_written_report_says_how_it_is_fed_back(relabel, make_job):
    """On standard error, and only of what can be: a diff cannot, and standard output says nothing."""
    job = await make_job("id,k\na,1\n", {0: Outcome.UPDATED})

    written = await relabel("report", job.job_id, "-o", "r.csv")
    printed = await relabel("report", job.job_id)
    changes = await relabel("report", job.job_id, "--diff", "-o", "d.csv")

    assert written.err == (
        "r.csv: it can be submitted as it is, or corrected. Keep one column relabel.* (JSONL: the field relabel): by "
        "it a report is known, and the ' before what a spreadsheet would run is taken off.\n"
    )
    assert (printed.err, changes.err) == ("", "")


async def test_the_summary_is_there_as_json(relabel, make_job, fails):
    """The job's facts and the findings."""
    job = await make_job("id,team\na,red\n,x\n", {0: fails("timeout", "late")})

    ended = await relabel("report", job.job_id, "--summary", "--json")

    facts = json.loads(ended.out)
    assert facts["rows"]["failed"] == 1
    assert facts["findings"]["failed"][0]["code"] == "timeout"
    assert facts["findings"]["failed"][0]["samples"][0] == {
        "line": 2, "id": "a", "status": None, "message": "late", "request_id": None,
    }  # fmt: skip
    assert facts["findings"]["rejected"][0]["line"] == 3
