"""Similarities at a glance: a few texts through a model or an adapter, and the cosines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embertune.core.vectors import Vectors
from embertune.data.texts import shortened
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_texts
from embertune.encoders.load_adapted import open_encoder
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError

__all__ = ["Similarities", "infer"]

_LONGEST = 90


@dataclass(frozen=True)
class Similarities:
    """Cosines of texts; printing it gives the table.

    Attributes:
        queries: n texts.
        documents: m texts; the same as queries where texts are compared with one another.
        cosines: (n, m).
        dimension: Of the embeddings.
        is_symmetric: Whether texts were compared with one another.
    """

    queries: tuple[str, ...]
    documents: tuple[str, ...]
    cosines: Vectors
    dimension: int
    is_symmetric: bool

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return {
            "queries": list(self.queries),
            "documents": list(self.documents),
            "cosines": [[round(value, 6) for value in row] for row in self.cosines.tolist()],
            "dimension": self.dimension,
        }

    def __str__(self) -> str:
        """Give texts with all cosines between them, or for every query the documents, nearest first."""
        if not self.is_symmetric:
            return "\n\n".join(map(self._ranking, range(len(self.queries))))
        width = max(6, len(str(len(self.queries))))
        head = "  ".join(f"{at:>{width}}" for at in range(1, len(self.queries) + 1))
        rows = [
            "  ".join(f"{value:{width}.3f}" for value in row) + f"  {at} {shortened(text, _LONGEST)}"
            for at, (row, text) in enumerate(zip(self.cosines.tolist(), self.queries, strict=True), start=1)
        ]
        return "\n".join([head, *rows])

    def _ranking(self, query: int) -> str:
        row = self.cosines[query].tolist()
        order = sorted(range(len(row)), key=lambda at: (-row[at], at))
        lines = [f"{row[at]:6.3f}  {shortened(self.documents[at], _LONGEST)}" for at in order]
        return "\n".join([shortened(self.queries[query], _LONGEST), *lines])


def infer(
    model: Encoder | str | Path,
    texts: Sequence[str] = (),
    *,
    queries: Sequence[str] = (),
    documents: Sequence[str] = (),
    **options: Any,
) -> Similarities:
    """Embed a few texts and give the cosines between them.

    Args:
        model: An encoder, the name or folder of one, or the folder of an adapter, which stands behind its encoder.
        texts: Compared with one another, all embedded as queries.
        queries: In place of texts: compared with documents, each embedded by its side, with its prompt.
        documents: What they are compared with.
        options: Of the encoder, such as `query_prompt`.

    Raises:
        ConfigError: There is nothing to compare, both texts and sides were given, or a text in place of a list.
        EncoderError: The encoder cannot be found, or failed.

    Example:
        >>> print(infer("hashing", queries=["how old is it"], documents=["It is red.", "How old it is"]))
        how old is it
         0.943  How old it is
         0.485  It is red.
    """
    if any(isinstance(given, str) for given in (texts, queries, documents)):
        raise ConfigError('A text stands where a list of texts is expected. Type: ["text"]')
    if texts and (queries or documents):
        raise ConfigError("Texts are compared with one another, queries with documents. Give the one or the other.")
    if len(texts) < 2 and not (queries and documents):
        raise ConfigError(
            f"There is nothing to compare: {len(texts)} texts, {len(queries)} queries, {len(documents)} documents. "
            'Expected two texts or more ("text" "text"), or --query "text" --document "text".'
        )
    encoder = open_encoder(model, **options) if isinstance(model, str | Path) else load_encoder(model, **options)
    left = encode_texts(encoder, list(texts or queries), "query")
    right = left if texts else encode_texts(encoder, list(documents), "document")
    sides = tuple(texts or queries), tuple(texts or documents)
    return Similarities(*sides, left @ right.T, int(left.shape[1]), is_symmetric=bool(texts))
