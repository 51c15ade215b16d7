"""What a person sees: results on stdout, progress and advice on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import Any

import click

from embertune.core.paths import as_path
from embertune.data.dataset import Dataset
from embertune.encoders.base import Encoder
from embertune.errors import StorageError

__all__ = ["PROGRESS_FILE", "Console", "ProgressFile", "emit"]

# A terminal is redrawn at most ten times a second; a log gets a line every two seconds at most.
_REDRAW_SECONDS = 0.1
_LOG_SECONDS = 2.0
_FILE_SECONDS = 0.5

PROGRESS_FILE = "embertune.progress_file"
"""Where in a command's context the file for its progress stands."""


def emit(text: object, data: Any, *, as_json: bool) -> None:
    """Print a result on stdout: for people, or as one JSON document.

    Args:
        text: Anything whose ``str`` is for people.
        data: The same as JSON-able values.
        as_json: Which of the two.

    Raises:
        StorageError: What stands behind stdout is full or gone.
    """
    said = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) if as_json else str(text)
    try:
        click.echo(said)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"The result could not be printed: {error.strerror or error}.") from None


class ProgressFile:
    """Writes progress to a file, as one JSON object on each line: for programs that watch a command.

    A line has "time" (seconds since 1970), "stage", "done", "total", "note", and the "numbers" in the note.

    Args:
        path: A file; it is written anew.

    Raises:
        StorageError: It cannot be written.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = as_path(path).open("w", encoding="utf-8", buffering=1, errors="backslashreplace")
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}. Name another file.") from None
        self._stage, self._written = "", 0.0

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

    def progress(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Write one step, unless it is one of many within a moment that tells no numbers."""
        now, numbers = time.monotonic(), dict(getattr(note, "numbers", {}))
        finished = total is not None and done >= total
        if stage == self._stage and not finished and not numbers and now - self._written < _FILE_SECONDS:
            return
        self._stage, self._written = stage, now
        told = {"time": round(time.time(), 3), "stage": stage, "done": done, "total": total, "note": str(note)}
        # A full disk does not end the work; it will say so itself if it still is full when there is a result.
        with contextlib.suppress(OSError):
            self._file.write(json.dumps({**told, "numbers": numbers}, ensure_ascii=False) + "\n")


class Console:
    """Draws progress on stderr, as one moving line on a terminal and as few lines in a log.

    A command that has `embertune.cli.options.progress_option` writes it to a file, too.
    """

    def __init__(self) -> None:
        context = click.get_current_context(silent=True)
        path = context.meta.get(PROGRESS_FILE) if context else None
        self._file = ProgressFile(path) if path else None
        if context and self._file:
            context.call_on_close(self._file.close)
        self._moving = sys.stderr.isatty()
        self._stage = ""
        self._started = self._drawn = 0.0

    def progress(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Draw one step; see `embertune.core.progress.Progress`."""
        if self._file:
            self._file.progress(stage, done, total, note)
        now = time.monotonic()
        if stage != self._stage:
            self._end_line()
            self._stage, self._started, self._drawn = stage, now, 0.0
        finished = total is not None and done >= total
        if now - self._drawn < (_REDRAW_SECONDS if self._moving else _LOG_SECONDS) and not finished:
            return
        self._drawn = now
        line = stage + (f": {done:,}" if done or total is not None else "")
        line += f" of {total:,}" if total is not None else ""
        elapsed = now - self._started
        if total and 0 < done < total and elapsed > 1:
            line += f", {elapsed / done * (total - done):.0f} s left"
        line += f", {note}" if note else ""
        if self._moving:
            click.echo(f"\r\x1b[2K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def advise(self, text: str) -> None:
        """Say something beside the result."""
        self._end_line()
        click.echo(text, err=True)

    def expect(self, encoder: Encoder, *datasets: Dataset) -> None:
        """Say what embedding data sets will cost, where it costs money."""
        from embertune.encoders.cost import Cost
        from embertune.encoders.encoded import estimate_dataset

        expected = [cost for dataset in datasets if (cost := estimate_dataset(encoder, dataset)) is not None]
        if expected:
            total = sum(expected, Cost())
            self.advise(f"Embedding will take about {total}; what is in the cache is not paid again.")

    def paid(self, encoder: Encoder) -> None:
        """Say what an encoder has cost, where it costs money."""
        from embertune.encoders.cost import Priced

        if isinstance(encoder, Priced):
            self.advise(f"Embedding took {encoder.cost}.")

    def _end_line(self) -> None:
        if self._moving and self._stage:
            click.echo("\r\x1b[2K", err=True, nl=False)
            self._stage = ""
