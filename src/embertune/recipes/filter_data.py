"""Drop queries that teach nothing or the wrong thing; every one is counted with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embertune.core.files import write_whole
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.quality import MARKS, FilterConfig, Ranked, Remark, merge_documents, remarks
from embertune.data.texts import counted
from embertune.encoders.base import Encoder
from embertune.errors import DataError
from embertune.evaluation.run import Run
from embertune.recipes.first_stage import first_stage

__all__ = ["Filtered", "filter_queries"]

_WORDS = {
    "language": "in another language",
    "near-duplicate": "nearly repeats an earlier query",
    "too-hard": "its document is beyond the hard rank",
    "round-trip": "its document is not among the top k",
    "too-easy": "copies its document, or finds it without a rival",
}


@dataclass(frozen=True)
class Filtered:
    """What is left, and why the rest is not; printing it gives the table.

    Attributes:
        dataset: What is left; queries that were not looked at are in it.
        dropped: Query id -> the mark that dropped it, the first of `MARKS` that does.
        remarks: Query id -> what was seen, for all queries that were looked at.
        texts: Query id -> text of the dropped ones.
        merged: Document id -> id of the document that it nearly repeats.
        settings: What was marked and dropped, and by which retriever.
        notes: What was not looked at, and why.
    """

    dataset: Dataset
    dropped: Mapping[str, str]
    remarks: Mapping[str, Remark]
    texts: Mapping[str, str]
    merged: Mapping[str, str]
    settings: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many queries each mark dropped."""
        found = Counter(self.dropped.values())
        return {mark: found[mark] for mark in MARKS if found[mark]}

    @property
    def marked(self) -> dict[str, int]:
        """How many queries have each mark, dropped or not; a query may have several."""
        found = Counter(mark for remark in self.remarks.values() for mark in remark.marks)
        return {mark: found[mark] for mark in MARKS if found[mark]}

    def save(self, folder: str | Path) -> Path:
        """Write a BEIR folder of what is left, and `dropped.jsonl`, `remarks.jsonl` and `filter.json` beside it.

        Args:
            folder: Where to; made if absent.

        Raises:
            StorageError: The disk or the folder refused.
        """
        target = as_path(folder)
        self.dataset.save(target)
        write_whole(target / "dropped.jsonl", map(_line, self._dropped_rows()))
        rows = ({"_id": query_id, **remark._asdict()} for query_id, remark in self.remarks.items())
        write_whole(target / "remarks.jsonl", map(_line, rows))
        write_whole(target / "filter.json", json.dumps(self.to_dict(), ensure_ascii=False, indent=2) + "\n")
        return target

    def to_dict(self) -> dict[str, Any]:
        """Give counts and settings as JSON-able values."""
        return {
            "queries": len(self.remarks),
            "kept": len(self.remarks) - len(self.dropped),
            "dropped": self.counts,
            "marked": self.marked,
            "documents_merged": len(self.merged),
            "settings": dict(self.settings),
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Give the number of queries with each mark, and how many it dropped."""
        total, dropped, marked = len(self.remarks), self.counts, self.marked
        lines = [f"{total - len(self.dropped)} of {counted(total, 'query', 'queries')} kept."]
        if marked:
            width = max(map(len, marked))
            lines.append(f"{'':<{width}}  marked  dropped for it")
            lines += [
                f"{mark:<{width}}  {count:>6}  {dropped.get(mark, 0):>14}  {_WORDS[mark]}"
                for mark, count in marked.items()
            ]
        if self.merged:
            one, many = (
                "document nearly repeats an earlier one and was",
                "documents nearly repeat an earlier one and were",
            )
            lines.append(f"{counted(len(self.merged), one, many)} merged with it.")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _dropped_rows(self) -> Iterator[dict[str, Any]]:
        for query_id, reason in self.dropped.items():
            seen = self.remarks[query_id]
            yield {"_id": query_id, "text": self.texts[query_id], "reason": reason, **seen._asdict()}
        for document_id, kept in self.merged.items():
            yield {"document_id": document_id, "reason": "near-duplicate", "repeats": kept}


def filter_queries(
    data: Dataset | str | Path | Any,
    retriever: Encoder | Run | str | Any | None = "bm25",
    config: FilterConfig | None = None,
    *,
    progress: Progress = silent,
) -> Filtered:
    """Mark queries, and drop those with certain marks.

    Of data with a split only training queries are looked at: whatever chooses test queries by a retriever makes the
    test easier. A training query that nearly repeats a test query is a near-duplicate. What answers a dropped
    near-duplicate also answers the query that stays.

    Sources: the round trip is Alberti et al., Synthetic QA Corpora Generation with Roundtrip Consistency (2019), with a
    retriever as in Dai et al., Promptagator: Few-shot Dense Retrieval From 8 Examples (2022).

    Args:
        data: A data set, or what `load_dataset` reads.
        retriever: Who makes the round trip: "bm25", an encoder, what `load_encoder` reads, or a `Run`; it should not be
            the encoder that is tuned, whose mistakes would be dropped instead of learned from. None leaves it out.
        config: What is marked and dropped; None takes the defaults.
        progress: Told of the stages.

    Raises:
        ConfigError: A setting is impossible.
        DataError: The data cannot be read, or nothing would be left.
        EncoderError: The retriever failed.

    Example:
        >>> pairs = [("where is the cat", "a cat sits on it"), ("Where is the cat?", "no"), ("why", "dogs run")]
        >>> found = filter_queries(Dataset.from_pairs(pairs), "bm25", FilterConfig(top_k=1))
        >>> found.counts, list(found.dataset.queries)
        ({'near-duplicate': 1, 'too-hard': 1}, ['q1'])
    """
    config = config or FilterConfig()
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    ids = [query_id for query_id in dataset.judged if dataset.parts.get(query_id, "train") == "train"]
    if not ids:
        raise DataError(
            f"{dataset.name} has no training query with a relevant document. Expected at least one; queries in dev and "
            "test are never filtered."
        )
    merged: dict[str, str] = {}
    if config.near_documents is not None:
        progress("compare documents", 0)
        merged, qrels = merge_documents(dataset, config.near_documents)
        corpus = {document: text for document, text in dataset.corpus.items() if document not in merged}
        dataset = replace(dataset, corpus=corpus, qrels=qrels)
    ranked, name = None, None
    if retriever is not None:
        run = first_stage(dataset.select(ids), retriever, max(config.top_k, config.hard_rank) + 1, progress=progress)
        ranked, name = _ranked(dataset, ids, run), run.name
    progress("look at queries", 0, len(ids))
    seen, notes = remarks(dataset, ids, config, ranked)
    progress("look at queries", len(ids), len(ids))
    dropped = {
        # What is beyond the hard rank fails the round trip too; the graver of the two is its reason.
        query_id: next(mark for mark in remark.marks if mark in config.drop or mark == "too-hard")
        for query_id, remark in seen.items()
        if set(config.drop).intersection(remark.marks)
    }
    if len(dropped) == len(ids):
        raise DataError(_nothing_left(dropped))
    settings = {"retriever": name, **asdict(config), "drop": list(config.drop)}
    left = _without(dataset, dropped, seen)
    note = f"{len(dropped)} of {len(ids)} queries were dropped by the filter ({_listed(dropped)})."
    left = replace(left, notes=(*left.notes, note)) if dropped else left
    texts = {query_id: dataset.queries[query_id] for query_id in dropped}
    return Filtered(left, dropped, seen, texts, merged, settings, notes)


def _ranked(dataset: Dataset, ids: list[str], run: Run) -> dict[str, Ranked]:
    rows = {query_id: row for row, query_id in enumerate(run.query_ids)}
    found: dict[str, Ranked] = {}
    for query_id in ids:
        if query_id not in rows:
            continue
        positions, scores = run.positions[rows[query_id]], run.scores[rows[query_id]]
        relevant = set(dataset.positives(query_id))
        is_relevant = [at >= 0 and run.document_ids[at] in relevant for at in positions]
        if True not in is_relevant:
            found[query_id] = Ranked(None, None)
            continue
        first = is_relevant.index(True)
        own = float(scores[first])
        others = [float(score) for score, mine, at in zip(scores, is_relevant, positions, strict=True)
                  if not mine and at >= 0]  # fmt: skip
        # Where nothing else was found at all, BM25 gives the rest 0.
        lead = (own - max(others, default=0.0)) / abs(own) if own else 0.0
        found[query_id] = Ranked(first + 1, round(lead, 6))
    return found


def _without(dataset: Dataset, dropped: Mapping[str, str], seen: Mapping[str, Remark]) -> Dataset:
    """Leave out what was dropped; what answers a repetition answers the query that it repeats, if that one trains."""
    qrels = {query_id: dict(grades) for query_id, grades in dataset.qrels.items() if query_id not in dropped}
    for query_id, reason in dropped.items():
        kept = seen[query_id].repeats
        if reason == "near-duplicate" and kept in qrels and kept in seen:
            for document, grade in dataset.qrels[query_id].items():
                qrels[kept][document] = max(grade, qrels[kept].get(document, grade))
    left = dataset.select(query_id for query_id in dataset.queries if query_id not in dropped)
    return replace(left, qrels=qrels)


def _listed(dropped: Mapping[str, str]) -> str:
    found = Counter(dropped.values())
    return ", ".join(f"{found[mark]} {mark}" for mark in MARKS if found[mark])


def _nothing_left(dropped: Mapping[str, str]) -> str:
    return (
        f"All {len(dropped)} queries would be dropped ({_listed(dropped)}). Expected some to stay: drop fewer marks "
        "(drop=('near-duplicate',), --drop near-duplicate), raise top_k, or try another retriever."
    )


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
