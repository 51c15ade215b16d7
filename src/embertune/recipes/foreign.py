"""What queries lose that an adapter is not for: a second data set, searched in the corpora of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.base import Adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.texts import counted, normalize_text
from embertune.encoders.adapted import AdaptedEncoder
from embertune.encoders.base import Encoder
from embertune.encoders.cost import Cost
from embertune.encoders.encoded import Encoded, encode_dataset
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, DataError
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Scores
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.ranking import depth_of
from embertune.recipes.result import describe
from embertune.reports.words import parts
from embertune.training.sparing import Others

__all__ = ["Foreign", "ForeignScores", "Mixed", "choose_foreign", "judge_foreign", "load_foreign"]

# The error of the mean change of so many queries is a few thousandths; more would only take longer.
_MOST_QUERIES = 2000
# Of fewer a mean loss says little, to a verdict and here.
_FEWEST_QUERIES = 30


@dataclass(frozen=True)
class Foreign:
    """A data set whose queries the adapter is not for.

    Attributes:
        dataset: Its queries that are judged, and its corpus.
        encoder: Who embeds it, or knows its vectors.
        own: The data set that is tuned on.
        own_encoder: Its encoder.
    """

    dataset: Dataset
    encoder: Encoder
    own: Dataset
    own_encoder: Encoder

    def mix(self, encoded: Encoded, *, progress: Progress = silent) -> Mixed:
        """Embed it and put its corpus before that of the data set that is tuned on.

        A document that stands in both, word for word, counts once.

        Args:
            encoded: The data set that is tuned on.
            progress: Told as texts are done.

        Raises:
            ConfigError: Its vectors are of another encoder.
            EncoderError: Embedding failed, or ids have no vector.
        """
        theirs = encode_dataset(self.encoder, self.dataset, progress=progress)
        # Some encoders know their dimension and revision only now.
        _check_encoders(self.own_encoder.spec, self.encoder.spec)
        known = {document.content for document in self.dataset.corpus.values()}
        rows = [row for row, name in enumerate(encoded.document_ids) if self.own.corpus[name].content not in known]
        own = {document.content for document in self.own.corpus.values()}
        apart = [row for row, name in enumerate(theirs.document_ids) if self.dataset.corpus[name].content not in own]
        # Ids of both may be equal, so they are told apart here by what stands before them.
        ids = [
            *(f"foreign {name}" for name in theirs.document_ids),
            *(f"own {encoded.document_ids[row]}" for row in rows),
        ]
        qrels = {
            query: {f"foreign {name}": grade for name, grade in grades.items()}
            for query, grades in self.dataset.qrels.items()
        }
        return Mixed(
            dataset=self.dataset,
            queries=theirs.queries,
            documents=np.concatenate([theirs.documents, encoded.documents[rows]]),
            apart=np.array(apart, np.intp),
            judgments=Judgments.from_qrels(qrels, theirs.query_ids, ids),
            seconds=theirs.seconds,
            cost=theirs.cost,
        )


@dataclass(frozen=True)
class Mixed:
    """Foreign queries over the corpora of both, as vectors.

    Attributes:
        dataset: The foreign data set.
        queries: (n, d).
        documents: (m, d), its own first.
        apart: Rows of documents that are in its corpus alone.
        judgments: Of the n queries over the m documents.
        seconds: How long embedding it took.
        cost: What was paid for it; None for an encoder that costs no money.
    """

    dataset: Dataset
    queries: Vectors
    documents: Vectors
    apart: Positions
    judgments: Judgments
    seconds: float
    cost: Cost | None

    def parted(self, metric: str, *, seed: int) -> tuple[Others | None, Mixed]:
        """Draw half of the queries to be looked at while an adapter is chosen, by a metric; the others are judged.

        Equal texts are on one side. Of fewer than 60 texts none is looked at: a verdict takes 30 to say that others are
        harmed.
        """
        texts = [normalize_text(text) for text in self.dataset.queries.values()]
        distinct, at = np.unique(texts, return_inverse=True)
        half = len(distinct) // 2
        if half < _FEWEST_QUERIES:
            return None, self
        is_looked_at = np.isin(at, generator(seed, "spared").permutation(len(distinct))[:half])
        looked, judged = (self._of(np.flatnonzero(rows)) for rows in (is_looked_at, ~is_looked_at))
        kept = f"{len(looked.queries)} of {len(texts)} queries were kept apart to spare such"
        note = f"{kept}; {len(judged.queries)} others are judged."
        dataset = replace(judged.dataset, notes=(*self.dataset.notes, note))
        return looked._others(metric), replace(judged, dataset=dataset)

    def _of(self, rows: Positions) -> Mixed:
        ids = list(self.dataset.queries)
        return replace(
            self,
            dataset=self.dataset.select([ids[row] for row in rows]),
            queries=self.queries[rows],
            judgments=self.judgments.select(rows),
        )

    def _others(self, metric: str) -> Others:
        before = self.score(IdentityAdapter(), [metric], metric)[metric]

        def change(adapter: Adapter) -> Scores:
            return np.asarray(self.score(adapter, [metric], metric)[metric] - before)

        return Others(self.dataset.name, self.queries, self.documents[self.apart], change)

    def score(self, adapter: Adapter, metrics: Sequence[str], primary: str) -> dict[str, Scores]:
        """Search under an adapter; metric -> (n,) scores."""
        queries, documents = adapter.transform(self.queries, "query"), adapter.transform(self.documents, "document")
        positions, _ = top_k(queries, documents, depth_of(primary, len(documents)))
        return evaluate_positions(self.judgments, positions, metrics)


@dataclass(frozen=True)
class ForeignScores:
    """What foreign queries lose.

    Attributes:
        dataset: Theirs.
        base: Metric -> (n,) scores under the frozen encoder.
        tuned: Metric -> (n,) scores under the adapter.
        primary: The metric that decides.
        interval: Of the mean change in it, 95 %.
        gate: Whether the adapter, or a link of it, has one: "yes", "no", or "never" for one that maps no query.
    """

    dataset: Dataset
    base: Mapping[str, Scores]
    tuned: Mapping[str, Scores]
    primary: str
    interval: tuple[float, float]
    gate: str

    @property
    def change(self) -> float:
        """The mean change in the metric that decides."""
        return float((self.tuned[self.primary] - self.base[self.primary]).mean())

    def evidence(self) -> dict[str, Any]:
        """Give what a verdict needs."""
        low, high = self.interval
        name, n = self.dataset.name, len(self.dataset.queries)
        return {"name": name, "n": n, "mean": self.change, "low": low, "high": high, "gate": self.gate}

    def to_dict(self) -> dict[str, Any]:
        """Give it as the record has it."""
        low, high = self.interval
        return {
            "name": self.dataset.name,
            "fingerprint": self.dataset.fingerprint,
            "notes": list(self.dataset.notes),
            "n": len(self.dataset.queries),
            "base": {metric: float(scores.mean()) for metric, scores in self.base.items()},
            "tuned": {metric: float(scores.mean()) for metric, scores in self.tuned.items()},
            "delta": {self.primary: {"mean": self.change, "low": low, "high": high}},
        }


def judge_foreign(mixed: Mixed, adapter: Adapter, metrics: Sequence[str], *, primary: str, seed: int) -> ForeignScores:
    """Judge foreign queries under the frozen encoder and under an adapter.

    Args:
        mixed: The queries, and the corpora of both data sets.
        adapter: What would be saved.
        metrics: What is reported.
        primary: The one of them that decides.
        seed: Of the interval.
    """
    base, tuned = (mixed.score(one, metrics, primary) for one in (IdentityAdapter(), adapter))
    interval = bootstrap_interval(tuned[primary] - base[primary], seed=seed)
    is_gated = any(part.get("gate") for part in parts(describe(adapter)))
    gate = "yes" if is_gated else "no" if adapter.changes("query") else "never"
    return ForeignScores(mixed.dataset, base, tuned, primary, interval, gate)


def load_foreign(
    foreign: Foreign | Dataset | str | Path | Any | None,
    encoder: Encoder | str | Any | None,
    own: Dataset,
    own_encoder: Encoder,
    *,
    seed: int,
) -> Foreign | None:
    """Load a foreign data set and find who embeds it, before anything is embedded.

    Args:
        foreign: A data set, or what `load_dataset` reads; None where there is none; or what this function gave.
        encoder: Where its vectors come from; None: the encoder of the data set that is tuned on.
        own: The data set that is tuned on.
        own_encoder: Its encoder.
        seed: For the draw of its queries, where there are very many.

    Raises:
        ConfigError: There is an encoder and no data, nobody can embed it, or the encoders differ.
        DataError: It has no query that could be judged.
    """
    if isinstance(foreign, Foreign):
        return foreign
    if foreign is None:
        if encoder is not None:
            raise ConfigError(
                "foreign_encoder was given without foreign data. Name it, too: "
                "embertune.tune(data, encoder, foreign=DATA, foreign_encoder=...), or --foreign DATA"
            )
        return None
    dataset = choose_foreign(foreign if isinstance(foreign, Dataset) else load_dataset(foreign), own, seed=seed)
    if encoder is None and isinstance(own_encoder, PrecomputedEncoder):
        raise ConfigError(
            f"{own_encoder.spec} holds vectors of known ids and cannot embed the foreign data, {dataset.name}. Say "
            "where its vectors are: embertune.tune(data, encoder, foreign=DATA, "
            'foreign_encoder="precomputed:FILE.npz"), or --foreign-encoder precomputed:FILE.npz'
        )
    loaded = own_encoder if encoder is None else load_encoder(encoder)
    if isinstance(loaded, AdaptedEncoder):
        raise ConfigError(
            f"The foreign encoder, {loaded.spec}, has an adapter behind it; both data sets need the frozen encoder. "
            "Give the encoder itself: foreign_encoder=adapted.encoder"
        )
    _check_encoders(own_encoder.spec, loaded.spec)
    return Foreign(dataset, loaded, own, own_encoder)


def choose_foreign(foreign: Dataset, own: Dataset, *, seed: int) -> Dataset:
    """Choose the foreign queries that are judged: those with an answer which are not asked in the own data, too.

    Args:
        foreign: The foreign data set.
        own: The one that is tuned on.
        seed: For the draw, where there are more than 2000.

    Returns:
        The data set with these queries; choosing again changes nothing.

    Raises:
        DataError: None is left.

    Example:
        >>> own = Dataset.from_pairs([("who is Ada?", "a person"), ("what is a map?", "a plan")])
        >>> foreign = Dataset.from_pairs([("Who is Ada", "someone"), ("is it open?", "from nine to five")])
        >>> chosen = choose_foreign(foreign, own, seed=0)
        >>> list(chosen.queries.values()), chosen.notes[-1]
        (['is it open?'], '1 of its 2 queries is asked in dataset, too, and left out.')
    """
    asked = {normalize_text(text) for text in own.queries.values()}
    judged = foreign.judged
    chosen: Sequence[str] = [query for query in judged if normalize_text(foreign.queries[query]) not in asked]
    if not chosen:
        raise DataError(
            f"The foreign data, {foreign.name}, has {counted(len(judged), 'query', 'queries')} with a relevant document"
            + (f", and {own.name} asks all of them, too" if judged else "")
            + ". Expected queries that the adapter is not for, each with a document that answers it. See what the data "
            "holds with: embertune inspect DATA"
        )
    notes = []
    if left_out := len(judged) - len(chosen):
        verb = "is" if left_out == 1 else "are"
        notes.append(f"{left_out} of its {len(judged)} queries {verb} asked in {own.name}, too, and left out.")
    if len(chosen) > _MOST_QUERIES:
        notes.append(f"{_MOST_QUERIES} of {len(chosen)} queries are drawn at random.")
        draw = generator(seed, "foreign").choice(len(chosen), _MOST_QUERIES, replace=False)
        chosen = [chosen[row] for row in np.sort(draw)]
    if len(chosen) == len(foreign.queries):
        return foreign
    return replace(foreign.select(chosen), notes=(*foreign.notes, *notes))


def _check_encoders(own: EncoderSpec, foreign: EncoderSpec) -> None:
    """Refuse vectors of two models; files of vectors know no more than a name and a dimension."""
    found = own.differences(foreign)
    if "precomputed" in (own.provider, foreign.provider):
        found = [difference for difference in found if difference.split()[0] in ("model", "dimension")]
    if not found:
        return
    advice = "Embed the foreign data with the encoder of the data that is tuned on."
    if foreign.provider == "precomputed":
        advice = (
            "If one model made both, say so by one name: "
            f'foreign_encoder=load_encoder("precomputed:FILE.npz", name="{own.model}"), or, for the vectors of both, '
            "--encoder-name NAME"
        )
    raise ConfigError(
        f"The foreign data's vectors are of {foreign}; those of the data that is tuned on are of {own}: "
        f"{'; '.join(found)} (here: the latter, there: the foreign). {advice}"
    )
