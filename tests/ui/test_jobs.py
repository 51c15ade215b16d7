"""Jobs live in processes of their own, and all that is known of them on disk."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time

import pytest

from embertune.errors import DataError
from embertune.ui import jobs as module
from embertune.ui.jobs import Jobs
from embertune.ui.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="file locks tell whether a process lives")

WRITE = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(exist_ok=True); p.write_text('{}')"
SLEEP = "import sys, time; print('asleep', file=sys.stderr, flush=True); time.sleep(60)"
FAIL = "import sys; sys.exit('embed: 3 of 9\\nError: There is no encoder \\'nope\\'.\\nType another.')"


@pytest.fixture
def jobs(tmp_path):
    found = Jobs(Workspace(tmp_path / "bench"))
    yield found
    for job in found.all():
        found.cancel(job.id)


@pytest.fixture
def program(monkeypatch):
    """Runs another program in place of the command line."""

    def use(script):
        monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", script))

    return use


def submit(jobs, name="job"):
    def plan(key):
        return [str(jobs.workspace.folder / "runs" / key / "record.json")], f"runs/{key}/record.json"

    return jobs.submit("tune", name, plan, settings={"seed": 3})


def wait(jobs, key, *states, seconds=30):
    until = time.monotonic() + seconds
    while jobs.get(key).state not in states and time.monotonic() < until:
        time.sleep(0.02)
    return jobs.get(key).state


def test_a_job_waits_runs_and_is_done_when_its_result_is_there(jobs, program):
    program(WRITE)
    job = submit(jobs)
    assert (job.state, job.started, job.settings) == ("queued", None, {"seed": 3})
    jobs.tick()
    assert wait(jobs, job.id, "done") == "done"
    assert jobs.get(job.id).started == pytest.approx(time.time(), abs=60)


def test_the_error_of_the_command_is_told_in_its_words(jobs, program):
    program(FAIL)
    job = submit(jobs)
    jobs.tick()
    assert wait(jobs, job.id, "failed") == "failed"
    assert jobs.error(job.id) == "There is no encoder 'nope'.\nType another."


def test_a_killed_process_is_a_failed_job_and_the_next_one_starts(jobs, program):
    program(SLEEP)
    first, second = submit(jobs), submit(jobs)
    jobs.tick()
    assert wait(jobs, first.id, "running") == "running"
    assert jobs.get(second.id).state == "queued"
    pid = json.loads((jobs.workspace.folder / "jobs" / first.id / "started.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)
    assert wait(jobs, first.id, "failed") == "failed"
    assert jobs.error(first.id).startswith("The process ended before it was done and gave no reason: it was killed")
    jobs.tick()
    assert wait(jobs, second.id, "running") == "running"


def test_the_oldest_goes_first_and_one_at_a_time(jobs, program):
    program(SLEEP)
    made = [submit(jobs).id for _ in range(3)]
    for _ in range(5):
        jobs.tick()
    assert [jobs.get(key).state for key in made] == ["running", "queued", "queued"]


def test_cancelling_ends_the_process_and_all_that_it_started(jobs, program, tmp_path):
    told = str(tmp_path / "pid")
    child = f"import time, pathlib, os; pathlib.Path({told!r}).write_text(str(os.getpid())); time.sleep(60)"
    program(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    job = submit(jobs)
    jobs.tick()
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert jobs.cancel(job.id).state == "cancelled"
    until = time.monotonic() + 10
    while _lives(int((tmp_path / "pid").read_text())) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _lives(int((tmp_path / "pid").read_text()))


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_that_waits_never_starts_once_it_is_cancelled(jobs, program):
    program(WRITE)
    job = submit(jobs)
    assert jobs.cancel(job.id).state == "cancelled"
    jobs.tick()
    assert not (jobs.workspace.folder / "jobs" / job.id / "alive").exists()


def test_a_workbench_that_is_started_again_finds_and_ends_the_job_of_the_one_before(jobs, program):
    program(SLEEP)
    job = submit(jobs)
    jobs.tick()
    again = Jobs(Workspace(jobs.workspace.folder))
    assert again.get(job.id).state == "running"
    assert again.cancel(job.id).state == "cancelled"
    assert jobs.get(job.id).state == "cancelled"


def test_two_workbenches_on_a_folder_start_a_job_once(jobs, program, monkeypatch):
    program("import sys; open(sys.argv[1] + '.count', 'a').write('x'); " + WRITE)
    monkeypatch.setattr(module, "_TICK", 0.01)
    (jobs.workspace.folder / "runs").mkdir(exist_ok=True)
    other = Jobs(Workspace(jobs.workspace.folder))

    def plan(key):
        return [str(jobs.workspace.folder / "runs" / key)], f"runs/{key}"

    made = [jobs.submit("tune", "twice?", plan, settings={}) for _ in range(3)]
    jobs.start()
    other.start()
    for job in made:
        assert wait(jobs, job.id, "done") == "done"
        assert (jobs.workspace.folder / "runs" / f"{job.id}.count").read_text() == "x"
    jobs.stop()
    other.stop()


def test_events_are_read_and_a_half_written_line_is_passed_over(jobs):
    job = submit(jobs)
    lines = [{"time": 1.0, "stage": "embed", "done": 1, "total": 9, "note": "", "numbers": {}}, {"time": 2.0}]
    text = "\n".join(map(json.dumps, lines)) + '\n{"time": 3.0, "stage": "emb'
    (jobs.workspace.folder / "jobs" / job.id / "progress.jsonl").write_text(text, encoding="utf-8")
    assert jobs.events(job.id) == [(1.0, "embed", 1, 9, "", {})]


def test_a_job_under_way_is_not_forgotten(jobs):
    job = submit(jobs)
    with pytest.raises(DataError, match=re.escape("This job is under way. Cancel it first.")):
        jobs.remove(job.id)
    jobs.cancel(job.id)
    jobs.remove(job.id)
    assert jobs.all() == []


@pytest.mark.parametrize("name", ["../jobs", "", "a/b", "..", "x" * 200, ".scheduler"])
def test_no_name_leaves_the_folder(jobs, name):
    with pytest.raises(DataError, match="is not the name of anything in this workspace"):
        jobs.get(name)


def test_a_real_run_is_a_run_of_the_workspace(jobs, tmp_path):
    from embertune.data.dataset import Dataset

    words = [f"{kind}{number}" for kind in ("cat", "dog", "owl", "fox") for number in range(30)]
    data = Dataset.from_pairs([(f"where is {w}?", f"the home of {w} is here") for w in words])
    entry = jobs.workspace.add(data, "Animals")
    settings = {**module_defaults(), "data": entry.id, "version": 1, "encoder": "hashing", "effort": "fast"}
    from embertune.ui.tuning import arguments

    job = jobs.submit(
        "tune", "animals", lambda key: (arguments(jobs.workspace, settings, key), f"runs/{key}/record.json"),
        settings=settings,
    )  # fmt: skip
    jobs.tick()
    assert wait(jobs, job.id, "done", "failed", seconds=120) == "done", jobs.log(job.id)
    run = jobs.workspace.run(job.id)
    assert run.record["data"]["name"] == "animals-v1"
    assert jobs.workspace.dataset_of(run) == jobs.workspace.load(entry.id)
    assert jobs.events(job.id)[-1].stage == "judge on test"


def module_defaults():
    from embertune.ui.tuning import DEFAULTS

    return dict(DEFAULTS)
