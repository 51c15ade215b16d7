"""What fine-tuning gives: a plain sentence-transformers model, the record behind it, and the report."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embertune.core.paths import as_path
from embertune.errors import StorageError
from embertune.evaluation.verdict import Verdict
from embertune.recipes.details import Details
from embertune.reports.examples import Texts

__all__ = ["FinetuneResult", "check_output"]

# What tells a model that was written here from a folder of something else.
_OURS = ("modules.json", "record.json")


@dataclass(frozen=True)
class FinetuneResult:
    """The outcome of `embertune.finetune`; printing it gives the tables and the verdict.

    Attributes:
        record: Everything that was measured, as in record.json.
        model: The trained ``SentenceTransformer``.
        verdict: Ship it, or don't, and why.
        texts: Queries, and the rankings of those that changed most, for the report; never in the record.
        details: What each test query found before and after, by ids, and a map.
    """

    record: Mapping[str, Any]
    model: Any
    verdict: Verdict
    texts: Texts
    details: Details | None = None

    def save(self, folder: str | Path) -> Path:
        """Write a folder that ``SentenceTransformer(folder)`` loads, with card, record.json and report.html in it.

        Args:
            folder: Where to; a model that was fine-tuned here before is replaced once all of the new one is written.

        Raises:
            StorageError: The folder holds something else, or the disk refused.
        """
        from embertune.reports.finetuned_card import finetuned_card
        from embertune.reports.html import html_report

        target = check_output(folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            try:
                self.model.save_pretrained(str(staging), create_model_card=False)
                files = {
                    "record.json": json.dumps(self.record, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
                    "README.md": finetuned_card(self.record),
                    "report.html": html_report(self.record, texts=self.texts),
                }
                for name, text in files.items():
                    (staging / name).write_text(text, encoding="utf-8", newline="")
                if self.details is not None:
                    self.details.write(staging)
                staging.chmod(0o755)
                _swap(staging, target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise StorageError(
                f"The model could not be written to {target}: {error.strerror or error}. What stood there before is "
                "unchanged. Free some space or name another folder: output_dir=FOLDER"
            ) from None
        return target

    def push(self, repository: str, folder: str | Path) -> str:
        """Upload a saved folder to a private repository of the Hugging Face hub, without texts of the data.

        Args:
            repository: Its name, such as me/my-model.
            folder: What `save` wrote.

        Returns:
            Its address.

        Raises:
            ConfigError: HF_TOKEN is not set, or the name is impossible.
            StorageError: The hub refused; the folder stays.
        """
        from embertune.recipes.hub import push_model

        try:
            push_model(folder, repository)
        except StorageError as error:
            line = f"embertune push --model {folder} --repo {repository}"
            raise StorageError(f"{error} The model lies in {folder}; upload it later with: {line}") from None
        return f"https://huggingface.co/{repository}"

    def __str__(self) -> str:
        """Give the tables and the verdict."""
        from embertune.reports.finetuned_card import contest_table
        from embertune.reports.tables import text_table

        against = self.record["contest"]["sentence"]
        parts = [
            text_table(self.record),
            contest_table(self.record),
            str(self.verdict),
            *([against] if against else []),
        ]
        return "\n\n".join(parts)


def check_output(folder: str | Path) -> Path:
    """Refuse, before any work, a folder that a model could not be saved to.

    Raises:
        StorageError: Something else stands there, or it cannot be written to.
    """
    target = as_path(folder).absolute()
    if target.exists() and (not target.is_dir() or _holds_something_else(target)):
        raise StorageError(
            f"{target} is there already, and is no model that was fine-tuned here, so it was left alone. Name another "
            "folder: output_dir=FOLDER"
        )
    if Path.cwd().is_relative_to(target):
        raise StorageError(f"{target} is the folder you are in, or one around it. Name another: output_dir=FOLDER")
    parent = next(place for place in target.parents if place.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise StorageError(f"{parent} is not a folder that can be written to. Name another: output_dir=FOLDER")
    return target


def _holds_something_else(target: Path) -> bool:
    names = {entry.name for entry in target.iterdir()}
    return bool(names) and not names.issuperset(_OURS)


def _swap(staging: Path, target: Path) -> None:
    """Put a folder in place; what stood there is moved aside first and deleted last."""
    if not target.exists():
        staging.rename(target)
        return
    aside = target.with_name(f"{staging.name}.old")
    target.rename(aside)
    try:
        staging.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
