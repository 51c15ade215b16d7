"""The artefact: an adapter as a folder that can be read without this library.

``config.json`` (what it is, and for which encoder), ``adapter.safetensors`` (float32 arrays), and the
adapter's attachments: ``record.json`` (the experiment that made it) and ``README.md`` (its card); where the
encoder could embed texts, also ``canaries.safetensors``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_tensors

from embertune.adapters.base import Adapter
from embertune.adapters.canaries import CANARY_FILE, Canaries
from embertune.adapters.state import class_of, from_state, to_state
from embertune.core.paths import as_path
from embertune.errors import ArtifactError, StorageError

__all__ = ["FORMAT", "check_target", "load_adapter", "save", "write_adapter", "write_folder"]

FORMAT = 1

_NAMES = {
    "config.json", "adapter.safetensors", CANARY_FILE, "record.json", "README.md", "report.html", "candidate",
    "rankings.jsonl", "map.json",
}  # fmt: skip


def save(adapter: Adapter, folder: str | Path) -> Path:
    """Write an adapter as a folder, whole or not at all.

    Args:
        adapter: A fitted adapter.
        folder: Where to; an earlier artefact of that name is replaced.

    Returns:
        The folder.

    Raises:
        NotFittedError: The adapter is not fitted.
        StorageError: The folder holds something else, or the disk refused.
    """
    return write_folder(folder, lambda staging: write_adapter(adapter, staging))


def write_adapter(adapter: Adapter, folder: Path) -> None:
    """Write the files of an adapter into an empty folder; see `write_folder` for how it gets its name."""
    described, tensors = to_state(adapter)
    config = {
        "format": FORMAT,
        **described,
        "encoder": dict(adapter.encoder) if adapter.encoder else None,
        "library": f"embertune {version('embertune')}",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    save_tensors(tensors, folder / "adapter.safetensors")
    # Both are made readable for their owner alone, which suits neither a server nor a colleague.
    (folder / "adapter.safetensors").chmod(0o644)
    folder.chmod(0o755)
    if adapter.canaries is not None:
        adapter.canaries.save(folder)
    for name, text in adapter.attachments.items():
        (folder / name).write_text(text, encoding="utf-8")


def write_folder(folder: str | Path, fill: Callable[[Path], None]) -> Path:
    """Put a folder in place whole, or not at all.

    An earlier artefact of that name is replaced only once the new one lies complete beside it.

    Args:
        folder: Where to; made with its parents if absent.
        fill: Writes everything into the empty folder that it is given.

    Returns:
        The folder.

    Raises:
        StorageError: The folder holds something else, or the disk refused.
    """
    target = check_target(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _refused(target, error) from None
    try:
        fill(staging)
        _swap(staging, target)
    except (OSError, SafetensorError) as error:
        raise _refused(target, error) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def check_target(folder: str | Path) -> Path:
    """Tell before any work whether an adapter may be written to a folder.

    Raises:
        StorageError: Something else stands there, or its parent cannot be written to.
    """
    target = as_path(folder)
    try:
        if target.is_symlink():
            target = target.resolve()
        if Path.cwd().is_relative_to(target.resolve()):
            raise StorageError(
                f"{str(folder)!r} is the folder you are in, or one around it, which cannot be replaced. "
                "Name another folder, such as my-adapter."
            )
        found = _strangers(target) if target.exists() else ""
    except (OSError, RuntimeError) as error:  # pathlib calls a circle of links a RuntimeError
        raise error if isinstance(error, StorageError) else _refused(target, error) from None
    if found:
        raise StorageError(
            f"{target} exists and {found}, so it was left alone: only a saved adapter is replaced. Name another folder."
        )
    parent = next(place for place in (target.absolute().parent, *target.absolute().parents) if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise StorageError(
            f"{parent} is not a folder that can be written to, so {target} cannot be made. Name another folder."
        )
    return target


def load_adapter(folder: str | Path) -> Adapter:
    """Read an adapter that was saved.

    Args:
        folder: The folder that `save` wrote.

    Returns:
        The fitted adapter, with its `encoder` and `attachments`.

    Raises:
        ArtifactError: The folder is missing, damaged or of a newer format.

    Example:
        >>> import numpy as np
        >>> from embertune.adapters.linear import LinearAdapter
        >>> folder = tempfile.TemporaryDirectory()
        >>> _ = LinearAdapter(pull=0.3).fit(np.eye(2), np.eye(2)[::-1]).save(f"{folder.name}/mine")
        >>> load_adapter(f"{folder.name}/mine").pull
        0.3
        >>> folder.cleanup()
    """
    source = as_path(folder)
    config = _read_config(source)
    try:
        # Before the weights, which a type of the future may store in a way of its own.
        class_of(config.get("type"))
        adapter = from_state(config, load_file(source / "adapter.safetensors"))
        adapter.encoder = _encoder(config["encoder"])
        adapter.canaries = Canaries.load(source)
    except ArtifactError as error:
        raise ArtifactError(f"{source} holds {error}") from None
    except KeyError as error:
        raise _damaged(source, f"{error} is missing") from None
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        raise _damaged(source, error) from None
    adapter.attachments = {
        name: _read_text(source, name) for name in ("record.json", "README.md") if (source / name).is_file()
    }
    return adapter


def _read_config(source: Path) -> dict[str, Any]:
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise ArtifactError(
            f"{source} is not a saved adapter: config.json was not found there. "
            "Make one with: embertune tune DATA --encoder ENCODER --out FOLDER"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source / 'config.json'} is not JSON: {error}. Save the adapter again.") from None
    if not isinstance(config, dict) or type(config.get("format")) is not int or config["format"] < 1:
        raise ArtifactError(
            f"{source / 'config.json'} has no format number, so it is not a saved adapter. "
            "Make one with: embertune tune DATA --encoder ENCODER --out FOLDER"
        )
    if config["format"] > FORMAT:
        raise ArtifactError(
            f"{source} has format {config['format']}; this version reads up to {FORMAT}. "
            "Upgrade with: pip install -U embertune"
        )
    return config


def _encoder(found: Any) -> Mapping[str, Any] | None:
    if found is None or isinstance(found, Mapping):
        return found
    raise ValueError(f"the encoder in config.json is {found!r}, expected an object")


def _read_text(source: Path, name: str) -> str:
    try:
        return (source / name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(source, f"{name} cannot be read: {error}") from None


def _damaged(source: Path, reason: object) -> ArtifactError:
    return ArtifactError(f"{source} is damaged: {reason}. Save the adapter again, or tune again.")


def _strangers(target: Path) -> str:
    """Say what in a place is not a saved adapter's, up to three things; empty where an adapter may replace it all."""
    if not target.is_dir():
        return "is a file"
    names = {entry.name for entry in target.iterdir()}
    if "adapter.safetensors" in names:
        inside = target / "candidate"
        deeper = (
            {f"candidate/{entry.name}" for entry in inside.iterdir() if entry.name not in _NAMES}
            if inside.is_dir()
            else set()
        )
        names = (names - _NAMES) | deeper
    return f"holds {', '.join(sorted(names)[:3])}" if names else ""


def _swap(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
        return
    # What stood there is moved aside first and deleted last, so a crash leaves one of the two whole.
    aside = target.with_name(f"{staging.name}.old")
    target.rename(aside)
    try:
        os.rename(staging, target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _refused(target: Path, error: Exception) -> StorageError:
    reason = getattr(error, "strerror", None) or str(error)
    return StorageError(
        f"The adapter could not be written to {target}: {reason}. What stood there before is unchanged. "
        "Free some space or name another folder."
    )
