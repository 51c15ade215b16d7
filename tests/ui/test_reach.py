"""What the page must bear, in a real browser: much data, no disk, a killed worker, two people, nobody with a mouse."""

import json
import os
import signal

import pytest

from embertune.data.dataset import Dataset
from embertune.ui.workspace import Workspace

pytestmark = pytest.mark.browser

_MANY = 100_000
_EVIL = "<img src=x onerror=\"document.title='harmed'\"><script>document.title='harmed'</script>"


def animals(*kinds):
    """Questions that a small encoder finds hard, and an adapter learns; texts that would do harm as markup."""
    homes = ("basket", "kennel", "burrow", "hollow tree")
    return Dataset.from_pairs(
        [
            (f"where does {kind} {number} sleep? {_EVIL}", f"{home} {number} belongs to {kind} {number} {_EVIL}")
            for kind, home in zip(kinds, homes, strict=False)
            for number in range(35)
        ]
    )


def served(serve, folder, **datasets):
    bench = Workspace(folder)
    for name, dataset in datasets.items():
        bench.add(dataset, name)
    return serve(folder)


def tune(drive, page, data):
    drive.go_to(page, "Tune")
    drive.choose(page, "tune-data", data)
    page.get_by_label("fast", exact=True).check()
    page.fill("#tune-encoder input", "hashing")
    page.keyboard.press("Enter")
    page.click("#tune-start")


@pytest.fixture(scope="module")
def many(serve, tmp_path_factory):
    pairs = [(f"question {at}", f"passage {at} about thing{at % 977}") for at in range(_MANY)]
    return served(serve, tmp_path_factory.mktemp("many") / "bench", many=Dataset.from_pairs(pairs))


def test_a_hundred_thousand_rows_are_turned_and_searched(drive, chromium, many):
    page = drive.open_page(chromium, many)
    drive.says(page, "#data-documents-said", "1–20 of 100,000")
    page.fill("#data-documents-search textarea, #data-documents-search input", "thing976 97699")
    drive.says(page, "#data-documents-said", "1–1 of 1 ")
    drive.says(page, "#data-documents-table", "passage 97699")
    # Only what is looked at is in the page, so it stays quick however much there is.
    assert page.locator("#data-documents-table tbody tr").count() == 1
    page.get_by_role("tab", name="Queries", exact=True).click()
    drive.says(page, "#data-queries-said", "1–20 of 100,000")
    page.click("#data-queries-after")
    drive.says(page, "#data-queries-said", "21–40")
    assert page.evaluate("document.querySelectorAll('*').length") < 20_000
    assert page.problems == []
    page.context.close()


def test_a_large_corpus_that_is_read_keeps_nobody_waiting(drive, chromium, many):
    first, second = drive.open_page(chromium, many), drive.open_page(chromium, many)
    first.get_by_role("tab", name="Split", exact=True).click()
    drive.go_to(second, "Tune")
    second.get_by_text("More: every setting").click()
    second.fill("#tune-seed input", "7")
    assert second.input_value("#tune-seed input") == "7"
    drive.says(first, "#data-split-said", "of 100,000")
    first.context.close()
    second.context.close()


def test_a_file_beyond_200_mb_is_refused_in_a_sentence(drive, chromium, many, tmp_path):
    page = drive.open_page(chromium, many)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(201 * 2**20)
    page.locator("#data-load-files").wait_for(state="hidden")
    page.get_by_text("Load data", exact=True).click()
    page.locator("#data-files input[type=file]").set_input_files(str(tmp_path / "large.csv"))
    toast = page.locator(".toast-body")
    toast.wait_for()
    assert "exceed the maximum allowed size of 200" in toast.inner_text()
    page.context.close()


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_made(drive, chromium, serve, tmp_path_factory):
    bench = serve(tmp_path_factory.mktemp("full") / "bench", largest_file=2**18)
    page = drive.open_page(chromium, bench)
    page.click("#data-demo")
    toast = page.locator(".toast-body")
    toast.wait_for()
    assert "could not be kept" in toast.inner_text()
    assert "Nothing was changed; free some space and load it again." in toast.inner_text()
    assert list((bench.folder / "data").iterdir()) == []
    page.context.close()


