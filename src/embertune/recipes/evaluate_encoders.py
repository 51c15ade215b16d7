"""Judge an encoder, with or without adapters, on queries that trained none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.texts import counted
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError
from embertune.evaluation.baselines import bm25_run
from embertune.evaluation.compare import Comparison
from embertune.evaluation.compare import compare as compare_evaluations
from embertune.evaluation.evaluate import Evaluation
from embertune.evaluation.evaluate import evaluate as evaluate_run
from embertune.evaluation.retrieve import retrieve
from embertune.recipes.judged_queries import check_part, choose_queries
from embertune.recipes.measure import METRICS

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
        """Give the means of all, then the differences; folders of adapters are called by the end of their path."""
        names = _short_names(list(self.evaluations))
        width, wide = max(map(len, METRICS)), max(8, *map(len, names.values()))
        lines = [
            counted(len(next(iter(self.evaluations.values()))), "query", "queries"),
            " " * width + "".join(f"  {name:>{wide}}" for name in names.values()),
        ]
        for metric in METRICS:
            means = (f"{evaluation.means[metric]:.3f}" for evaluation in self.evaluations.values())
            lines.append(f"{metric:<{width}}" + "".join(f"  {mean:>{wide}}" for mean in means))
        if self.comparison is not None:
            duels = {names[name]: duel for name, duel in self.comparison.duels.items()}
            lines += ["", str(replace(self.comparison, duels=duels))]
        return "\n".join([*lines, *(["", *(f"note: {note}" for note in self.notes)] if self.notes else [])])


def _short_names(names: Sequence[str]) -> dict[str, str]:
    """Give each path by as many of its last components as tell it from all others."""

    def tail(name: str, length: int) -> str:
        return "/".join(Path(name).parts[-length:])

    def short(name: str) -> str:
        tails = (tail(name, length) for length in range(1, len(Path(name).parts)))
        return next((end for at, end in enumerate(tails, 1) if [tail(n, at) for n in names].count(end) == 1), name)

    return {name: short(name) for name in names}


def _go_on(encoder: Encoder, dataset: Dataset) -> None:
    """Embed without further ado."""


def evaluate(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    adapters: Sequence[Adapter | str | Path] = (),
    *,
    part: str | None = None,
    strength: float | None = None,
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
        strength: How much of every adapter is applied, from 0 (nothing learned) to 1 (as trained); None: as saved.
        seed: Of intervals and tests.
        progress: Told of the stages.
        before_embedding: Called with the encoder and the data that it is about to embed: where to say what it will
            cost (`estimate_dataset`), or to raise.

    Raises:
        ArtifactError: An adapter is damaged or belongs to another encoder.
        ConfigError: There is no such part or strength.
        DataError: No judged query is left.

    Example:
        >>> data = Dataset.from_pairs([("where is the cat", "the cat sits here"), ("where is the dog", "a dog ran")])
        >>> evaluate(data, "hashing").to_dict()["queries"]
        2
    """
    check_part(part)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    loaded = load_encoder(encoder)
    named = _named(adapters, strength)
    for name, adapter in named.items():
        check_adapter_fits(adapter, loaded.spec, name)
    judged = choose_queries(dataset, named, part)
    chosen = dataset.select(judged.ids)
    before_embedding(loaded, chosen)
    encoded = encode_dataset(loaded, chosen, progress=progress)
    evaluations = {"base": evaluate_run(chosen.qrels, retrieve(encoded, _DEPTH, name="base"), METRICS)}
    for at, (name, adapter) in enumerate(named.items()):
        progress("judge", at, len(named))
        # Some encoders know their dimension and revision only now.
        check_adapter_fits(adapter, loaded.spec, name)
        evaluations[name] = evaluate_run(chosen.qrels, retrieve(encoded.adapted(adapter), _DEPTH, name=name), METRICS)
    comparison = compare_evaluations(evaluations, groups=judged.groups, seed=seed, primary="ndcg@10") if named else None
    evaluations["bm25"] = evaluate_run(chosen.qrels, bm25_run(chosen.corpus, chosen.queries, top_k=_DEPTH), METRICS)
    dial = () if strength is None else (f"Adapters are applied at strength {strength:g}.",)
    return EvaluationReport(evaluations, comparison, (*judged.notes, *dial), encoded.cost)


def compare(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any,
    adapters: Sequence[Adapter | str | Path],
    *,
    part: str | None = None,
    strength: float | None = None,
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
        strength: As in `evaluate`.
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
    return evaluate(
        data,
        encoder,
        adapters,
        part=part,
        strength=strength,
        seed=seed,
        progress=progress,
        before_embedding=before_embedding,
    )


def _named(adapters: Sequence[Adapter | str | Path], strength: float | None) -> dict[str, Adapter]:
    if strength is not None and not adapters:
        raise ConfigError(
            f"strength is {strength}, and there is no adapter that it could be of. Name one: "
            "evaluate(data, encoder, [adapter], strength=0.5), or --adapter DIR"
        )
    named: dict[str, Adapter] = {}
    for at, adapter in enumerate(adapters, start=1):
        name = f"adapter {at}" if isinstance(adapter, Adapter) else str(adapter)
        # Folders may be called like the two columns that stand beside them.
        name = f"./{name}" if name in ("base", "bm25") else name
        loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
        named[name] = loaded if strength is None else loaded.scaled(strength)
    return named
