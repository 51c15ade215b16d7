"""Judge an encoder, with or without adapters, on queries that trained none of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import ArtifactError, ConfigError, DataError
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.compare import Comparison
from embertune.evaluation.compare import compare as compare_evaluations
from embertune.evaluation.evaluate import Evaluation
from embertune.evaluation.evaluate import evaluate as evaluate_run
from embertune.evaluation.retrieve import retrieve
from embertune.recipes.measure import METRICS
from embertune.reports.record import Record

__all__ = ["EvaluationReport", "compare", "evaluate"]

_DEPTH = 100


@dataclass(frozen=True)
class EvaluationReport:
    """Evaluations on the same queries; printing it gives the table.

    Attributes:
        evaluations: Name -> evaluation: "base", then the adapters, then "bm25".
        comparison: The adapters against the base; None without adapters.
        notes: Which queries were judged, and what cannot be told.
        cost: What embedding cost; None for an encoder that costs no money.
    """

    evaluations: Mapping[str, Evaluation]
    comparison: Comparison | None
    notes: tuple[str, ...]
    cost: Cost | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values: means, comparison, notes, cost, and the number of queries."""
        return {
            "queries": len(next(iter(self.evaluations.values()))),
            "means": {name: evaluation.means for name, evaluation in self.evaluations.items()},
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "notes": list(self.notes),
            "cost": None if self.cost is None else asdict(self.cost),
        }

    def __str__(self) -> str:
        """Give the means of all, then the differences."""
        names = list(self.evaluations)
        width, wide = max(map(len, METRICS)), max(8, *map(len, names))
        count = len(self.evaluations[names[0]])
        lines = [
            f"{count} {'query' if count == 1 else 'queries'}",
            " " * width + "".join(f"  {n:>{wide}}" for n in names),
        ]
        for metric in METRICS:
            means = (f"{evaluation.means[metric]:.3f}" for evaluation in self.evaluations.values())
            lines.append(f"{metric:<{width}}" + "".join(f"  {mean:>{wide}}" for mean in means))
        if self.comparison is not None:
            lines += ["", str(self.comparison)]
        return "\n".join([*lines, *(["", *(f"note: {note}" for note in self.notes)] if self.notes else [])])


def _go_on(encoder: Encoder, dataset: Dataset) -> None:
    """Embed without further ado."""


