"""Rows of runs, their order, the CSV file, and runs side by side."""

from __future__ import annotations

import csv
import io
import json

import pytest

from embertune.reports.record import example_record
from embertune.ui.jobs import Jobs
from embertune.ui.runsview import COLUMNS, csv_of, ordered, parallel_coordinates, run_rows, settings_of, side_by_side
from embertune.ui.workspace import Workspace


@pytest.fixture
def jobs(tmp_path):
    return Jobs(Workspace(tmp_path / "bench"))


def add(jobs, name, change=None):
    record = example_record().to_dict()
    if change:
        change(record)
    folder = jobs.workspace.folder / "runs" / name
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return jobs.workspace.run(name)


def test_a_row_is_what_the_record_says(jobs):
    record = add(jobs, "a").record
    (row,) = run_rows(jobs.workspace, jobs)
    metric = record["primary"]
    assert (row["before"], row["after"]) == (record["base"][metric], record["tuned"][metric])
    assert (row["change"], row["low"], row["high"]) == tuple(
        record["delta"][metric][k] for k in ("mean", "low", "high")
    )
    assert row["test queries"] == record["counts"]["test"]


def test_order_puts_what_is_unknown_last_either_way():
    rows = [{"p": 0.5}, {"p": None}, {"p": 0.1}, {}]
    assert [row.get("p") for row in ordered(rows, "p", falling=True)] == [0.5, 0.1, None, None]
    assert [row.get("p") for row in ordered(rows, "p", falling=False)] == [0.1, 0.5, None, None]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", '=HYPERLINK("http://x")'])
def test_no_cell_of_the_csv_is_a_formula(text):
    rows = [{"run": text, "data": text, "change": -0.25, text: "value"}]
    head, row = list(csv.reader(io.StringIO(csv_of(rows), newline="")))
    told = dict(zip(head, row, strict=True))
    assert told["run"] == told["data"] == f"'{text}"
    assert f"'{text}" in head
    assert float(told["change"]) == -0.25


def test_the_csv_has_every_run_and_every_column(jobs):
    add(jobs, "a")
    add(jobs, "b")
    head, *rows = csv.reader(io.StringIO(csv_of(run_rows(jobs.workspace, jobs)), newline=""))
    assert tuple(head[: len(COLUMNS)]) == COLUMNS
    assert {row[0] for row in rows} == {"a", "b"}


def test_settings_are_those_of_the_job_else_of_the_record(jobs):
    run = add(jobs, "mine")
    assert settings_of(jobs, run)["encoder"] == "hashing/trigrams-64"
    job = jobs.submit("tune", "x", lambda key: ([], f"runs/{key}/record.json"), settings={"encoder": "static"})
    assert settings_of(jobs, add(jobs, job.id)) == {"encoder": "static"}


def test_runs_on_the_same_queries_are_compared_query_by_query(jobs):
    page = side_by_side([add(jobs, "a"), add(jobs, "b", lambda record: record.update(seed=7))], jobs)
    assert "After tuning, against a" in page
    assert "0.000 [0.000, 0.000]" in page
    assert "<td>7</td>" in page


def test_runs_on_other_data_are_not_and_it_is_said(jobs):
    def other(record):
        record["data"]["fingerprint"] = "sha256:other"

    page = side_by_side([add(jobs, "a"), add(jobs, "b", other)], jobs)
    assert "These 2 runs have 2 different values of: data set." in page


def test_names_are_text_and_never_markup(jobs):
    def evil(record):
        record["data"]["name"] = "<img src=x onerror=alert(1)>"

    assert "<img" not in side_by_side([add(jobs, "a", evil), add(jobs, "b")], jobs)


def test_the_picture_has_what_differs_and_the_change(jobs):
    assert parallel_coordinates([]) is None
    add(jobs, "a")
    add(jobs, "b", lambda record: record.update(seed=7))
    (trace,) = parallel_coordinates(run_rows(jobs.workspace, jobs)).data
    assert [line["label"] for line in trace["dimensions"]] == ["seed", "seconds", "change"]
    assert sorted(trace["dimensions"][0]["values"]) == [0, 7]
