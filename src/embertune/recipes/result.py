"""What tuning gives: an adapter that may be served, the record behind it, and the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embertune.adapters.artifact import write_adapter, write_folder
from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.state import gate_config
from embertune.evaluation.verdict import Verdict
from embertune.recipes.details import Details
from embertune.reports.examples import Texts

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """The outcome of `embertune.tune`; printing it gives the table and the verdict.

    Attributes:
        record: Everything that was measured, as in record.json.
        adapter: What may be served: the candidate if the verdict is "ship", else the identity.
        candidate: What was trained, whatever the verdict. Where dev did not take it, which the record's reasons say,
            test was not asked about it, and what was measured is the frozen encoder.
        verdict: Ship it, or don't, and why.
        texts: Queries, and the rankings of those that changed most, for the report; never in the record.
        details: What each test query found before and after, by ids, and a map.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> from embertune.recipes.tune import tune
        >>> data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(25)])
        >>> result = tune(data, "hashing", effort="fast")
        >>> result.verdict.code == result.record["verdict"]["code"], result.record["test_opened"]
        (True, 1)
    """

    record: Mapping[str, Any]
    adapter: Adapter
    candidate: Adapter
    verdict: Verdict
    texts: Texts
    details: Details | None = None

    @classmethod
    def of(
        cls,
        record: Mapping[str, Any],
        candidate: Adapter,
        verdict: Verdict,
        texts: Texts,
        *,
        trained: Adapter | None = None,
        details: Details | None = None,
    ) -> Result:
        """Decide what may be served, and attach record and card to it.

        Args:
            record: The record.
            candidate: What was trained.
            verdict: The judge's word.
            texts: For the report.
            trained: What was fitted and not taken by dev, and so not measured; kept where the candidate is the
                identity.
            details: What each test query found.
        """
        served = candidate if verdict.code == "ship" else IdentityAdapter()
        if trained is not None and isinstance(candidate, IdentityAdapter):
            trained.encoder, trained.canaries = candidate.encoder, candidate.canaries
            candidate = trained
        served.encoder, served.canaries = candidate.encoder, candidate.canaries
        for adapter, kept in ((served, record), (candidate, {**record, "adapter": describe(candidate)})):
            adapter.attachments = _attachments(kept)
        return cls(record, served, candidate, verdict, texts, details)

    def save(self, folder: str | Path) -> Path:
        """Write the adapter, record, card, report and what each query found; what may not ship goes to candidate/.

        Args:
            folder: Where to; an earlier saved adapter there is replaced once all of the new one is written.

        Returns:
            The folder.

        Raises:
            StorageError: The folder holds something else, or the disk refused.
        """
        from embertune.reports.html import html_report

        def fill(staging: Path) -> None:
            write_adapter(self.adapter, staging)
            if self.candidate is not self.adapter and not isinstance(self.candidate, IdentityAdapter):
                (staging / "candidate").mkdir()
                write_adapter(self.candidate, staging / "candidate")
            page = html_report(self.record, texts=self.texts)
            (staging / "report.html").write_text(page, encoding="utf-8", newline="")
            if self.details is not None:
                self.details.write(staging)

        return write_folder(folder, fill)

    def report(self, path: str | Path) -> Path:
        """Write the report: one HTML page that needs nothing else.

        Raises:
            StorageError: The disk refused.
        """
        from embertune.reports.html import write_html

        write_html(self.record, path, texts=self.texts)
        return Path(path)

    def __str__(self) -> str:
        """Give the table and the verdict."""
        from embertune.reports.tables import text_table

        return f"{text_table(self.record)}\n\n{self.verdict}"


def describe(adapter: Adapter) -> dict[str, Any]:
    """Give an adapter as a record names it: type, side, parameters; its gates, and a new dimension, where it has any.

    The gates of a chain's links stand with the links, in "adapters".
    """
    gates = {name: gate_config(getattr(adapter, name)) for name in ("gate", "document_gate")}
    width = adapter.output_dimension
    return {
        "type": adapter.type,
        "side": getattr(adapter, "side", "none"),
        **adapter.to_config(),
        **{name: told for name, told in gates.items() if told},
        **({"output_dimension": width} if width != adapter.dimension else {}),
    }


def _attachments(record: Mapping[str, Any]) -> dict[str, str]:
    from embertune.reports.card import model_card

    return {
        "record.json": json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "README.md": model_card(record),
    }
