"""The whole path in a real browser: load the demo, tune, look, ask, copy the code and run it, download the table.

Pictures of every tab go to the folder that EMBERTUNE_PICTURES names, else to the test's own.
"""

import csv
import json
import os
import shutil
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter
from embertune.data.dataset import Dataset
from embertune.encoders.load_adapted import load_adapted

pytestmark = pytest.mark.browser

LOOKS = [(width, theme) for width in (1440, 390) for theme in ("light", "dark")]


@pytest.fixture(scope="module")
def bench(serve, tmp_path_factory):
    return serve(tmp_path_factory.mktemp("path") / "bench", OPENBLAS_NUM_THREADS="2")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    place = Path(os.environ.get("EMBERTUNE_PICTURES", tmp_path_factory.mktemp("pictures")))
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="module")
def page(drive, chromium, bench):
    """The page of who went the whole path up to a finished run."""
    page = drive.open_page(chromium, bench)
    page.click("#data-demo")
    page.wait_for_function("document.querySelector('#data-facts')?.innerText.includes('Documents')")
    drive.go_to(page, "Tune")
    page.get_by_label("fast", exact=True).check()
    page.wait_for_function("document.querySelector('#tune-data input').value.includes('demo')")
    page.click("#tune-start")
    page.wait_for_selector("#tune-result .verdict")
    yield page
    assert page.problems == []


@pytest.fixture(scope="module")
def run(page, bench):
    (found,) = (bench.folder / "runs").iterdir()
    return found


def test_the_run_has_a_verdict_and_a_curve_on_dev(drive, page, run):
    drive.go_to(page, "Tune")
    record = json.loads((run / "record.json").read_text())
    assert page.inner_text("#tune-result .verdict") == record["verdict"]["sentence"]
    page.wait_for_selector("#tune-curve .js-plotly-plot .scatterlayer path")


def test_a_gained_query_shows_both_rankings_and_why(drive, page, run):
    drive.go_to(page, "Look")
    page.locator("#look-kind").get_by_label("gained", exact=True).check()
    rows = {row["id"]: row for row in json.loads((run / "record.json").read_text())["queries"]}
    best = max(rows.values(), key=lambda row: row["tuned"] - row["base"])
    page.wait_for_function("document.querySelector('#look-query .query')")
    page.wait_for_function(f"document.querySelector('#look-query').innerText.includes('query {best['id']} ')")
    shown = page.inner_text("#look-query")
    assert f"ndcg@10 {best['base']:.3f} → {best['tuned']:.3f}" in shown
    assert "Nearest training queries" in shown
    assert page.locator("#look-query .sides ol.hits").nth(0).locator("> li").count() == 10
    assert page.locator("#look-query .sides ol.hits").nth(1).locator("> li").count() == 10
    page.click("#look-on")
    page.wait_for_function(f"!document.querySelector('#look-query').innerText.includes('query {best['id']} ')")


def test_the_map_and_the_report_are_there(drive, page):
    drive.go_to(page, "Look")
    page.locator("#look-parts").get_by_role("tab", name="Map").click()
    for state in ("base", "tuned"):
        page.wait_for_selector(f"#look-map-{state} .js-plotly-plot .scatterlayer path")
    page.locator("#look-parts").get_by_role("tab", name="Report").click()
    frame = page.frame_locator("#look-report iframe")
    assert frame.locator("h1").inner_text() != ""
    frame.locator(".js-plotly-plot").first.wait_for()
    with page.expect_download() as download:
        page.click("#look-report-save")
    assert "<html" in Path(download.value.path()).read_text(encoding="utf-8")[:200]
    page.locator("#look-parts").get_by_role("tab", name="Queries").click()


def test_an_answer_and_thumbs_that_become_pairs(drive, page, bench):
    drive.go_to(page, "Ask")
    page.fill("#ask-question textarea", "how do I pretty print json?")
    page.press("#ask-question textarea", "Enter")
    page.wait_for_selector(".column .answer")
    assert page.locator("ol.hits:visible").count() >= 5
    page.get_by_role("button", name="▲ passage 1 helps").first.click()
    votes = bench.folder / "feedback" / "votes.jsonl"
    page.wait_for_function("document.querySelector('.thumbs button.primary')")
    page.get_by_role("button", name="▼ passage 2 does not help").first.click()
    while len(votes.read_text().splitlines()) < 2:
        page.wait_for_timeout(200)
    made = Dataset.from_feedback(str(votes))
    assert list(made.queries.values()) == ["how do I pretty print json?"]
    assert sorted(made.qrels["q1"].values()) == [0.0, 1.0]


def copied(drive, page, kind):
    drive.go_to(page, "Use")
    before = page.inner_text("#use-code .cm-content")
    chosen = page.locator("#use-kind").get_by_label(kind, exact=True)
    if not chosen.is_checked():
        chosen.check()
        page.wait_for_function("old => document.querySelector('#use-code .cm-content').innerText !== old", arg=before)
    page.wait_for_timeout(500)
    page.locator("#use-code").get_by_role("button", name="Copy").first.click()
    return page.evaluate("navigator.clipboard.readText()")


