"""The workbench as a Hugging Face Space: what `embertune ui --space DIR` writes, and what the Space then runs."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from embertune._optional import checkout
from embertune.core.paths import as_path
from embertune.errors import StorageError
from embertune.ui.serve import AUTH_VARIABLE, read_auth, serve

__all__ = ["serve_space", "write_space"]

FOLDER_VARIABLE = "EMBERTUNE_UI_FOLDER"

_EXTRAS = ("api", "documents", "parquet", "serve", "ui")
# Where a Space keeps what it must not lose, if its owner pays for that.
_PERSISTENT = Path("/data")
_PORT = 7860
_APP = '''"""The Embertune workbench as a Hugging Face Space."""

from embertune.ui.space import serve_space

if __name__ == "__main__":
    serve_space()
'''
_README = """---
title: Embertune
emoji: 🔥
colorFrom: red
colorTo: yellow
sdk: gradio
sdk_version: {gradio}
python_version: "3.12"
app_file: app.py
pinned: false
short_description: Better retrieval on your own data, and proof of it
---

# Embertune workbench

Load your data, tune an adapter on frozen embeddings, see whether it helps, ask, and take the code with you.

* Everyone who opens this Space works in the same folder, so it asks for a password. Set the secret `{auth}` to
  `USER:PASSWORD`; without it, a user and a password that is made anew at each start stand in the Space's log, which its
  owner alone can read.
* Data and runs are kept in `/data` where the Space has persistent storage, else until it restarts; `{folder}` names
  another folder.
* Keys of providers, such as `OPENAI_API_KEY`, are secrets of the Space.
"""


def write_space(folder: str | Path) -> list[Path]:
    """Write app.py, requirements.txt and README.md of a Space.

    An Embertune that was not installed from a package index comes along as its source, so that the Space runs what is
    running here.

    Args:
        folder: Where to; made if absent. What else is in it stays.

    Returns:
        What was written.

    Raises:
        StorageError: The disk refused.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     sorted(path.name for path in write_space(folder) if path.suffix)
        ['README.md', 'app.py', 'requirements.txt']
    """
    target = as_path(folder)
    found = checkout()
    texts = {
        "app.py": _APP,
        "requirements.txt": "\n".join(_requirements(found[0] if found else None)) + "\n",
        "README.md": _README.format(gradio=_gradio(), auth=AUTH_VARIABLE, folder=FOLDER_VARIABLE),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (target / name).write_text(text, encoding="utf-8", newline="")
        if found:
            source = Path(str(files("embertune")))
            shutil.copytree(
                source, target / "embertune", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
    except OSError as error:
        raise StorageError(
            f"The Space could not be written to {target}: {error.strerror or error}. Free some space or name another "
            "folder: embertune ui --space FOLDER"
        ) from None
    return [target / name for name in texts] + ([target / "embertune"] if found else [])


def serve_space() -> None:
    """Serve the workbench as a Space does: for everyone who knows the password.

    Raises:
        ConfigError: EMBERTUNE_UI_AUTH is no USER:PASSWORD, or the port is taken.
    """
    told = os.environ.get(AUTH_VARIABLE)
    if not told:
        password = secrets.token_urlsafe(12)
        told = f"embertune:{password}"
        # As Jupyter does with its token: it is worth nothing after the next start, and the owner alone reads this log.
        sys.stderr.write(f"Log in as embertune with the password {password}; {AUTH_VARIABLE} sets one of your own.\n")
    folder = os.environ.get(FOLDER_VARIABLE) or (_PERSISTENT / "embertune" if _is_writable() else Path("workbench"))
    port = int(os.environ.get("GRADIO_SERVER_PORT", _PORT))
    serve(folder, host="0.0.0.0", port=port, auth=read_auth(told, "0.0.0.0"))


def _is_writable() -> bool:
    return _PERSISTENT.is_dir() and os.access(_PERSISTENT, os.W_OK)


def _requirements(source: Path | None) -> list[str]:
    if source is None:
        return [f"embertune[{','.join(_EXTRAS)}]=={version('embertune')}"]
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return sorted({*project["dependencies"], *(line for extra in _EXTRAS for line in extras[extra])})


def _gradio() -> str:
    try:
        return version("gradio")
    except PackageNotFoundError:
        return "6.0.0"
