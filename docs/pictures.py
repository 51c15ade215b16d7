"""Take the pictures of README and guides: the real workbench goes the demo's whole path in headless Chromium.

Type: make pictures
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright import sync_api

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent / "tests" / "ui"))

import driving  # noqa: E402  (the folder is known from here on)

_TARGET = _HERE / "pictures"
_WIDTH, _HEIGHT, _QUALITY = 1280, 900, 82


def main() -> None:
    """Write every picture to docs/pictures/."""
    _TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Short, for it stands in the code of the tab Use.
        bench = driving.serve(Path(folder) / "workbench")
        try:
            with driving.chromium(sync_api) as browser:
                page = driving.open_page(browser, bench, width=_WIDTH, height=_HEIGHT)
                for take in (_data, _tune, _runs, _look, _ask, _use):
                    take(page)
                _report(page, bench)
        finally:
            driving.end(bench)


def _keep(page: Any, name: str, *, height: int = _HEIGHT, top: int = 0) -> None:
    """Write what a reader of the page sees; WebP takes a third of what PNG takes."""
    page.mouse.move(0, 0)
    driving.settle(page)
    taken = page.screenshot(full_page=True)
    with Image.open(io.BytesIO(taken)) as picture:
        bottom = min(picture.height, top + height)
        picture.convert("RGB").crop((0, top, picture.width, bottom)).save(
            _TARGET / f"{name}.webp", quality=_QUALITY, method=6
        )


def _data(page: Any) -> None:
    page.click("#data-demo")
    driving.says(page, "#data-facts", "Documents")
    driving.says(page, "#data-documents-said", "1–20")
    page.get_by_role("tab", name="Queries", exact=True).click()
    driving.says(page, "#data-queries-said", "1–20")
    _keep(page, "data")


def _start(page: Any, effort: str, seed: int, run: int) -> None:
    page.get_by_label(effort, exact=True).check()
    if not page.locator("#tune-seed input").is_visible():
        page.get_by_text("More: every setting").click()
    page.fill("#tune-seed input", str(seed))
    page.press("#tune-seed input", "Tab")
    page.get_by_text("More: every setting").click()
    page.click("#tune-start")
    page.wait_for_function(
        "run => [...document.querySelectorAll('#tune-queue td')].filter(one => one.innerText == 'done').length == run",
        arg=run,
    )
    page.wait_for_selector("#tune-result .verdict")


def _tune(page: Any) -> None:
    driving.go_to(page, "Tune")
    page.wait_for_function("document.querySelector('#tune-data input').value.includes('demo')")
    _start(page, "fast", 1, 1)
    _start(page, "normal", 0, 2)
    page.wait_for_selector("#tune-curve .js-plotly-plot .scatterlayer path")
    _keep(page, "tune")


def _runs(page: Any) -> None:
    driving.go_to(page, "Runs")
    for row in (0, 1):
        driving.cell(page, "runs", row, 1).click()
        page.wait_for_function(
            "count => document.querySelectorAll('#runs-compared thead tr:first-child th').length >= count", arg=row + 2
        )
        driving.settle(page)
    page.wait_for_selector("#runs-parallel .js-plotly-plot")
    _keep(page, "runs", height=1250)


def _look(page: Any) -> None:
    driving.go_to(page, "Look")
    page.locator("#look-kind").get_by_label("gained", exact=True).check()
    page.wait_for_selector("#look-query .query")
    driving.settle(page)
    top = int(page.locator("#look-query").bounding_box()["y"]) - 60
    _keep(page, "look", top=top)
    page.locator("#look-parts").get_by_role("tab", name="Map").click()
    for state in ("base", "tuned"):
        page.wait_for_selector(f"#look-map-{state} .js-plotly-plot .scatterlayer path")
    _keep(page, "map")


def _ask(page: Any) -> None:
    driving.go_to(page, "Ask")
    page.fill("#ask-question textarea", "how do I pretty print json?")
    page.click("#ask-send")
    page.wait_for_selector(".column .answer")
    _keep(page, "ask", height=1000)


def _use(page: Any) -> None:
    driving.go_to(page, "Use")
    page.locator("#use-kind").get_by_label("LangChain", exact=True).check()
    driving.says(page, "#use-code .cm-content", "EmbertuneEmbeddings")
    _keep(page, "use", height=620)


def _report(page: Any, bench: Any) -> None:
    page.goto((driving.runs(bench)[-1] / "report.html").as_uri())
    page.locator(".js-plotly-plot").first.wait_for()
    _keep(page, "report")


if __name__ == "__main__":
    main()
