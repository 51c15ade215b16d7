"""From one encoder to the next without embedding the index again, and what that keeps."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from embertune.adapters.bridge import BridgeAdapter
from embertune.core.hashing import fingerprint_texts
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.search import top_k
from embertune.core.vectors import Vectors
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.lines import read_json_lines, read_lines
from embertune.data.texts import normalize_text
from embertune.encoders.base import Encoder, Side, TextEncoder
from embertune.encoders.canaries import embed_canaries
from embertune.encoders.cost import Cost, Priced
from embertune.encoders.encoded import encode_dataset, encode_texts
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, DataError
from embertune.evaluation.evaluate import evaluate_positions
from embertune.evaluation.judgments import Judgments
from embertune.evaluation.metrics import Scores
from embertune.recipes.bridging import (
    EFFORTS,
    Direction,
    Parts,
    choose_bridge,
    nearest_texts,
    share_found,
    share_kept,
    split_texts,
)
from embertune.recipes.migration import METRIC, Migration, decide

__all__ = ["migrate", "read_sample"]


def _go_on(encoder: Encoder, texts: Sequence[str]) -> None:
    """Embed without further ado."""


class _Ends(NamedTuple):
    """Both encoders, and which is mapped where."""

    old: Encoder
    new: Encoder
    direction: Direction

    @property
    def side(self) -> Side:
        """What the sample stands for."""
        return "query" if self.direction == "queries" else "document"

    @property
    def mapped(self) -> Encoder:
        """The encoder whose vectors the bridge takes."""
        return self.new if self.direction == "queries" else self.old

    @property
    def goal(self) -> Encoder:
        """The encoder whose space it leads to."""
        return self.old if self.direction == "queries" else self.new


def migrate(  # noqa: PLR0913 - what a migration is of, and what a recipe takes
    old: Encoder | str,
    new: Encoder | str,
    sample: Sequence[str] | str | Path,
    *,
    data: Dataset | str | Path | None = None,
    direction: Direction = "queries",
    effort: str = "normal",
    index_size: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    before_embedding: Callable[[Encoder, Sequence[str]], None] = _go_on,
) -> Migration:
    """Fit a bridge between two encoders on sample texts, and say how much of a full re-embedding's recall it keeps.

    With labelled queries recall@10 is that of their relevant documents. Without them the new encoder's own exact
    neighbours stand for the truth, among texts of the sample: a tenth is kept apart for that. A tenth chooses the kind
    of bridge; neither tenth is fitted on before it has judged.

    Args:
        old: The encoder that the index was embedded with.
        new: The encoder to go over to.
        sample: Texts like those of the index, or a file of them: JSONL with "text", or plain text, one a line.
        data: Labelled queries and their corpus: its test queries, or all where it has no test part. None: no labels.
        direction: "queries" keeps the index and maps queries of the new encoder; "index" maps stored vectors, once.
        effort: "fast" (rotations and affine maps), "normal" (a network too) or "thorough" (several).
        index_size: How many documents the index holds, for the cost; None: as many as `data` or the sample has.
        seed: Of everything random.
        progress: Told of embedding and of every candidate.
        before_embedding: Called with each encoder and the sample before it is embedded.

    Returns:
        The bridge and its record; print it for the table, `save` it to serve it.

    Raises:
        ConfigError: An argument is impossible.
        DataError: The sample is too small, or the data have no judged query.
        EncoderError: Embedding failed.

    Example:
        >>> words = [f"{a} {b} {c}" for a in ("cat", "dog", "owl", "fox", "bee") for b in "abcdefg" for c in range(6)]
        >>> found = migrate("hashing", load_encoder("hashing", query_prompt="q: "), words, effort="fast")
        >>> found.direction, found.record["judged"]["what"]
        ('queries', "the new encoder's own neighbours")
    """
    _check(effort, direction, index_size)
    ends = _Ends(load_encoder(old), load_encoder(new), direction)
    dataset = data if data is None or isinstance(data, Dataset) else load_dataset(data)
    test = None if dataset is None else _tested(dataset)
    texts, dropped = _sample_of(sample, test)
    parts = split_texts(len(texts), judge=test is None, seed=seed)
    for encoder in (ends.mapped, ends.goal):
        before_embedding(encoder, texts)
    started = time.perf_counter()
    estimated = _estimate(ends.new, texts)
    source, goal = (encode_texts(encoder, texts, ends.side, progress=progress) for encoder in (ends.mapped, ends.goal))
    embedded = time.perf_counter()
    chosen = choose_bridge(
        source, goal, parts, direction=direction, target=ends.goal.spec.to_dict(), effort=effort, seed=seed,
        progress=progress,
    )  # fmt: skip
    fitted = time.perf_counter()
    by_labels = None if test is None else _by_labels(chosen.bridge, test, ends, progress)
    judged = by_labels or _by_neighbours(chosen.bridge, source, goal, parts, direction)
    documents = index_size or (len(dataset.corpus) if dataset is not None else len(texts))
    record = {
        "kind": "migration",
        "format": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "direction": direction,
        "from": str(ends.old.spec),
        "to": str(ends.new.spec),
        "encoders": {"from": ends.old.spec.to_dict(), "to": ends.new.spec.to_dict()},
        "sample": {
            "texts": len(texts), "fitted": len(parts.fit) + len(parts.choose), "chose": len(parts.choose),
            "judged": len(parts.judge), "dropped": dropped, "fingerprint": fingerprint_texts(texts),
        },
        "bridge": {name: value for name, value in chosen.bridge.get_params().items() if name not in ("target", "seed")},
        "tried": list(chosen.tried),
        "re-embedding": _priced(estimated, len(texts), documents),
        "seconds": {"embed": embedded - started, "fit": fitted - embedded, "judge": time.perf_counter() - fitted},
        "seed": seed, "versions": _versions(),
        "notes": [f"{dropped} texts of the sample are test queries, and were left out."] if dropped else [],
    }  # fmt: skip
    return _migration(chosen.bridge, ends, judged, record, seed)


def _check(effort: str, direction: str, index_size: int | None) -> None:
    problems = [] if effort in EFFORTS else [f"effort must be one of {', '.join(EFFORTS)}, got {effort!r}"]
    if direction not in ("queries", "index"):
        problems.append(f"direction must be 'queries' or 'index', got {direction!r}")
    if index_size is not None and index_size < 1:
        problems.append(f"index_size must be at least 1, got {index_size}")
    if problems:
        raise ConfigError(problems)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("embertune", "numpy")}}


class _Judged(NamedTuple):
    what: str
    scores: dict[str, Scores]
    ids: tuple[str, ...]
    documents: int


def _migration(bridge: BridgeAdapter, ends: _Ends, judged: _Judged, record: dict[str, Any], seed: int) -> Migration:
    kept = share_kept(judged.scores["bridged"], judged.scores["full"], seed=seed)
    means = {name: float(values.mean()) for name, values in judged.scores.items()}
    code, verdict = decide(kept, means, len(judged.ids), record["re-embedding"]["words"])
    record |= {
        "judged": {"what": judged.what, "queries": len(judged.ids), "documents": judged.documents},
        "scores": means,
        "kept": kept._asdict(),
        "verdict": {"code": code, "sentence": verdict},
        "queries": [
            {"id": query, **{name: float(values[row]) for name, values in judged.scores.items()}}
            for row, query in enumerate(judged.ids)
        ],
    }
    bridge.encoder = ends.mapped.spec.to_dict()
    bridge.canaries = embed_canaries(ends.mapped)
    found = Migration(bridge, ends.direction, kept, code, verdict, record)
    bridge.attachments = {
        "record.json": json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "README.md": f"# Bridge: {ends.mapped.spec.model} → {ends.goal.spec.model}\n\n```text\n{found}\n```\n",
    }
    return found


def _tested(dataset: Dataset) -> Dataset:
    """Keep the queries that judge."""
    ids = dataset.judged
    if "test" in dataset.parts.values():
        ids = tuple(query for query in ids if dataset.parts.get(query) == "test")
    if not ids:
        raise DataError(
            f"None of the {len(dataset.queries)} queries of {dataset.name} that may be tested has a relevant document. "
            "Leave the data out: the new encoder's own neighbours then stand for labels."
        )
    return dataset.select(ids)


def read_sample(path: str | Path) -> list[str]:
    r"""Read texts: JSONL with "text" and perhaps "title", or plain text, one a line; empty ones are passed over.

    Raises:
        DataError: The file is missing or broken, or a line has no text.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.jsonl")
        ...     _ = path.write_text('{"text": "one"}\n{"title": "Two", "text": "two"}\n')
        ...     read_sample(path)
        ['one', 'Two two']
    """
    source = as_path(path)
    if source.suffix not in (".jsonl", ".ndjson", ".json"):
        return [line.strip() for line in read_lines(source) if line.strip()]
    texts = []
    for number, row in read_json_lines(source):
        if not isinstance(row.get("text"), str):
            raise DataError(
                f'{source}:{number}: found the keys {", ".join(row)} and no "text". Expected a text on every line, '
                'such as {"text": "The warranty covers …"}.'
            )
        texts.append(" ".join(part for part in (str(row.get("title") or ""), row["text"]) if part.strip()))
    return [text for text in texts if text.strip()]


def _sample_of(sample: Sequence[str] | str | Path, test: Dataset | None) -> tuple[list[str], int]:
    """Give the different texts of a sample, none of them a test query, and how many were."""
    texts = read_sample(sample) if isinstance(sample, str | Path) else list(sample)
    wrong = [text for text in texts if not isinstance(text, str)]
    if wrong:
        raise DataError(f"{len(wrong)} of {len(texts)} sample texts are not strings (such as {wrong[0]!r}).")
    distinct = list(dict.fromkeys(text for text in texts if text.strip()))
    asked = {normalize_text(text) for text in test.queries.values()} if test is not None else set()
    kept = [text for text in distinct if normalize_text(text) not in asked]
    return kept, len(distinct) - len(kept)


def _by_neighbours(bridge: BridgeAdapter, source: Vectors, goal: Vectors, parts: Parts, direction: str) -> _Judged:
    """Judge by the texts that were kept apart, the new encoder's neighbours being the truth."""
    rows = parts.judge
    # Mapped documents must be as foreign to the bridge as those of an index are.
    among = rows if direction == "index" else np.concatenate([rows, parts.fit, parts.choose])
    itself = range(len(rows))
    if direction == "queries":
        new, old = source, goal
        bridged = bridge.transform(new[rows], "query"), old[among]
    else:
        new, old = goal, source
        bridged = new[rows], bridge.transform(old[among], "document")
    right = nearest_texts(new[rows], new[among], itself=itself)
    scores = {
        "old": share_found(nearest_texts(old[rows], old[among], itself=itself), right),
        "bridged": share_found(nearest_texts(*bridged, itself=itself), right),
        "full": np.ones(len(rows)),
    }
    return _Judged("the new encoder's own neighbours", scores, tuple(f"text {row}" for row in rows), len(among))


