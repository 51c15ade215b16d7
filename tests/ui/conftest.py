"""A workbench that is served, and a browser; who asks for them skips where gradio, playwright or Chromium is absent."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def drive():
    """The functions of driving.py."""
    spec = importlib.util.spec_from_file_location("driving", Path(__file__).with_name("driving.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def serve(drive):
    """Start workbenches, all of which are ended with the module."""
    pytest.importorskip("gradio", reason="the workbench needs gradio: pip install '.[ui]'")
    started = []

    def begin(folder, **options):
        started.append(drive.serve(folder, **options))
        return started[-1]

    yield begin
    for each in started:
        drive.end(each)


@pytest.fixture(scope="module")
def chromium(drive):
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="no browser can be driven without playwright")
    opening = drive.chromium(api)
    try:
        browser = opening.__enter__()
    except api.Error as error:
        pytest.skip(f"Chromium does not start: {str(error).splitlines()[0]}")
    yield browser
    opening.__exit__(None, None, None)