def evaluate(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    adapters: Sequence[Adapter | str | Path] = (),
    *,
    part: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Dataset], None] = _go_on,
) -> EvaluationReport:
    """Judge an encoder and any number of adapters on the same queries.

    An adapter that was tuned on this very data is judged on its test queries only: its record names
    them. Else the data's own test part is used where it has one, else every query, and a note says that
    queries which trained the adapter may be among them.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads.
        adapters: Fitted adapters, or folders of them.
        part: "train", "dev", "test" or "all" instead of that choice.
        seed: Of intervals and tests.
        progress: Told of the stages.
        before_embedding: Called with the encoder and the data that it is about to embed: where to say what it will
            cost (`estimate_dataset`), or to raise.

    Raises:
        ArtifactError: An adapter is damaged or belongs to another encoder.
        ConfigError: There is no such part.
        DataError: No judged query is left.

    Example:
        >>> data = Dataset.from_pairs([("where is the cat", "the cat sits here"), ("where is the dog", "a dog ran")])
        >>> evaluate(data, "hashing").to_dict()["queries"]
        2
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    loaded = load_encoder(encoder)
    named = _named(adapters)
    for name, adapter in named.items():
        check_adapter_fits(adapter, loaded.spec, name)
    records = {name: record for name, adapter in named.items() if (record := _record_of(name, adapter)) is not None}
    trained = {n: record for n, record in records.items() if record["data"]["fingerprint"] == dataset.fingerprint}
    ids, notes = _judged_queries(dataset, trained, part)
    notes += tuple(
        f"{name} was tuned on another data set, or on another state of this one ({record['data']['name']}): if its "
        "training queries are among these, its figures here flatter it."
        for name, record in records.items()
        if name not in trained
    )
    chosen = dataset.select(ids)
    groups = _groups(dataset, ids, trained)
    before_embedding(loaded, chosen)
    encoded = encode_dataset(loaded, chosen, progress=progress)
    evaluations = {"base": evaluate_run(chosen.qrels, retrieve(encoded, _DEPTH, name="base"), METRICS)}
    for at, (name, adapter) in enumerate(named.items()):
        progress("judge", at, len(named))
        # Some encoders know their dimension and revision only now.
        check_adapter_fits(adapter, loaded.spec, name)
        evaluations[name] = evaluate_run(chosen.qrels, retrieve(encoded.adapted(adapter), _DEPTH, name=name), METRICS)
    comparison = compare_evaluations(evaluations, groups=groups, seed=seed, primary="ndcg@10") if named else None
    evaluations["bm25"] = evaluate_run(chosen.qrels, bm25_run(chosen.corpus, chosen.queries, top_k=_DEPTH), METRICS)
    return EvaluationReport(evaluations, comparison, notes, encoded.cost)


def compare(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any,
    adapters: Sequence[Adapter | str | Path],
    *,
    part: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Dataset], None] = _go_on,
) -> EvaluationReport:
    """Judge adapters side by side, and against the encoder alone, on the same queries.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads.
        adapters: Fitted adapters, or folders of them; one at least.
        part: As in `evaluate`.
        seed: Of intervals and tests.
        progress: Told of the stages.
        before_embedding: Called with the encoder and the data that it is about to embed: where to say what it will
            cost (`estimate_dataset`), or to raise.

    Raises:
        ArtifactError: An adapter is damaged or belongs to another encoder.
        ConfigError: There is no adapter, or no such part.
        DataError: No judged query is left.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> data = Dataset.from_pairs([("where is the cat", "the cat sits here"), ("where is the dog", "a dog ran")])
        >>> compare(data, "hashing", [IdentityAdapter()]).comparison.baseline
        'base'
    """
    if not adapters:
        raise ConfigError("There is no adapter to compare. Expected one or more: compare(data, encoder, [adapter])")
    return evaluate(data, encoder, adapters, part=part, seed=seed, progress=progress, before_embedding=before_embedding)


def _named(adapters: Sequence[Adapter | str | Path]) -> dict[str, Adapter]:
    named: dict[str, Adapter] = {}
    for at, adapter in enumerate(adapters, start=1):
        name = f"adapter {at}" if isinstance(adapter, Adapter) else str(adapter)
        # Folders may be called like the two columns that stand beside them.
        name = f"./{name}" if name in ("base", "bm25") else name
        named[name] = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    return named


def _judged_queries(
    dataset: Dataset, trained: Mapping[str, Record], part: str | None
) -> tuple[list[str], tuple[str, ...]]:
    ids = [query for query in dataset.queries if any(grade > 0 for grade in dataset.qrels.get(query, {}).values())]
    notes = []
    if part is not None:
        ids = ids if part == "all" else [query for query in ids if dataset.parts.get(query) == part]
        notes.append(f"The queries of part {part!r}, as was asked.")
        notes += [f"{name} was tuned on this data: its own training queries may be among them." for name in trained]
        if part not in ("all", "train", "dev", "test"):
            raise ConfigError(f"part must be 'train', 'dev', 'test' or 'all', got {part!r}")
    elif trained:
        for name, record in trained.items():
            if record["data"]["split"].get("kind", "three parts") != "three parts":
                notes.append(f"{name} was fitted on every query of this data, so its figures here flatter it.")
                continue
            tested = {row["id"] for row in record.get("queries") or ()}
            ids = [query for query in ids if query in tested]
            notes.append(
                f"{name} was tuned on this data: only the {len(tested)} test queries of its record are judged."
            )
    elif "test" in dataset.parts.values():
        ids = [query for query in ids if dataset.parts.get(query) == "test"]
        notes.append("The test part of the data.")
    if not ids:
        raise DataError(
            f"No query of {dataset.name} is left to judge ({len(dataset.queries)} queries in all). "
            "Expected queries with a relevant document; choose others with --part all."
        )
    return ids, tuple(notes)


def _record_of(name: str, adapter: Adapter) -> Record | None:
    """Give an adapter's record, where it has one."""
    text = adapter.attachments.get("record.json")
    if text is None:
        return None
    try:
        return Record(json.loads(text))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{name} has a damaged record.json, so it cannot be told which queries trained it: {error}"
        ) from None


def _groups(dataset: Dataset, ids: Sequence[str], trained: Mapping[str, Record]) -> dict[str, list[str]] | None:
    """Keep seen and unseen apart where one record, or the data's parts, can tell them."""
    if trained:
        group = {row["id"]: row["group"] for row in next(iter(trained.values())).get("queries") or ()}
    elif dataset.parts:
        fitted = [query for query, part in dataset.parts.items() if part in ("train", "dev")]
        known = {document for query in fitted for document in dataset.positives(query)}
        group = {query: "seen" if known.intersection(dataset.positives(query)) else "unseen" for query in ids}
    else:
        return None
    return {name: [query for query in ids if group.get(query) == name] for name in ("seen", "unseen")}
