"""A workbench that is served, and a browser; who asks for them skips where gradio, playwright or Chromium is absent."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def start(folder, *, port=None):
    """Serve the workbench of a folder; give its address and its process once it answers."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    environment = {**os.environ, "EMBERTUNE_CACHE": str(folder.parent / "cache"), "OPENBLAS_NUM_THREADS": "1"}
    log = folder.parent / "log.txt"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "embertune", "ui", str(folder), "--port", str(port)],
            cwd=folder.parent, env=environment, stdout=file, stderr=file,
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return SimpleNamespace(address=address, process=process, port=port, folder=folder, log=log)
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def serve():
    """Start workbenches, all of which are ended with the module."""
    pytest.importorskip("gradio", reason="the workbench needs gradio: pip install 'embertune[ui]'")
    started = []

    def begin(folder, **options):
        started.append(start(folder, **options))
        return started[-1]

    yield begin
    for each in started:
        each.process.terminate()
        each.process.wait(20)


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="no browser can be driven without playwright")
    path = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        except api.Error as error:
            pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
        yield browser
        browser.close()
