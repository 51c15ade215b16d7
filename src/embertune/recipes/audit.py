"""Audit labels: find those that look wrong or missing, have them judged, put the verdicts in, and show the effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.texts import counted, shortened
from embertune.data.verdicts import Applied, Verdict, apply_verdicts, read_verdicts, write_sheet
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.encoders.scorers import PairScorer
from embertune.errors import ConfigError, DataError
from embertune.evaluation.compare import Duel, compare_two
from embertune.evaluation.evaluate import evaluate
from embertune.evaluation.retrieve import retrieve
from embertune.evaluation.suspects import Suspect, Suspects, find_suspects
from embertune.recipes.judged_queries import check_part
from embertune.recipes.measure import METRICS

__all__ = ["AppliedAudit", "Audit", "Judge", "apply_audit", "audit", "scorer_judge"]

Judge = Callable[[str, str], float]
"""A query and a document in, a grade out: above 0 if the document answers the query."""

_DEPTH = 100
_SHOWN = 5
_CALIBRATED = 500


@dataclass(frozen=True)
class Audit:
    """Labels that look wrong or missing, the likeliest first; printing it gives the counts and the first few.

    Attributes:
        dataset: What was audited.
        suspects: What was found, cut to what was asked for.
        verdicts: What a judge said of them; empty without one.
        notes: What was left out.
    """

    dataset: Dataset
    suspects: Suspects
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()

    def save(self, path: str | Path) -> Path:
        """Write the suspects as a file to fill in: .csv for a spreadsheet, or .jsonl; verdicts stand in it, if any.

        Raises:
            ConfigError: The path ends in something else.
            StorageError: The disk refused.
        """
        return write_sheet(self._rows(), path)

    def apply(self) -> Applied:
        """Put the verdicts of the judge into the data set.

        Raises:
            DataError: There is none.
        """
        if not self.verdicts:
            raise DataError("No judge gave a verdict. Save the suspects, fill in the file, and type: apply_audit(...)")
        return apply_verdicts(self.dataset, self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values: counts, suspects, verdicts and notes."""
        return {
            "queries": self.suspects.queries,
            "labels": self.suspects.labels,
            "estimate": self.suspects.estimate,
            "suspects": [suspect.to_dict() for suspect in self.suspects.found],
            "verdicts": [vars(verdict) for verdict in self.verdicts],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Give the counts and the first suspects."""
        lines = [str(self.suspects)]
        for suspect in self.suspects.found[:_SHOWN]:
            query, document = self._texts(suspect)
            lines += [
                "",
                f"{suspect.kind}: {shortened(query, 90)}",
                f"  {shortened(document, 110)}",
                f"  {suspect.why}",
            ]
        if self.verdicts:
            relevant = sum(verdict.grade > 0 for verdict in self.verdicts)
            lines += ["", f"The judge takes {relevant} of {counted(len(self.verdicts), 'document')} for answers."]
        return "\n".join([*lines, *(["", *(f"note: {note}" for note in self.notes)] if self.notes else [])])

    def _texts(self, suspect: Suspect) -> tuple[str, str]:
        return self.dataset.queries[suspect.query_id], self.dataset.corpus[suspect.document_id].content

    def _rows(self) -> Iterator[dict[str, Any]]:
        said = {(verdict.query_id, verdict.document_id): f"{verdict.grade:g}" for verdict in self.verdicts}
        for suspect in self.suspects.found:
            query, document = self._texts(suspect)
            yield {
                "verdict": said.get((suspect.query_id, suspect.document_id), ""),
                "query": query,
                "document": document,
                "kind": suspect.kind,
                "why": suspect.why,
                "instead": self.dataset.corpus[suspect.other_id].content,
                "score": f"{suspect.score:.2f}",
                "query_id": suspect.query_id,
                "document_id": suspect.document_id,
            }


@dataclass(frozen=True)
class AppliedAudit:
    """A data set with verdicts in it, and what they do to the metrics of the encoder alone.

    Attributes:
        applied: The new data set and the counts.
        effect: The old labels against the new ones, on the queries that have answers under both.
    """

    applied: Applied
    effect: Duel

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return {**self.applied.to_dict(), "effect": self.effect.to_dict()}

    def __str__(self) -> str:
        """Say what changed, and give the table of metrics before and after."""
        return f"{self.applied}\n\nThe encoder alone, by the labels as they were and as they are:\n{self.effect}"


def _go_on(encoder: Encoder, dataset: Dataset) -> None:
    """Embed without further ado."""


def audit(
    data: Dataset | str | Path | Any,
    encoder: Encoder | str | Any = "static",
    *,
    limit: int = 200,
    part: str | None = None,
    judge: Judge | PairScorer | None = None,
    per_query: int = 3,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Dataset], None] = _go_on,
) -> Audit:
    """Find the labels of a data set that look wrong or missing, and have them judged, if there is a judge.

    Args:
        data: A data set, or what `load_dataset` reads.
        encoder: An encoder, or what `load_encoder` reads. Its vectors must not come from an adapter tuned on these
            labels: it would agree with them.
        limit: The most suspects to name.
        part: "train", "dev" or "test": whose queries; None or "all" for all.
        judge: Says whether a document answers a query: a function (query, document) -> grade, an `LLMJudge`, or a
            `PairScorer`. None leaves it to a person: `Audit.save`.
        per_query: The most missing labels to name of one query.
        progress: Told of the stages.
        before_embedding: Called with the encoder and the data that it is about to embed.

    Returns:
        The suspects, the likeliest first.

    Raises:
        ConfigError: `limit` or `per_query` is below 1, or there is no such part.
        DataError: There is nothing to audit.
        EncoderError: Embedding failed.

    Example:
        >>> words = ("cat", "dog", "owl", "fox")
        >>> pairs = [(f"where does the {word} live", f"the {word} lives in the woods") for word in words]
        >>> wrong = Dataset.from_pairs([*pairs[:3], (pairs[3][0], pairs[0][1]), ("a fifth", pairs[3][1])])
        >>> found = audit(wrong, "hashing", judge=lambda query, document: query.split()[3:4] == document.split()[1:2])
        >>> found.apply().removed, found.apply().dataset.positives("q4")
        (2, ['d4'])
    """
    if limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}")
    check_part(part)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    loaded = load_encoder(encoder)
    chosen = dataset
    if part not in (None, "all"):
        chosen = dataset.select(query for query, where in dataset.parts.items() if where == part)
    before_embedding(loaded, chosen)
    encoded = encode_dataset(loaded, chosen, progress=progress)
    suspects = find_suspects(chosen, encoded, per_query=per_query, progress=progress)
    kept = replace(suspects, found=suspects.found[:limit])
    notes = []
    if dropped := len(suspects.found) - len(kept.found):
        notes.append(f"{counted(dropped, 'less likely suspect')} left out; name them with limit= (--limit).")
    if unlabelled := len(chosen.queries) - len(chosen.judged):
        notes.append(f"{counted(unlabelled, 'query', 'queries')} without a relevant document not audited.")
    if judge is None:
        return Audit(dataset, kept, (), tuple(notes))
    asked = scorer_judge(judge, chosen, suspects) if isinstance(judge, PairScorer) else judge
    verdicts, stopped = _judge(asked, chosen, kept.found, progress)
    return Audit(dataset, kept, verdicts, (*notes, *stopped))


def scorer_judge(scorer: PairScorer, dataset: Dataset, suspects: Suspects) -> Judge:
    """Make a judge of a cross-encoder: an answer scores at least as high as the lowest tenth of labels not suspect.

    Args:
        scorer: Gives a number for each pair; higher is more relevant.
        dataset: What is audited.
        suspects: What looks wrong there, and is not calibrated on.

    Raises:
        DataError: Every label is suspect.

    Example:
        >>> data = Dataset.from_pairs([("a", "a b"), ("c", "c d")])
        >>> shared = PairScorer(lambda pairs: [len(set(q.split()) & set(d.split())) for q, d in pairs])
        >>> judge = scorer_judge(shared, data, Suspects((), 2, 2, 0))
        >>> judge("a", "a b"), judge("a", "c d")
        (1.0, 0.0)
    """
    doubtful = {(suspect.query_id, suspect.document_id) for suspect in suspects.found if suspect.kind == "wrong"}
    sound = [
        (dataset.queries[query], dataset.corpus[document].content)
        for query in dataset.judged
        for document in dataset.positives(query)
        if (query, document) not in doubtful
    ]
    if not sound:
        raise DataError("Every label is suspect, so nothing tells what a cross-encoder gives to an answer.")
    threshold = float(np.quantile(scorer.score(sound[:: max(1, len(sound) // _CALIBRATED)]), 0.1))
    pairs = [
        (dataset.queries[suspect.query_id], dataset.corpus[suspect.document_id].content) for suspect in suspects.found
    ]
    # All at once, for a cross-encoder is many times quicker on batches.
    scores = dict(zip(pairs, scorer.score(pairs).tolist(), strict=True)) if pairs else {}

    def judge(query: str, document: str) -> float:
        pair = (query, document)
        score = scores[pair] if pair in scores else float(scorer.score([pair])[0])
        return float(score >= threshold)

    return judge


def apply_audit(
    data: Dataset | str | Path | Any,
    verdicts: str | Path | Sequence[Verdict],
    encoder: Encoder | str | Any = "static",
    *,
    seed: int = 0,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Dataset], None] = _go_on,
) -> AppliedAudit:
    """Put verdicts into a data set, and measure what that does to the metrics of the encoder alone.

    Args:
        data: What was audited.
        verdicts: The file that was filled in, or verdicts.
        encoder: An encoder, or what `load_encoder` reads.
        seed: Of intervals and tests.
        progress: Told of the stages.
        before_embedding: Called with the encoder and the data that it is about to embed.

    Raises:
        DataError: The file cannot be read, or no query has an answer under both labels.
        EncoderError: Embedding failed.

    Example:
        >>> data = Dataset.from_pairs([("where is the cat", "the cat sits here"), ("where is the dog", "a dog ran")])
        >>> apply_audit(data, [Verdict("q1", "d2", 1.0)], "hashing").applied.added
        1
    """
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    given = read_verdicts(verdicts, dataset) if isinstance(verdicts, str | Path) else verdicts
    applied = apply_verdicts(dataset, given)
    both = [query for query in dataset.judged if query not in applied.lost]
    if not both:
        raise DataError("No query has an answer both before and after. Look at the verdicts: are yes and no swapped?")
    loaded = load_encoder(encoder)
    before, after = dataset.select(both), applied.dataset.select(both)
    before_embedding(loaded, before)
    run = retrieve(encode_dataset(loaded, before, progress=progress), _DEPTH, name="base")
    old, new = (evaluate(part.qrels, run, METRICS) for part in (before, after))
    return AppliedAudit(applied, compare_two(old, new, seed=seed, primary="ndcg@10", names=("before", "after")))


def _judge(
    judge: Judge, dataset: Dataset, suspects: Sequence[Suspect], progress: Progress
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """Ask for every suspect, several at once where the judge says so; a budget that is spent ends it cleanly."""
    from embertune.data.synthesis.budget import BudgetReachedError

    def ask(suspect: Suspect) -> Verdict:
        document = dataset.corpus[suspect.document_id].content
        grade = judge(dataset.queries[suspect.query_id], document)
        return Verdict(suspect.query_id, suspect.document_id, float(grade))

    # One document may be suspect twice: as a label, and as what another query's label should be.
    found: list[Verdict] = []
    with ThreadPoolExecutor(max_workers=getattr(judge, "concurrency", 1)) as pool:
        try:
            for verdict in pool.map(ask, suspects):
                found.append(verdict)
                progress("judge", len(found), len(suspects))
        except BudgetReachedError as error:
            pool.shutdown(cancel_futures=True)
            return tuple(found), (f"{error} {len(suspects) - len(found)} suspects were not judged.",)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(found), ()
