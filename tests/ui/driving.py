"""Serve a workbench and drive it in headless Chromium: for the tests of the page, and for docs/pictures.py."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from types import SimpleNamespace

from embertune.ui.jobs import Jobs
from embertune.ui.workspace import Workspace

TABS = ("Data", "Tune", "Runs", "Look", "Ask", "Use")
# A machine that does other things takes its time; nothing here asserts how long something took.
PATIENCE = int(os.environ.get("EMBERTUNE_PATIENCE", 240))
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def free_port():
    """Give a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(folder, *, port=None, largest_file=None, **environment):
    """Serve the workbench of a folder; give its address, process, folder and log once it answers.

    Files beyond `largest_file` bytes fail, as on a full disk.
    """

    def limit():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    port = port or free_port()
    settings = {"EMBERTUNE_CACHE": str(folder.parent / "cache"), "OPENBLAS_NUM_THREADS": "1", **environment}
    log = folder.parent / "log.txt"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "embertune", "ui", str(folder), "--port", str(port)],
            cwd=folder.parent, env={**os.environ, **settings}, stdout=file, stderr=file,
            preexec_fn=limit if largest_file else None,
        )  # fmt: skip
    bench = SimpleNamespace(address=f"http://127.0.0.1:{port}/", process=process, folder=folder, log=log)
    until(lambda: answers(bench))
    return bench


def answers(bench):
    """Tell whether a workbench answers; one that ended never will."""
    assert bench.process.poll() is None, bench.log.read_text()
    try:
        urllib.request.urlopen(bench.address, timeout=5).read()
    except OSError:
        return False
    return True


def end(bench):
    """End a workbench, and its jobs, which would go on without it."""
    jobs = Jobs(Workspace(bench.folder))
    bench.process.terminate()
    bench.process.wait(20)
    for job in jobs.all():
        jobs.cancel(job.id)


def until(found, seconds=PATIENCE):
    """Wait until something is so."""
    last = time.monotonic() + seconds
    while not found() and time.monotonic() < last:
        time.sleep(0.1)
    assert found()


@contextmanager
def chromium(api):
    """Open headless Chromium with an empty profile: the system's where there is one, else Playwright's own.

    Args:
        api: The module playwright.sync_api.
    """
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(headless=True, executable_path=path, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser, bench, *, width=1440, theme="light", height=1000):
    """Open a workbench as somebody whose browser is new; faults and requests to strangers are in ``page.problems``."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True,
        permissions=["clipboard-read", "clipboard-write"],
    )  # fmt: skip
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    # The page and all that it needs come from this machine.
    page.on("request", lambda sent: page.problems.extend([sent.url] if _is_strange(sent.url, bench.address) else []))
    page.goto(f"{bench.address}?__theme={theme}")
    page.wait_for_selector("#tabs")
    return page


def _is_strange(url, address):
    return url.startswith("http") and not url.startswith(address)


def go_to(page, name):
    """Open a tab; those that a narrow screen has no room for are in a menu."""
    tab = page.locator("#tabs > .tab-wrapper").get_by_role("tab", name=name, exact=True)
    if tab.count() == 0 or not tab.first.is_visible():
        page.locator("#tabs > .tab-wrapper .overflow-menu > button").click()
        page.locator("#tabs > .tab-wrapper .overflow-dropdown button", has_text=name).click()
    else:
        tab.first.click()
    page.wait_for_selector(f"#tab-{name.lower()}:visible")


def says(page, selector, text):
    """Wait until an element says something."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text]
    )


def settle(page):
    """Wait until pictures are still and colours have faded; nothing but they depend on it."""
    page.wait_for_timeout(2000)


def load(page, path, name=None):
    """Load a file in the tab Data."""
    page.locator("#data-files input[type=file]").set_input_files(str(path))
    page.wait_for_selector("#data-files .file-preview, #data-files table")
    if name:
        page.fill("#data-name textarea, #data-name input", name)
    page.click("#data-load-files")


def cell(page, table, row, column):
    """Find a cell of a table, both from 0; its first column is the button that chooses the row."""
    return page.locator(f"#{table}-table tbody tr:nth-child({row + 1}) td:nth-child({column + 2})")


def choose(page, list_id, text):
    """Choose in a list by what is said there."""
    page.click(f"#{list_id} input")
    page.get_by_role("option").filter(has_text=text).first.click()


def tab_to(page, selector, most=300):
    """Press Tab until something of a selector has the focus: what nobody reaches so is not for the keyboard."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached within {most} presses of Tab")


def runs(bench):
    """Give the folders of the finished runs, oldest first."""
    return sorted(path.parent for path in (bench.folder / "runs").glob("*/record.json"))


def audit(page, where):
    """Give every violation that axe finds, with where it is."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        f"{where}: {violation['id']}: {node['html'][:200]}"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
    ]
