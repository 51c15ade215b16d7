"""Judge the frozen encoder and an adapter inside a vector database, by the database's own approximate search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.core.search import top_k
from embertune.core.vectors import Vectors, normalize
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.texts import counted
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError
from embertune.evaluation.compare import Comparison
from embertune.evaluation.compare import compare as compare_evaluations
from embertune.evaluation.evaluate import evaluate as evaluate_run
from embertune.evaluation.run import Run
from embertune.recipes.judged_queries import check_part, choose_queries
from embertune.recipes.vector_store import Metric, Space, VectorStore

__all__ = ["METRICS", "Searched", "StoreReport", "evaluate_store"]

METRICS = ("ndcg@10", "recall@10", "mrr@10")
_DEPTH = 10
_BLOCK = 8192
# Of equal documents any is right; what float32 sums in another order is equal.
_TIE = 1e-5


@dataclass(frozen=True)
class Searched:
    """What one search in the database gave.

    Attributes:
        space: Where it searched.
        approximate: Metric -> mean over queries, by the database's own search.
        exact: Metric -> mean over queries, by exact search in the same vectors.
        recall: The share of the exact ten that the database found, mean over queries.
    """

    space: str
    approximate: dict[str, float]
    exact: dict[str, float]
    recall: float


@dataclass(frozen=True)
class StoreReport:
    """Base and tuned inside a database; printing it gives the table.

    Attributes:
        store: The database, without a password.
        queries: How many were judged.
        searched: "base", and "tuned" with an adapter.
        comparison: Tuned against base, both by the database's own search; None without an adapter.
        notes: Which queries were judged, and what cannot be told.
    """

    store: str
    queries: int
    searched: dict[str, Searched]
    comparison: Comparison | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return {
            "store": self.store,
            "queries": self.queries,
            "searched": {name: asdict(each) for name, each in self.searched.items()},
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Give the means of the database's search and of exact search, then the differences."""
        lines = [f"{counted(self.queries, 'query', 'queries')} in {self.store}", ""]
        lines.append(" " * 22 + "".join(f"  {name:>16}" for name in self.searched))
        for metric in METRICS:
            cells = (f"{each.approximate[metric]:.3f} ({each.exact[metric]:.3f})" for each in self.searched.values())
            lines.append(f"{metric + ' (exact)':<22}" + "".join(f"  {cell:>16}" for cell in cells))
        recalls = (f"{each.recall:.3f}" for each in self.searched.values())
        lines.append(f"{'found of the exact 10':<22}" + "".join(f"  {cell:>16}" for cell in recalls))
        if self.comparison is not None:
            lines += ["", str(self.comparison)]
        return "\n".join([*lines, *(["", *(f"note: {note}" for note in self.notes)] if self.notes else [])])


