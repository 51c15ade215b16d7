"""Canaries: the base vectors of a few short texts, kept with an adapter to notice when its encoder has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from embertune.core.vectors import Vectors, as_vectors
from embertune.errors import DataError

__all__ = ["CANARY_FILE", "CANARY_TEXTS", "Canaries", "Drift", "State"]

State = Literal["same", "moved", "changed"]

CANARY_FILE = "canaries.safetensors"

# Several scripts, code, digits and lengths, so that another tokenizer shows as well as other weights.
CANARY_TEXTS: dict[Literal["query", "document"], tuple[str, ...]] = {
    "query": (
        "how do I reset my password",
        "opening hours on public holidays",
        "what does error 0x80070057 mean",
        "cheap flights from Lisbon to Oslo",
        "symptoms of iron deficiency",
        "who may terminate the contract early",
        "python read csv without header",
        "best soil for tomatoes in pots",
        "wie lange gilt die Garantie",
        "où puis-je renouveler mon passeport",
        "東京の天気",
        "как вернуть товар",
        "capital gains tax 2024 threshold",
        "why is my bread dense",
        "SELECT count(*) FROM orders",
        "lightweight waterproof hiking boots",
    ),
    "document": (
        "Water boils at 100 degrees Celsius at sea level.",
        "The warranty covers defects in material for 24 months from delivery.",
        "Use list.sort() to sort in place and sorted() to get a new list.",
        "The bridge was opened in 1937 and is 2,737 metres long.",
        "Take one tablet twice a day with food.",
        "Refunds are paid within 14 days to the original means of payment.",
        "Der Zug nach München fährt von Gleis 9.",
        "La bibliothèque est fermée le lundi.",
        "光合作用将光能转化为化学能。",
        "Договор вступает в силу с момента подписания.",
        "Quarterly revenue rose 8% to $4.2 billion.",
        "def area(r): return 3.14159 * r ** 2",
        "The mitochondrion is the powerhouse of the cell.",
        "Preheat the oven to 180 °C and bake for 35 minutes.",
        "Passengers must be at the gate 30 minutes before departure.",
        "ERROR 1045 (28000): Access denied for user",
    ),
}

# Cosines that separate what a provider does without telling from another encoder; measured in docs/experiments.md.
SAME_COSINE = 0.999
CHANGED_COSINE = 0.99
# Lengths: the same weights in half the precision stay within 0.4 %, another normalisation is off by much more.
LENGTH_TOLERANCE = 0.01


@dataclass(frozen=True)
class Drift:
    """How far an encoder's vectors of the canaries are from those that were stored.

    Attributes:
        state: "same"; "moved", less than another encoder would but more than arithmetic does; or "changed".
        cosine: Median cosine of the stored and the present vectors, of the side where it is lower.
        length: Median of present over stored lengths, of the side where it is further from 1.
        reason: The same in words.
    """

    state: State
    cosine: float
    length: float
    reason: str


@dataclass(frozen=True)
class Canaries:
    """Texts of both sides and their vectors, as the encoder gave them.

    Attributes:
        queries: n texts that were embedded as queries.
        documents: m texts that were embedded as documents.
        query_vectors: (n, d) float32.
        document_vectors: (m, d) float32.

    Raises:
        DataError: Texts and vectors do not fit together.

    Example:
        >>> kept = Canaries(("a", "b"), ("c",), np.eye(2, dtype=np.float32), np.ones((1, 2), dtype=np.float32))
        >>> kept.compare(np.eye(2), np.ones((1, 2))).state
        'same'
        >>> kept.compare(np.eye(2)[::-1], np.ones((1, 2))).state
        'changed'
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    query_vectors: Vectors
    document_vectors: Vectors

    def __post_init__(self) -> None:
        """Check that there is one vector for each text, all of one dimension."""
        shapes = self.query_vectors.shape, self.document_vectors.shape
        wanted = len(self.queries), len(self.documents)
        if 0 in wanted or (shapes[0][0], shapes[1][0]) != wanted or shapes[0][1] != shapes[1][1]:
            raise DataError(
                f"The canaries are {wanted[0]} queries and {wanted[1]} documents with vectors of shapes {shapes[0]} "
                f"and {shapes[1]}. Expected one vector for each text, of one dimension."
            )

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return int(self.query_vectors.shape[1])

    def compare(self, queries: npt.ArrayLike, documents: npt.ArrayLike) -> Drift:
        """Tell whether an encoder still gives these vectors.

        The sides are judged apart, because a prompt may change on one of them, and by medians, because one text may
        fall on the other side of a rounding.

        Args:
            queries: (n, d), what it gives for `queries` now.
            documents: (m, d), what it gives for `documents` now.

        Raises:
            DataError: Not a vector for each text, or some are not finite.
        """
        found = {"query": as_vectors(queries, "canary queries"), "document": as_vectors(documents, "canary documents")}
        kept = {"query": self.query_vectors, "document": self.document_vectors}
        dimension = found["query"].shape[1]
        if {dimension, found["document"].shape[1]} != {self.dimension}:
            reason = f"vectors have {dimension} dimensions, {self.dimension} when it was trained"
            return Drift("changed", 0.0, float("nan"), reason)
        for side, vectors in kept.items():
            if len(found[side]) != len(vectors):
                raise DataError(
                    f"{len(found[side])} vectors came for {len(vectors)} {side} canaries. Expected as many."
                )
        measured = {side: _apart(kept[side], found[side]) for side in kept}
        worst = min(measured, key=lambda side: measured[side][0])
        cosine = measured[worst][0]
        length = max((length for _, length in measured.values()), key=lambda value: abs(value - 1))
        return _judged(worst, cosine, length)

    def save(self, folder: Path) -> None:
        """Write them into the folder of an artefact."""
        texts = json.dumps({"query": self.queries, "document": self.documents}, ensure_ascii=False)
        tensors = {"query": self.query_vectors, "document": self.document_vectors}
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / CANARY_FILE,
                  metadata={"texts": texts})  # fmt: skip
        (folder / CANARY_FILE).chmod(0o644)  # it is made readable for its owner alone, which does not suit a server

    @classmethod
    def load(cls, folder: Path) -> Canaries | None:
        """Read them from the folder of an artefact; None where it has none, as those of before have.

        Raises:
            DataError: The file is damaged.
        """
        path = folder / CANARY_FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "np") as file:
                texts = json.loads((file.metadata() or {})["texts"])
                vectors = {side: as_vectors(file.get_tensor(side), f"{side} canaries") for side in CANARY_TEXTS}
            return cls(tuple(texts["query"]), tuple(texts["document"]), vectors["query"], vectors["document"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{CANARY_FILE} cannot be read: {error}") from None


def _apart(kept: Vectors, found: Vectors) -> tuple[float, float]:
    """Give the median cosine and the median of found over kept lengths; two rows of zeros are equal."""
    before, after = (np.linalg.norm(rows.astype(np.float64), axis=1) for rows in (kept, found))
    products = np.einsum("ij,ij->i", kept.astype(np.float64), found.astype(np.float64))
    both_zero = (before == 0) & (after == 0)
    scale = before * after
    cosines = np.where(both_zero, 1.0, np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0))
    lengths = np.where(both_zero, 1.0, np.divide(after, before, out=np.full_like(after, np.inf), where=before > 0))
    return float(np.median(cosines)), float(np.median(lengths))


def _judged(side: str, cosine: float, length: float) -> Drift:
    if cosine < CHANGED_COSINE:
        reason = f"the median cosine of {side} canaries to those of training is {cosine:.3f}, below {CHANGED_COSINE}"
        return Drift("changed", cosine, length, f"{reason}: another model, or another prompt")
    if abs(length - 1) > LENGTH_TOLERANCE:
        reason = f"vectors are {length:.3g} times as long as in training: another normalisation"
        return Drift("changed", cosine, length, reason)
    if cosine < SAME_COSINE:
        reason = f"the median cosine of {side} canaries to those of training is {cosine:.4f}, below {SAME_COSINE}"
        return Drift(
            "moved", cosine, length, f"{reason}: other arithmetic, such as other hardware or quantised weights"
        )
    return Drift("same", cosine, length, f"the median cosine of {side} canaries to those of training is {cosine:.5f}")
