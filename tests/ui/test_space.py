"""A Space that is written runs: its app is imported from its folder alone, and asks for a password."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from embertune.ui import space
from embertune.ui.space import write_space


def test_a_space_holds_its_app_its_requirements_and_the_front_matter(tmp_path):
    write_space(tmp_path)
    front = (tmp_path / "README.md").read_text().split("---")[1]
    told = dict(line.split(": ", 1) for line in front.strip().splitlines())
    assert (told["sdk"], told["app_file"]) == ("gradio", "app.py")
    assert len(told["short_description"]) <= 60
    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("gradio") for line in lines) or any(line.startswith("embertune[") for line in lines)
    compile((tmp_path / "app.py").read_text(), "app.py", "exec")


def test_from_an_index_it_is_one_pinned_line(tmp_path, monkeypatch):
    monkeypatch.setattr(space, "checkout", lambda: None)
    written = write_space(tmp_path)
    assert [path.name for path in written] == ["app.py", "requirements.txt", "README.md"]
    assert (tmp_path / "requirements.txt").read_text() == "embertune[api,documents,parquet,serve,ui]==0.1.0\n"


def test_it_runs_from_its_folder_and_lets_nobody_in_without_the_password(tmp_path):
    pytest.importorskip("gradio", reason="the workbench needs gradio")
    write_space(tmp_path / "space")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "EMBERTUNE_UI_AUTH")},
        "GRADIO_SERVER_PORT": str(port), "EMBERTUNE_UI_FOLDER": str(tmp_path / "bench"),
    }  # fmt: skip
    with (tmp_path / "log.txt").open("wb") as log:
        app = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path / "space", env=environment, stderr=log)
    try:
        page = ""
        for _ in range(900):
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
                break
            except OSError:
                assert app.poll() is None, (tmp_path / "log.txt").read_text()
                time.sleep(0.2)
        assert '"auth_required":true' in page.replace(" ", "")
        assert "Log in as embertune with the password" in (tmp_path / "log.txt").read_text()
        with pytest.raises(OSError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5)
    finally:
        app.terminate()
        app.wait(20)