def evaluate_store(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any,
    store: VectorStore,
    adapters: Sequence[Adapter | str | Path] = (),
    *,
    part: str | None = None,
    strength: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> StoreReport:
    """Search a database with base and with tuned queries, and judge what it finds against its own exact search.

    Only queries are embedded. An adapter that maps documents is judged on the vectors that `apply_adapter` has written;
    one that maps queries alone needs nothing written.

    Args:
        data: A data set, or what `load_dataset` reads; document ids are the names in the database.
        encoder: The encoder whose vectors the database holds.
        store: See `embertune.integrations.stores.open_store`.
        adapters: None or one: an adapter or the folder of one.
        part: "train", "dev", "test" or "all"; None: queries that did not train the adapter.
        strength: How much of the adapter is applied, as when it was applied to documents; None: as saved.
        seed: Of intervals and tests.
        progress: Told of the stages.

    Raises:
        ArtifactError: The adapter is damaged or belongs to another encoder.
        ConfigError: There are several adapters, or no such part or strength.
        DataError: No judged query is left, none of its documents is in the database, or dimensions differ.
        StoreError: The database refused.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> evaluate_store([("q", "d")], "hashing", None, [IdentityAdapter(), IdentityAdapter()])
        Traceback (most recent call last):
        ...
        embertune.errors.ConfigError: A database is judged with one adapter at a time, got 2.
    """
    check_part(part)
    if len(adapters) > 1:
        raise ConfigError(f"A database is judged with one adapter at a time, got {len(adapters)}.")
    loaded, adapter = load_encoder(encoder), _loaded(adapters, strength)
    if adapter is not None:
        check_adapter_fits(adapter, loaded.spec, str(adapters[0]))
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    judged = choose_queries(dataset, {} if adapter is None else {str(adapters[0]): adapter}, part)
    chosen = dataset.select(judged.ids)
    progress("embed queries", 0)
    queries = _encode(loaded, chosen)
    asked: dict[str, tuple[Space, Vectors]] = {"base": ("base", queries)}
    if adapter is not None:
        asked["tuned"] = (_space_of(adapter, store), adapter.transform(queries, "query"))
    searched, evaluations = {}, {}
    found = {space: _read_names(store, space, chosen) for space in dict.fromkeys(space for space, _ in asked.values())}
    for name, (space, vectors) in asked.items():
        progress(f"search {store.where(space)}", 0)
        exact = _exact(store, space, vectors, chosen)
        own = _run(name, chosen, store.search(space, vectors, _DEPTH))
        evaluations[name] = evaluate_run(chosen.qrels, own, METRICS)
        truth = evaluate_run(chosen.qrels, _run(name, chosen, [list(row)[:_DEPTH] for row in exact]), METRICS)
        searched[name] = Searched(space, evaluations[name].means, truth.means, _recall(own, exact))
    comparison = None
    if adapter is not None:
        comparison = compare_evaluations(evaluations, groups=judged.groups, seed=seed, primary="ndcg@10")
    notes = (*judged.notes, *filter(None, found.values()))
    return StoreReport(store.label, len(evaluations["base"]), searched, comparison, notes)


def _loaded(adapters: Sequence[Adapter | str | Path], strength: float | None) -> Adapter | None:
    if not adapters:
        return None
    adapter = adapters[0] if isinstance(adapters[0], Adapter) else load_adapter(adapters[0])
    return adapter if strength is None else adapter.scaled(strength)


def _encode(encoder: Encoder, data: Dataset) -> Vectors:
    if isinstance(encoder, PrecomputedEncoder):
        return encoder.lookup(tuple(data.queries), "query")
    vectors = encoder.encode_query(list(data.queries.values()))
    return vectors if encoder.spec.normalized else normalize(vectors)


def _space_of(adapter: Adapter, store: VectorStore) -> Space:
    if not adapter.changes("document"):
        return "base"
    if not store.count("tuned"):
        raise DataError(
            f"This adapter maps documents, and {store.where('tuned')} holds none yet ({store.label}). Write them "
            "first: embertune apply --adapter DIR --store URL"
        )
    return "tuned"


def _read_names(store: VectorStore, space: Space, data: Dataset) -> str:
    """Say which relevant documents the database lacks; refuse where it lacks all."""
    wanted = {document for grades in data.qrels.values() for document, grade in grades.items() if grade > 0}
    lacking, names = set(wanted), list[str]()
    for batch in store.read(space, _BLOCK):
        lacking -= set(batch.names)
        names = names or batch.names[:3]
    if len(lacking) == len(wanted):
        raise DataError(
            f"None of the {len(wanted)} relevant documents of {data.name} (such as {min(wanted)!r}) is in "
            f"{store.where(space)} of {store.label}, which holds {', '.join(map(repr, names)) or 'nothing'}. Say where "
            "the database keeps the ids of the data set, such as ?id=FIELD."
        )
    if not lacking:
        return ""
    few = ", ".join(sorted(lacking)[:3])
    return (
        f"{len(lacking)} of {len(wanted)} relevant documents are not in {store.where(space)} ({few})."
        if lacking
        else ""
    )


def _exact(store: VectorStore, space: Space, queries: Vectors, data: Dataset) -> list[dict[str, float]]:
    """Search all vectors of the database here; give per query names with scores, best first, beyond the depth."""
    best: list[dict[str, float]] = [{} for _ in data.queries]
    asked = _comparable(queries, store.metric, queries=True)
    for batch in store.read(space, _BLOCK):
        if batch.vectors.shape[1] != queries.shape[1]:
            raise DataError(
                f"{store.where(space)} of {store.label} holds vectors of {batch.vectors.shape[1]} dimensions, and the "
                f"queries have {queries.shape[1]}. Name the encoder that its vectors come from: --encoder NAME"
            )
        positions, scores = top_k(asked, _comparable(batch.vectors, store.metric, queries=False), 2 * _DEPTH)
        for row, ranking in enumerate(best):
            new = zip((batch.names[at] for at in positions[row]), scores[row].tolist(), strict=True)
            kept = sorted([*ranking.items(), *new], key=lambda item: -item[1])[: 2 * _DEPTH]
            best[row] = dict(kept)
    return best


def _comparable(vectors: Vectors, metric: Metric, *, queries: bool) -> Vectors:
    """Give vectors whose dot product orders documents as the metric does: -|q - d|^2 is 2qd - |d|^2 but for |q|^2."""
    if metric == "cosine":
        return normalize(vectors)
    if metric == "dot":
        return vectors
    lengths = np.einsum("ij,ij->i", vectors, vectors)[:, None]
    return np.hstack([2 * vectors, -np.ones_like(lengths)] if queries else [vectors, lengths])


def _run(name: str, data: Dataset, rankings: list[list[str]]) -> Run:
    scored = {
        query: {document: -float(rank) for rank, document in enumerate(ranking)}
        for query, ranking in zip(data.queries, rankings, strict=True)
    }
    return Run.from_scores(scored, name=name)


def _recall(own: Run, exact: list[dict[str, float]]) -> float:
    """Give the share of the exact best that was found; of documents that tie with the last of these any counts."""
    shares = []
    for query, truth in zip(own.query_ids, exact, strict=True):
        worst = list(truth.values())[:_DEPTH][-1] - _TIE
        right = sum(truth.get(document, -np.inf) >= worst for document, _ in own.ranking(query))
        shares.append(min(right, _DEPTH) / min(len(truth), _DEPTH))
    return float(np.mean(shares))