def _by_labels(bridge: BridgeAdapter, test: Dataset, ends: _Ends, progress: Progress) -> _Judged:
    """Judge by the relevant documents of test queries."""
    old, new = (encode_dataset(encoder, test, progress=progress) for encoder in (ends.old, ends.new))
    judgments = Judgments.from_qrels(test.qrels, list(new.query_ids), new.document_ids)
    searches = {
        "old": (old.queries, old.documents),
        "bridged": (bridge.transform(new.queries, "query"), old.documents)
        if ends.direction == "queries"
        else (new.queries, bridge.transform(old.documents, "document")),
        "full": (new.queries, new.documents),
    }
    depth = min(10, len(new.documents))
    scores = {
        name: evaluate_positions(judgments, top_k(*pair, depth)[0], METRIC)[METRIC] for name, pair in searches.items()
    }
    return _Judged(f"labelled queries of {test.name}", scores, new.query_ids, len(new.documents))


def _estimate(encoder: Encoder, texts: list[str]) -> Cost | None:
    """Say what embedding the sample as documents costs, whatever is in the cache; None where it costs no money."""
    fresh = encoder.without_cache() if isinstance(encoder, TextEncoder) else encoder
    return fresh.estimate(texts, "document") if isinstance(fresh, Priced) else None


def _priced(sample: Cost | None, texts: int, documents: int) -> dict[str, Any]:
    """Scale the estimate to the size of the index."""
    if sample is None:
        return {"documents": documents, "cost": None, "words": f"{documents:,} texts, not billed"}
    scale = documents / texts
    cost = Cost(documents, round(sample.tokens * scale), None if sample.usd is None else sample.usd * scale)
    return {"documents": documents, "cost": asdict(cost), "words": f"about {cost}"}
