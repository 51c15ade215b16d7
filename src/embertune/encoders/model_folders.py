"""Models that lie in a folder of this machine, a download included: what they are, and which version."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from embertune.errors import EncoderError

__all__ = ["download_revision", "folder_revision", "folder_runtime"]

_COMMIT = re.compile(r"[0-9a-f]{40}")


def folder_runtime(folder: Path) -> str:
    """Give the provider that can load a model folder: "sentence-transformers" or "model2vec".

    Raises:
        EncoderError: There is no model in it.
    """
    if (folder / "modules.json").is_file():
        return "sentence-transformers"
    config = folder / "config.json"
    if not config.is_file():
        files = ", ".join(sorted(path.name for path in folder.iterdir())[:3]) or "nothing"
        raise EncoderError(f"The folder {folder} is no model: it holds {files}. Expected modules.json or config.json.")
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(f"{config} cannot be read: {error}. Download or save the model again.") from None
    return "model2vec" if kind == "model2vec" else "sentence-transformers"


def folder_revision(folder: Path) -> str:
    """Hash every file of a model, because a folder keeps its name when its weights change."""
    state = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        state.update(f"{path.relative_to(folder).as_posix()}\n{digest}\n".encode())
    return f"sha256:{state.hexdigest()[:16]}"


def download_revision(folder: Path) -> str:
    """Give the commit by which the Hugging Face hub's cache names a folder, or else the hash of its files.

    Args:
        folder: Where a library keeps what it downloaded, such as ``models--a--b/snapshots/COMMIT``.
    """
    folder = folder.absolute()
    named = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name)
    return folder.name if named else folder_revision(folder)
