"""Put a text file in place whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from embertune.core.paths import as_path
from embertune.errors import StorageError

__all__ = ["write_whole"]


def write_whole(path: str | Path, text: str) -> Path:
    """Write UTF-8 text to a file; what stood there stays until the new text lies complete beside it.

    Args:
        path: Where to; its folder must exist.
        text: What.

    Returns:
        The path.

    Raises:
        StorageError: The disk or the folder refused; nothing changed.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(f"{folder}/note.txt", "q → d").read_text(encoding="utf-8")
        'q → d'
    """
    target = as_path(path)
    staging: str | None = None
    try:
        handle, staging = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        # newline="" keeps the bytes the same on every system, so that two machines write equal files. Half a
        # surrogate pair, which broken texts hold, has no UTF-8; its escape is what JSON would write, too.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(staging, 0o644)
        os.replace(staging, target)
    except OSError as error:
        if staging is not None:
            Path(staging).unlink(missing_ok=True)
        raise StorageError(
            f"{target} could not be written: {error.strerror or error}. What stood there before is unchanged. "
            "Free some space or name another folder."
        ) from None
    return target
