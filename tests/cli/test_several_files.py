"""`relabel submit` of several files: one job, and each row known by its file."""

from __future__ import annotations

import csv
import io
import json

import pytest


@pytest.fixture
def folder(tmp_path):
    """Write two days of labels, one row of which is bad, and a file that the first day's row is folded with."""
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "1.csv").write_text("id,team\nchatcmpl-1,red\nchatcmpl-2,red\n")
    (tmp_path / "days" / "2.csv").write_text("id,team\nchatcmpl-1,blue\n,red\n")
    return tmp_path


@pytest.mark.parametrize("arguments", [["days"], ["days/2.csv", "days/1.csv"], ["days/*.csv"]])
async def test_files_become_one_job_whose_report_names_the_file_of_each_row(relabel, folder, arguments):
    """A folder, names in any order and a pattern are the same job."""
    submitted = await relabel("submit", "--hold", "--yes", "--again", *arguments)
    assert submitted.code == 0, submitted.err
    assert "2.csv, line 3, column id: the id is empty" in submitted.err

    report = await relabel("report", submitted.out.strip())
    rows = csv.DictReader(io.StringIO(report.out))

    assert [(row["relabel.file"], row["relabel.line"], row["relabel.outcome"]) for row in rows] == [
        ("1.csv", "2", "pending"),
        ("1.csv", "3", "pending"),
        ("2.csv", "2", "folded"),
        ("2.csv", "3", "rejected"),
    ]


async def test_the_facts_of_a_job_name_the_file_of_a_rejected_row(relabel, folder):
    """JSON and the summary tell the same place; a report in JSONL has the file, too."""
    job_id = (await relabel("submit", "--hold", "--yes", "days")).out.strip()

    summary = await relabel("report", job_id, "--summary")
    facts = json.loads((await relabel("report", job_id, "--summary", "--json")).out)
    lines = (await relabel("report", job_id, "--format", "jsonl")).out.splitlines()

    assert "2.csv, line 3, column id" in summary.out
    assert facts["name"] == "days"
    assert facts["findings"]["rejected"][0]["file"] == "2.csv"
    assert json.loads(lines[2])["relabel"]["message"] == "folded into the row of 1.csv, line 2, as its id is the same"


async def test_a_report_of_several_files_is_fed_back_as_it_is(relabel, folder):
    """The column with the file is the report's own."""
    job_id = (await relabel("submit", "--hold", "--yes", "days")).out.strip()
    (folder / "report.csv").write_text((await relabel("report", job_id)).out, newline="")

    assert (await relabel("submit", "--hold", "--yes", "report.csv")).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["days/1.csv", "gone.csv"], "gone.csv: there is no such file"),
        (["days/1.csv", ""], "the name of a file is empty"),
        (["x*.csv"], "no file matches"),
    ],
)
async def test_files_that_are_not_there_are_refused_by_name(relabel, folder, arguments, said):
    """Exit code 2, and no job of the others."""
    ended = await relabel("submit", *arguments)

    assert (ended.code, said in ended.err) == (2, True), ended.err
