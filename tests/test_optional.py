from __future__ import annotations

import json
import re
from importlib.metadata import distributions

import pytest

from embertune import _optional
from embertune._optional import install_line, require
from embertune.errors import MissingExtraError


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Let this be all that is installed: metadata with where it came from, in the order of sys.path."""

    def install(*origins):
        places = []
        for number, origin in enumerate(origins):
            info = tmp_path / f"site{number}" / "embertune-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: embertune\nVersion: 1.0\n")
            if origin is not None:
                (info / "direct_url.json").write_text(json.dumps(origin))
            places.append(str(info.parent))
        monkeypatch.setattr(_optional, "distributions", lambda name: distributions(name=name, path=places))

    return install


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "my checkout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


def test_what_came_from_the_index_is_installed_by_name(installed):
    installed(None)
    assert install_line("api") == "pip install 'embertune[api]'"


@pytest.mark.parametrize(("info", "option"), [({"editable": True}, "-e "), ({"editable": False}, ""), ({}, "")])
def test_what_came_from_a_checkout_is_installed_from_it(info, option, installed, checkout):
    origin = {"url": checkout.as_uri(), "dir_info": info}
    installed(origin)
    assert "my%20checkout" in origin["url"]
    assert install_line("api") == f"pip install {option}'{checkout}[api]'"


def test_metadata_in_the_source_folder_does_not_hide_the_checkout(installed, checkout):
    installed(None, {"url": checkout.as_uri(), "dir_info": {"editable": True}})
    assert install_line("api") == f"pip install -e '{checkout}[api]'"


@pytest.mark.parametrize(
    "origin",
    [
        {"url": "file:///nowhere/embertune", "dir_info": {}},
        {"url": "file:///tmp/embertune-1.0-py3-none-any.whl", "archive_info": {}},
        {"url": "https://example.org/embertune.git", "vcs_info": {"vcs": "git", "commit_id": "0"}},
    ],
)
def test_where_there_is_no_checkout_any_more_the_name_is_enough(origin, installed):
    installed(origin)
    assert install_line("api") == "pip install 'embertune[api]'"


def test_without_metadata_the_name_is_all_there_is(installed):
    installed()
    assert install_line("api") == "pip install 'embertune[api]'"


def test_a_missing_package_names_the_line(installed, checkout):
    installed({"url": checkout.as_uri(), "dir_info": {"editable": True}})
    message = f"Reading it needs `no_such_module`. Install it with: pip install -e '{checkout}[api]'"
    with pytest.raises(MissingExtraError, match=f"^{re.escape(message)}$"):
        require("no_such_module", extra="api", purpose="Reading it")
