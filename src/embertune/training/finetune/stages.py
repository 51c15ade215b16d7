"""What fine-tuning has done before, on disk: each stage under a fingerprint of all that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from embertune.core.files import write_whole
from embertune.errors import StorageError

__all__ = ["Stages", "fingerprint"]

T = TypeVar("T")


def fingerprint(*parts: Any) -> str:
    """Give a short hash of JSON-able values.

    Example:
        >>> fingerprint("mine", {"a": 1, "b": 2}) == fingerprint("mine", {"b": 2, "a": 1})
        True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Stages:
    """A folder with the results of stages.

    Args:
        folder: Made if it is not there.

    Attributes:
        reused: Names of the stages that were not done again.

    Raises:
        StorageError: It cannot be made.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Stages(folder).result("mine", ["data", 1], lambda: {"q": ["no"]})
        ...     again = Stages(folder)
        ...     again.result("mine", ["data", 1], lambda: {}), again.reused
        {'q': ['no']}
        ({'q': ['no']}, ['mine'])
    """

    def __init__(self, folder: str | Path) -> None:
        self.root = Path(folder)
        self.reused: list[str] = []
        _make(self.root)

    def result(self, name: str, depends_on: list[Any], make: Callable[[], T]) -> T:
        """Give the JSON-able result of a stage; it is made unless an earlier run with the same inputs left it.

        Args:
            name: Of the stage.
            depends_on: Everything that decides what comes out.
            make: Does the work.

        Raises:
            StorageError: The disk refused.
        """
        path = self.root / f"{name}-{fingerprint(*depends_on)}.json"
        try:
            found: T = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or damaged, which is the same
            found = make()
            write_whole(path, json.dumps(found, ensure_ascii=False))
        else:
            self.reused.append(name)
        return found

    def folder(self, name: str, depends_on: list[Any]) -> Path:
        """Give the folder of a stage, made if it is not there.

        Raises:
            StorageError: The disk refused.
        """
        path = self.root / f"{name}-{fingerprint(*depends_on)}"
        _make(path)
        return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be made: {error.strerror or error}. Name another place: cache_dir=FOLDER"
        ) from None
