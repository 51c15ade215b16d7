"""New labels for an adapter that is in use: go on from it, and prove that nothing it gave is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.adapters.chain import Chain
from embertune.adapters.updating import updated
from embertune.core.progress import Progress, silent
from embertune.core.search import Positions, top_k
from embertune.core.vectors import Vectors
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.splits import split_dataset
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import Encoded, encode_dataset
from embertune.encoders.load_adapted import load_adapted
from embertune.errors import DataError
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Scores
from embertune.evaluation.statistics import bootstrap_interval
from embertune.recipes.bridging import nearest_texts, share_found
from embertune.recipes.judged_queries import choose_queries

__all__ = ["Change", "Update", "decide_update", "update"]

Code = Literal["update", "no-gain", "loses-old-gains"]

_METRIC = "ndcg@10"
_PULLS = (1.0, 0.3, 0.1, 0.03)
_DEV = 0.2
TOLERATED_LOSS = 0.005
"""The most that old queries may lose; less than a worthwhile gain by half."""
_ANCHORS_KEPT = 0.9


@dataclass(frozen=True)
class Change:
    """A mean difference between the updated adapter and the one in use, over some queries.

    Attributes:
        queries: How many.
        before: Mean of the one in use.
        after: Mean of the updated one.
        low: Lower end of the 95 % interval of the difference.
        high: Upper end.

    Example:
        >>> round(Change(100, 0.5, 0.6, 0.05, 0.15).mean, 3)
        0.1
    """

    queries: int
    before: float
    after: float
    low: float
    high: float

    @property
    def mean(self) -> float:
        """The difference."""
        return self.after - self.before

    def __str__(self) -> str:
        """Give it in words."""
        return (
            f"{_METRIC} {self.before:.3f} → {self.after:.3f} ({self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}], "
            f"{self.queries} queries)"
        )


@dataclass(frozen=True, eq=False)
class Update:
    """What came of new labels; printing it gives figures and verdict.

    Attributes:
        adapter: What to serve: the updated adapter, or the one in use where the update is refused.
        candidate: What was trained, whatever the verdict.
        code: "update", "no-gain" or "loses-old-gains".
        verdict: The same in words.
        record: Everything, JSON-able.
    """

    adapter: Adapter
    candidate: Adapter
    code: Code
    verdict: str
    record: dict[str, Any]

    def save(self, folder: str | Path) -> Path:
        """Write what to serve, with record.json.

        Raises:
            StorageError: The folder holds something else, or the disk refused.
        """
        return self.adapter.save(folder)

    def to_dict(self) -> dict[str, Any]:
        """Give the record."""
        return self.record

    def __str__(self) -> str:
        """Give figures and verdict."""
        lines = [f"new: {Change(**self.record['new'])}"]
        if self.record["old"]:
            lines.append(f"old: {Change(**self.record['old'])}")
        if self.record["anchors"]:
            lines.append("old: of the ten nearest documents of {queries} anchors {kept:.1%} stay".format_map(
                self.record["anchors"]))  # fmt: skip
        return "\n".join([*lines, self.verdict, *(f"note: {note}" for note in self.record["notes"])])


class _Set(NamedTuple):
    """A data set as vectors."""

    dataset: Dataset
    encoded: Encoded

    def scores(self, adapter: Adapter, ids: Sequence[str]) -> Scores:
        """Score some queries under an adapter."""
        documents = adapter.transform(self.encoded.documents, "document")
        queries = adapter.transform(self.encoded.queries[self.encoded.query_rows(ids)], "query")
        judgments = Judgments.from_qrels(self.dataset.qrels, list(ids), self.encoded.document_ids)
        return evaluate_positions(judgments, top_k(queries, documents, min(10, len(documents)))[0], _METRIC)[_METRIC]

    def pairs(self, ids: Sequence[str]) -> tuple[Vectors, Vectors, Positions]:
        """Give queries, the documents that answer one of them, and which answers which."""
        found = [(at, document) for at, query in enumerate(ids) for document in self.dataset.positives(query)]
        queries = np.array([at for at, _ in found], dtype=np.intp)
        kept, column = np.unique(self.encoded.document_rows(key for _, key in found), return_inverse=True)
        pairs = np.column_stack([queries, column.ravel()])
        return self.encoded.queries[self.encoded.query_rows(ids)], self.encoded.documents[kept], pairs


def update(
    adapter: Adapter | str | Path,
    data: Dataset | str | Path,
    encoder: Encoder | str | None = None,
    *,
    old_data: Dataset | str | Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Update:
    """Go on from an adapter with new labels, and refuse what loses its old gains.

    A map of queries is fitted behind it, pulled to it. The pull is chosen on dev. With `old_data` its training queries
    are fitted on beside the new ones, and its test queries, those that the adapter's record names, judge. Without it
    the new map stands behind a gate, so that queries unlike the new ones stay as they are, and the examples of the
    adapter's own gate, or else its canaries, tell how many of their nearest documents stay.

    Args:
        adapter: The one in use, or its folder.
        data: New labelled queries; a given split is kept.
        encoder: Who embeds; None: the encoder that the adapter was trained on.
        old_data: What the adapter was trained and judged on.
        seed: Of everything random.
        progress: Told of embedding and of every candidate.

    Raises:
        ArtifactError: The adapter cannot be read, or belongs to another encoder.
        DataError: There is too little data.
        EncoderError: Embedding failed.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(40)])
        >>> update(IdentityAdapter(), data, "hashing").code in ("update", "no-gain")
        True
    """
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    base = load_adapted(loaded, encoder).encoder
    new_set, old_set = (
        None if given is None else given if isinstance(given, Dataset) else load_dataset(given)
        for given in (data, old_data)
    )
    assert new_set is not None
    split = split_dataset(new_set, "given" if "test" in new_set.parts.values() else "by-query", seed=seed)
    new = _Set(new_set, encode_dataset(base, new_set, progress=progress))
    old = None if old_set is None else _Set(old_set, encode_dataset(base, old_set, progress=progress))
    check_adapter_fits(loaded, base.spec)
    told = _Told(loaded, new, tuple(split.train.queries), tuple(split.dev.queries), old, seed)
    candidate, tried = told.choose(progress)
    judged = tuple(split.test.queries)
    gain = _change(new.scores(loaded, judged), new.scores(candidate, judged), seed)
    loss = None
    if old is not None:
        ids = told.old_test
        loss = _change(old.scores(loaded, ids), old.scores(candidate, ids), seed)
    anchors = _anchors(loaded, candidate, new.encoded.documents) if old is None else None
    code, verdict = decide_update(gain, loss, anchors)
    record = {
        "kind": "update", "format": 1, "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder": base.spec.to_dict(), "new": vars(gain), "old": vars(loss) if loss else None, "anchors": anchors,
        "verdict": {"code": code, "sentence": verdict}, "tried": tried, "seed": seed, "notes": list(told.notes),
        "data": {"new": new_set.fingerprint, "old": old_set.fingerprint if old_set else None},
        "versions": {"embertune": version("embertune")},
    }  # fmt: skip
    candidate.encoder = base.spec.to_dict()
    served = candidate if code == "update" else loaded.scaled(loaded.strength)
    served.attachments = {"record.json": json.dumps(record, indent=1, ensure_ascii=False) + "\n"}
    return Update(served, candidate, code, verdict, record)


class _Told:
    """What an update learns from, and how candidates are chosen."""

    def __init__(
        self, adapter: Adapter, new: _Set, train: tuple[str, ...], dev: tuple[str, ...], old: _Set | None, seed: int
    ) -> None:
        self.adapter, self.new, self.train, self.dev, self.old, self.seed = adapter, new, train, dev, old, seed
        self.old_test: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.old_train: tuple[str, ...] = ()
        self.old_dev: tuple[str, ...] = ()
        if old is not None:
            judged = choose_queries(old.dataset, {"the adapter": adapter}, None)
            self.old_test, self.notes = judged.ids, judged.notes
            tested = set(self.old_test)
            rest = [query for query in old.dataset.judged if query not in tested]
            held = round(_DEV * len(rest))
            self.old_dev, self.old_train = tuple(rest[:held]), tuple(rest[held:])
            if not rest:
                raise DataError(
                    f"All {len(tested)} judged queries of {old.dataset.name} are tested, so none is left to learn "
                    "from. Give it parts (train, test), or the folder of the adapter with the record of its tuning."
                )

    def choose(self, progress: Progress) -> tuple[Adapter, list[dict[str, Any]]]:
        """Fit one candidate per pull, take the best on dev that keeps the old dev queries, fit it again with dev."""
        before = float(self.new.scores(self.adapter, self.dev).mean())
        kept = self.old.scores(self.adapter, self.old_dev) if self.old and self.old_dev else np.zeros(1)
        tried: list[dict[str, Any]] = []
        for done, pull in enumerate(_PULLS):
            progress("update", done, len(_PULLS), f"pull {pull:g}")
            fitted = self._fit(pull, self.train, self.old_train)
            gain = float(self.new.scores(fitted, self.dev).mean()) - before
            change = self.old.scores(fitted, self.old_dev) - kept if self.old and self.old_dev else kept
            noise = float(change.std() / np.sqrt(len(change)))
            tried.append({"pull": pull, "new dev": gain, "old dev": float(change.mean()), "noise": noise})
        harmless = [one for one in tried if one["old dev"] >= -max(TOLERATED_LOSS, one["noise"])] or tried[:1]
        best = max(harmless, key=lambda one: float(one["new dev"]))
        return self._fit(best["pull"], (*self.train, *self.dev), (*self.old_train, *self.old_dev)), tried

    def _fit(self, pull: float, new_ids: tuple[str, ...], old_ids: tuple[str, ...]) -> Adapter:
        queries, documents, pairs = self.new.pairs(new_ids)
        if self.old is None:
            return updated(self.adapter, queries, documents, pairs=pairs, pull=pull)
        more_queries, more_documents, more_pairs = self.old.pairs(old_ids)
        return updated(
            self.adapter,
            np.concatenate([queries, more_queries]),
            np.concatenate([documents, more_documents]),
            pairs=np.concatenate([pairs, more_pairs + np.array([len(queries), len(documents)])]),
            pull=pull,
            gated=_has_gate(self.adapter),
        )


def _has_gate(adapter: Adapter) -> bool:
    links = adapter._links() if isinstance(adapter, Chain) else ()
    return adapter.gate is not None or any(link.gate is not None for link in links)


def _change(before: Scores, after: Scores, seed: int) -> Change:
    low, high = bootstrap_interval(after - before, seed=seed)
    return Change(len(before), float(before.mean()), float(after.mean()), low, high)


def _anchors(adapter: Adapter, candidate: Adapter, documents: Vectors) -> dict[str, Any] | None:
    """Tell how many of the nearest documents stay for queries that the adapter is known to have met; None without."""
    gate, canaries = adapter.gate, adapter.canaries
    if gate is not None and gate.directions is None:
        queries, what = gate.examples, "examples of its gate"
    elif canaries is not None:
        queries, what = canaries.query_vectors, "canaries"
    else:
        return None
    found, right = (
        nearest_texts(each.transform(queries), each.transform(documents, "document")) for each in (candidate, adapter)
    )
    kept = share_found(found, right)
    return {"what": what, "queries": len(queries), "kept": float(kept.mean())}


def decide_update(gain: Change, loss: Change | None, anchors: dict[str, Any] | None) -> tuple[Code, str]:
    """Judge an update by new and old test queries; of the following the first that holds is said.

    * ``loses-old-gains``: old queries lose more than .005 and the interval lies below zero, or, without old data, fewer
      than nine in ten of the anchors' nearest documents stay.
    * ``no-gain``: the interval of the gain on new queries does not lie above zero.
    * ``update``.

    Args:
        gain: On new test queries.
        loss: On old ones; None without old data.
        anchors: What `kept` says of anchors, where old data are missing.

    Example:
        >>> decide_update(Change(90, 0.5, 0.6, 0.05, 0.15), Change(90, 0.6, 0.58, -0.03, -0.01), None)[0]
        'loses-old-gains'
    """
    if loss is not None and loss.mean < -TOLERATED_LOSS and loss.high < 0:
        return "loses-old-gains", f"Refused: old queries lose {-loss.mean:.3f}. Keep the adapter in use: {loss}."
    if anchors is not None and anchors["kept"] < _ANCHORS_KEPT:
        return "loses-old-gains", (
            f"Refused: only {anchors['kept']:.1%} of the nearest documents of {anchors['queries']} {anchors['what']} "
            "stay. Give the old data, so that it can be measured what that costs: --old-data DATA"
        )
    if gain.low <= 0:
        return "no-gain", f"No gain is proven on the new queries. Keep the adapter in use: {gain}."
    if loss is not None:
        return "update", f"Serve the update: new queries gain {gain.mean:.3f}, old ones {loss.mean:+.3f}."
    known = "what old queries lose was not measured" if anchors is None else "anchors stay"
    return "update", f"Serve the update: new queries gain {gain.mean:.3f}; {known}."