def test_the_langchain_class_is_copied_and_embeds_as_the_adapter_does(drive, page, run):
    pytest.importorskip("langchain_core", reason="LangChain's code needs langchain-core")
    for kind in ("LangChain", "LangChain without Embertune"):
        code = copied(drive, page, kind)
        made = {"__name__": "copied"}
        exec(compile(code, "copied.py", "exec"), made)  # what a reader of the page does
        encoder = load_adapted(run)
        expected = encoder.encode_query(["how to sort"])[0]
        if kind == "LangChain":
            found = made["embeddings"].embed_query("how to sort")
        else:
            found = made["TunedEmbeddings"](_Base(encoder.encoder)).embed_query("how to sort")
        assert np.allclose(found, expected, atol=1e-5)


class _Base:
    """LangChain's embeddings of the frozen encoder."""

    def __init__(self, encoder):
        self.encoder = encoder

    def embed_query(self, text):
        return self.encoder.encode_query([text])[0].tolist()

    def embed_documents(self, texts):
        return self.encoder.encode_document(texts).tolist()


def test_the_numpy_code_maps_as_the_adapter_does(drive, page, run):
    made = {"__name__": "copied"}
    exec(compile(copied(drive, page, "numpy"), "copied.py", "exec"), made)  # what a reader of the page does
    adapter = load_adapter(run)
    vectors = np.random.default_rng(0).normal(size=(5, adapter.dimension or 256)).astype(np.float32)
    for side in ("query", "document"):
        assert np.allclose(made["adapt"](vectors, side), adapter.transform(vectors, side), atol=1e-5)


def test_the_artefact_is_downloaded_and_loads(drive, page, run, tmp_path):
    drive.go_to(page, "Use")
    page.click("#use-pack")
    page.wait_for_selector("#use-save:visible")
    with page.expect_download() as download:
        page.click("#use-save")
    shutil.unpack_archive(download.value.path(), tmp_path, "zip")
    vectors = np.eye(4, load_adapter(run).dimension or 256, dtype=np.float32)
    loaded = load_adapter(tmp_path / run.name)
    assert np.array_equal(loaded.transform(vectors), load_adapter(run).transform(vectors))


def test_a_server_is_started_asked_and_stopped(drive, page, run):
    pytest.importorskip("uvicorn", reason="the server needs uvicorn")
    pytest.importorskip("orjson", reason="the server needs orjson")
    port = drive.free_port()
    drive.go_to(page, "Use")
    page.fill("#use-port input", str(port))
    page.press("#use-port input", "Tab")
    page.click("#use-start")
    page.wait_for_function("document.querySelector('#use-server').innerText.includes('is served at')")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/embeddings", json.dumps({"model": "tuned/query", "input": "how to sort"}).encode(),
        {"content-type": "application/json"},
    )  # fmt: skip
    answer = json.load(urllib.request.urlopen(request, timeout=60))["data"][0]["embedding"]
    assert np.allclose(answer, load_adapted(run).encode_query(["how to sort"])[0], atol=1e-5)
    page.click("#use-stop")
    page.wait_for_function("document.querySelector('#use-server').innerText.includes('No server runs')")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)


def test_the_table_of_runs_is_downloaded(drive, page, run):
    drive.go_to(page, "Runs")
    drive.settle(page)
    with page.expect_download() as download:
        page.click("#runs-csv")
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1
    assert run.name in rows[0].values()


def test_the_tabs_are_reached_by_keyboard(drive, page):
    drive.go_to(page, "Data")
    page.locator("#tabs > .tab-wrapper").get_by_role("tab", name="Data", exact=True).focus()
    for name in drive.TABS[1:]:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#tab-{name.lower()}:visible")


# What a tab shows last of what it shows by itself.
_FILLED = {
    "Data": "document.querySelectorAll('#data-documents-table tbody tr').length === 20",
    "Tune": "document.querySelector('#tune-curve .js-plotly-plot .scatterlayer path')",
    "Runs": "document.querySelectorAll('#runs-table tbody tr').length === 1",
    "Look": "document.querySelector('#look-query .query')",
    "Ask": "document.querySelector('#ask-readers').innerText.includes('frozen')",
    "Use": "document.querySelector('#use-code .cm-content')?.innerText.includes('embeddings')",
}


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_tab_is_pictured_and_every_control_labelled(drive, page, chromium, bench, pictures, width, theme):
    pytest.importorskip("axe_playwright_python", reason="nothing is audited without axe")
    other = drive.open_page(chromium, bench, width=width, theme=theme)
    found = []
    for name in drive.TABS:
        drive.go_to(other, name)
        other.wait_for_function(_FILLED[name])
        drive.settle(other)
        if name == "Ask":
            other.fill("#ask-question textarea", "how do I pretty print json?")
            other.click("#ask-send")
            other.wait_for_selector(".column .answer")
            drive.settle(other)
        other.screenshot(path=pictures / f"{name.lower()}-{width}-{theme}.png", full_page=True)
        wide = other.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 1, f"{name} is {wide} pixels wider than the screen"
        found += drive.audit(other, name)
    other.context.close()
    assert not found, "\n".join(found)
