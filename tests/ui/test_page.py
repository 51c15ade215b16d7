"""Data, Tune and Runs in a real browser: what is loaded, edited, tuned, compared, and what means harm."""

import csv
import json
import signal
import time
import zipfile

import pytest

from embertune.data.io import load_dataset

pytestmark = pytest.mark.browser

EVIL = (
    "<img src=x onerror=\"document.title='harmed'\"><script>document.title='harmed'</script>"
    "${document.title='harmed'}{{value}}"
)


@pytest.fixture(scope="module")
def bench(serve, tmp_path_factory):
    return serve(tmp_path_factory.mktemp("page") / "bench")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Questions that a small encoder finds hard and an adapter learns; texts that would do harm as markup."""
    path = tmp_path_factory.mktemp("sent") / "animals.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "document"])
        for kind, home in (("cat", "basket"), ("dog", "kennel"), ("owl", "hollow tree"), ("fox", "burrow")):
            for number in range(35):
                writer.writerow([f"where does {kind} {number} sleep?", f"{home} {number} belongs to {kind} {number}"])
        writer.writerow([f"=1+1 {EVIL}", f"the formula {EVIL}"])
    return path


@pytest.fixture(scope="module")
def page(drive, chromium, bench, pairs):
    found = drive.open_page(chromium, bench)
    drive.load(found, pairs)
    drive.says(found, "#data-facts", "141")
    return found


def test_facts_and_search(drive, page):
    drive.says(page, "#data-documents-said", "1–20 of 141")
    page.fill("#data-documents-search textarea, #data-documents-search input", "KENNEL dog")
    drive.says(page, "#data-documents-said", "of 35 (of 141 in all)")
    drive.cell(page, "data-documents", 0, 2).click()
    page.wait_for_function(
        "document.querySelector('#data-documents-whole textarea')?.value.includes('text: kennel 0 belongs')"
    )


def test_markup_in_texts_is_text(drive, page):
    page.fill("#data-documents-search textarea, #data-documents-search input", "onerror")
    drive.says(page, "#data-documents-table", "<img src=x onerror")
    assert page.title() != "harmed"
    assert page.locator("#data-documents-table img").count() == 0
    assert "${document.title='harmed'}{{value}}" in page.inner_text("#data-documents-table")


def test_edits_become_a_version_and_the_source_stays(drive, page, bench, pairs):
    page.get_by_role("tab", name="Pairs: browse and edit").click()
    page.fill("#data-pairs-search textarea, #data-pairs-search input", "=1+1")
    drive.says(page, "#data-pairs-said", "1–1 of 1")
    drive.cell(page, "data-pairs", 0, 1).click()
    page.click("#data-pair-strike")
    drive.says(page, "#data-edits", "1 pair struck out.")
    drive.says(page, "#data-pairs-table", "struck out")
    page.fill("#data-pairs-search textarea, #data-pairs-search input", '"fox 34"')
    drive.says(page, "#data-pairs-table", "fox 34")
    drive.cell(page, "data-pairs", 0, 1).click()
    page.wait_for_function("document.querySelector('#data-pair-query textarea').value.includes('fox 34')")
    page.fill("#data-pair-query textarea", "where is fox 34 at night?")
    page.click("#data-pair-keep")
    drive.says(page, "#data-edits", "1 query rewritten, 1 pair struck out.")
    page.click("#data-save")
    page.wait_for_function("document.querySelector('#data-version input').value.startsWith('2')")
    drive.says(page, "#data-facts", "140")
    (entry,) = (bench.folder / "data").iterdir()
    assert "where is fox 34 at night?" in load_dataset(entry / "animals-v2").queries.values()
    assert len(load_dataset(entry / "animals-v1").queries) == 141
    assert (entry / "source" / "animals.csv").read_bytes() == pairs.read_bytes()


def test_the_split_shows_what_is_in_test(drive, page):
    page.get_by_role("tab", name="Split", exact=True).click()
    drive.says(page, "#data-split-about", "Split by-query, three parts, seed 0.")
    page.fill("#data-split-search textarea, #data-split-search input", "test")
    drive.says(page, "#data-split-said", "of 28")


def test_queries_are_generated_and_are_a_data_set(drive, page, bench):
    page.get_by_role("tab", name="Generate queries").click()
    page.click("#gen-start")
    page.wait_for_function("[...document.querySelectorAll('#gen-queue td')].some(cell => cell.innerText === 'done')")
    until = time.monotonic() + 60
    while len(list((bench.folder / "data").glob("*/data.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    names = [json.loads(path.read_text())["name"] for path in (bench.folder / "data").glob("*/data.json")]
    assert sorted(names) == ["Queries for animals", "animals"]


def broken(folder):
    folder.mkdir()
    files = {
        "columns.csv": (b"a,b\n1,2\n", "columns"),
        "latin.csv": ("query,document\nwie hei\xdft er?,M\xfcller\n".encode("latin-1"), "UTF-8"),
        "no.zip": (b"PK\x03\x04 no", "no zip archive"),
        "empty.jsonl": (b"", "empty.jsonl"),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / "out.zip", "w") as archive:
        archive.writestr("../../out.csv", "query,document\na,b\n")
    return {**{folder / name: said for name, (_, said) in files.items()}, folder / "out.zip": "outside of itself"}


def test_a_broken_upload_is_one_sentence_and_changes_nothing(drive, chromium, bench, tmp_path):
    before = sorted((bench.folder / "data").iterdir())
    for path, said in broken(tmp_path / "broken").items():
        page = drive.open_page(chromium, bench)
        # It closes by itself once there is data.
        page.locator("#data-load-files").wait_for(state="hidden")
        page.get_by_text("Load data", exact=True).click()
        drive.load(page, path)
        toast = page.locator(".toast-body")
        toast.wait_for()
        text = toast.inner_text()
        assert said in text, text
        assert "Traceback" not in text
        page.close()
    assert sorted((bench.folder / "data").iterdir()) == before


def tune(drive, page, seed):
    drive.go_to(page, "Tune")
    page.get_by_label("fast", exact=True).check()
    page.wait_for_function("document.querySelector('#tune-data input').value.includes('animals')")
    if not page.locator("#tune-seed input").is_visible():
        page.get_by_text("More: every setting").click()
    page.fill("#tune-encoder input", "hashing")
    page.keyboard.press("Enter")
    page.fill("#tune-seed input", str(seed))
    page.fill("#tune-set-seeds textarea, #tune-set-seeds input", "2")
    page.click("#tune-start")


def test_two_runs_wait_for_each_other_and_have_verdicts(drive, page, bench):
    tune(drive, page, 0)
    tune(drive, page, 1)
    drive.until(lambda: len(drive.runs(bench)) == 2)
    page.wait_for_selector("#tune-result .verdict")
    page.wait_for_selector("#tune-curve .js-plotly-plot .scatterlayer path")
    jobs = [json.loads(path.read_text()) for path in sorted((bench.folder / "jobs").glob("*/job.json"))]
    assert [job["settings"]["seed"] for job in jobs if job["kind"] == "tune"] == [0, 1]
    records = [json.loads((run / "record.json").read_text()) for run in drive.runs(bench)]
    assert [len(record["selection"]["seeds"]) for record in records] == [2, 2]


def test_a_mistake_in_the_settings_is_told_in_the_words_of_the_command_line(drive, page):
    page.fill("#tune-set-folds textarea, #tune-set-folds input", "1")
    page.click("#tune-start")
    drive.says(page, "#tune-standing", "folds must be at least 2, got 1")
    page.fill("#tune-set-folds textarea, #tune-set-folds input", "")


def test_runs_are_compared_downloaded_loaded_again_and_deleted(drive, page, bench):
    drive.go_to(page, "Runs")
    drive.says(page, "#runs-said", "1–2 of 2")
    for row in (0, 1):
        drive.cell(page, "runs", row, 1).click()
        drive.says(page, "#runs-compared", "Before → after")
        page.wait_for_timeout(500)
    drive.says(page, "#runs-compared", "In what they differ")
    page.wait_for_selector("#runs-parallel .js-plotly-plot")
    with page.expect_download() as download:
        page.click("#runs-csv")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {run.name for run in drive.runs(bench)}
    assert all(float(row["after"]) >= 0 for row in rows)
    page.click("#runs-load")
    page.wait_for_selector("#tune-start:visible")
    assert page.input_value("#tune-encoder input") == "hashing"
    assert page.locator("#tune-set-seeds textarea, #tune-set-seeds input").input_value() == "2"
    drive.go_to(page, "Runs")
    page.get_by_text("Delete the chosen runs").first.click()
    page.click("#runs-delete")
    page.locator(".toast-body", has_text="Tick the box first").wait_for()
    assert len(drive.runs(bench)) == 2
    page.get_by_label("Yes, with their adapters and records").check()
    page.click("#runs-delete")
    drive.until(lambda: drive.runs(bench) == [])


def test_two_browsers_do_not_mix(drive, chromium, bench, page):
    other = drive.open_page(chromium, bench)
    drive.go_to(page, "Data")
    before = page.input_value("#data-set input")
    drive.choose(other, "data-set", "Queries for animals")
    drive.says(other, "#data-facts", "Queries")
    other.wait_for_timeout(2000)
    assert other.input_value("#data-set input").startswith("Queries for animals")
    assert page.input_value("#data-set input") == before
    other.close()


def test_a_job_outlives_the_workbench_and_is_found_again(drive, chromium, serve, tmp_path_factory, pairs):
    first = serve(tmp_path_factory.mktemp("again") / "bench")
    page = drive.open_page(chromium, first)
    drive.load(page, pairs)
    drive.says(page, "#data-facts", "141")
    tune(drive, page, 0)
    drive.until(lambda: list((first.folder / "jobs").glob("*/started.json")))
    page.close()
    first.process.send_signal(signal.SIGKILL)
    first.process.wait(20)
    second = serve(first.folder)
    page = drive.open_page(chromium, second)
    drive.go_to(page, "Tune")
    page.wait_for_selector("#tune-result .verdict")
    page.close()


def test_no_control_is_without_a_name_and_contrast_passes(drive, page):
    pytest.importorskip("axe_playwright_python", reason="nothing is audited without axe")
    for notice in page.locator(".toast-close").all():
        notice.click()
    found = []
    for tab in ("Data", "Tune", "Runs"):
        drive.go_to(page, tab)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            drive.settle(page)
            found += drive.audit(page, f"{tab}, {scheme}")
    assert not found, "\n".join(found)
