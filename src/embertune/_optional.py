"""The only door for optional dependencies."""

from __future__ import annotations

import json
import os
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from embertune.errors import MissingExtraError

__all__ = ["checkout", "import_litellm", "install_line", "require"]


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency, or say which extra brings it.

    A module that is installed but broken must not be reported as missing, so only the
    absence of `module` itself is translated.

    Args:
        module: Dotted name to import.
        extra: The extra of Embertune that brings it.
        purpose: What it is needed for, as the start of a sentence ("Reading Parquet files").

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(module, extra, purpose, install_line(extra)) from None


def install_line(extra: str) -> str:
    """Give the line that installs an extra: from the checkout that Embertune came from, or by its name.

    Args:
        extra: The extra of Embertune.

    Example:
        >>> install_line("api").endswith("[api]'")
        True
    """
    found = checkout()
    if found is None:
        return f"pip install 'embertune[{extra}]'"
    folder, is_editable = found
    return f"pip install {'-e ' if is_editable else ''}{shlex.quote(f'{folder}[{extra}]')}"


def checkout() -> tuple[Path, bool] | None:
    """Give the folder that Embertune was installed from, and whether it is the one that runs; None for an index."""
    from urllib.request import url2pathname  # 40 ms, which every encoder would pay

    # Beside an editable installation the source folder lists the package again, without where it came from.
    origins = (found.read_text("direct_url.json") for found in distributions(name="embertune"))
    origin = json.loads(next(filter(None, origins), "{}"))
    folder = Path(url2pathname(urlsplit(origin.get("url", "")).path))
    # Only for folders; archives and repositories are installed by name as well, pip keeps what is there.
    if "dir_info" in origin and (folder / "pyproject.toml").is_file():
        return folder, bool(origin["dir_info"].get("editable"))
    return None


def import_litellm(purpose: str) -> ModuleType:
    """Import LiteLLM so that it fetches nothing, says nothing and leaves the environment alone.

    Args:
        purpose: What it is needed for, as the start of a sentence.

    Raises:
        MissingExtraError: It is not installed.
    """
    # Its price list would be fetched, and any .env file of the working directory read into the environment.
    with _unless_set(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = require("litellm", extra="api", purpose=purpose)
    module.suppress_debug_info = True  # type: ignore[attr-defined]
    return module


@contextmanager
def _unless_set(**values: str) -> Iterator[None]:
    changed = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in changed})
    try:
        yield
    finally:
        for name in changed:
            os.environ.pop(name, None)