def test_a_killed_worker_is_told_and_the_next_job_runs(drive, chromium, serve, tmp_path_factory):
    bench = served(serve, tmp_path_factory.mktemp("killed") / "bench", animals=animals("cat", "dog"))
    page = drive.open_page(chromium, bench)
    tune(drive, page, "animals")
    drive.until(lambda: list((bench.folder / "jobs").glob("*/started.json")))
    (started,) = (bench.folder / "jobs").glob("*/started.json")
    os.kill(json.loads(started.read_text())["pid"], signal.SIGKILL)
    drive.says(page, "#tune-standing", "The process ended before it was done and gave no reason")
    page.click("#tune-start")
    page.wait_for_selector("#tune-result .verdict")
    assert len(drive.runs(bench)) == 1
    page.context.close()


def test_two_browsers_see_each_their_own_run(drive, chromium, serve, tmp_path_factory):
    bench = served(
        serve, tmp_path_factory.mktemp("two") / "bench", cats=animals("cat", "owl"), dogs=animals("dog", "fox")
    )
    pages = {name: drive.open_page(chromium, bench) for name in ("cats", "dogs")}
    for name, page in pages.items():
        tune(drive, page, name)
    for name, page in pages.items():
        page.wait_for_selector("#tune-result .verdict")
        page.wait_for_function(
            "name => document.querySelector('#tune-job input').value.startsWith(name)", arg=f"{name} on hashing · done"
        )
        (record,) = (
            json.loads((run / "record.json").read_text())
            for run in drive.runs(bench)
            if run.name.endswith(f"{name}-on-hashing")
        )
        assert page.inner_text("#tune-result .verdict") == record["verdict"]["sentence"]
        drive.go_to(page, "Look")
        page.wait_for_function(
            "name => document.querySelector('#look-run input').value.startsWith(name)", arg=f"{name}-v1 on"
        )
    assert len(drive.runs(bench)) == 2


def test_the_whole_path_without_a_mouse(drive, chromium, serve, tmp_path_factory):
    bench = served(serve, tmp_path_factory.mktemp("keys") / "bench", animals=animals("cat", "dog", "owl", "fox"))
    page = drive.open_page(chromium, bench)
    drive.says(page, "#data-facts", "140")

    def open_tab(name):
        page.locator("#tabs > .tab-wrapper").get_by_role("tab", name=name, exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#tab-{name.lower()}:visible")

    drive.tab_to(page, "#data-documents-table button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#data-documents-whole textarea:visible")
    open_tab("Tune")
    drive.tab_to(page, "#tune-effort input[value=fast]")
    page.keyboard.press("Space")
    assert page.get_by_label("fast", exact=True).is_checked()
    drive.tab_to(page, "#tune-start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#tune-result .verdict")
    open_tab("Look")
    page.wait_for_selector("#look-queries-table tbody tr:nth-child(2) button")
    drive.tab_to(page, "#look-queries-table tr:nth-child(2) button")
    page.keyboard.press("Enter")
    name = page.inner_text("#look-queries-table tbody tr:nth-child(2) td:last-child")
    drive.says(page, "#look-query", f"query {name} ")
    open_tab("Ask")
    drive.tab_to(page, "#ask-question textarea")
    page.keyboard.type("where does the cat sleep?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".column .answer")
    drive.tab_to(page, ".thumbs button")
    page.keyboard.press("Enter")
    drive.until((bench.folder / "feedback" / "votes.jsonl").exists)
    open_tab("Use")
    drive.says(page, "#use-code .cm-content", "EmbertuneEmbeddings")
    drive.tab_to(page, "#use-kind input[value=numpy]")
    page.keyboard.press("Space")
    drive.says(page, "#use-code .cm-content", "np.load")
    drive.tab_to(page, "#use-code button[aria-label=Copy], #use-code button[title=Copy]")
    page.keyboard.press("Enter")
    page.wait_for_function("navigator.clipboard.readText().then(text => text.includes('np.load'))")
    open_tab("Runs")
    drive.tab_to(page, "#runs-csv")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "runs.csv"
    # Every text of these data would have done it.
    assert page.title() == "Embertune"
    assert page.locator("img[src=x]").count() == 0
    assert page.problems == []
    page.context.close()
