"""What an adapter is taught beside the labels: a teacher's scores, and passages of a text, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.data.passages import passages_from_text
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import Encoded
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.errors import ConfigError
from embertune.training.lessons import Lessons, Scores, check_scores

__all__ = ["Teaching"]

# Every passage is embedded, which may be paid for; so many are more than a training of 20 epochs draws twice.
_MOST_PASSAGES = 2000


@dataclass(frozen=True)
class Teaching:
    """What was given beside the data.

    Attributes:
        scores: A teacher's, by query id and document id; None for none.
        passages: Texts that answer nothing.
    """

    scores: Scores | None = None
    passages: tuple[str, ...] = ()

    @classmethod
    def read(
        cls,
        adapter: Adapter | None,
        dataset: Dataset,
        encoder: Encoder,
        *,
        scores: Scores | None = None,
        passages: Any = None,
        seed: int = 0,
    ) -> Teaching:
        """Check that it fits the data, and that the adapter learns from it.

        Args:
            adapter: What is fitted; None for the linear maps that `tune` searches.
            dataset: What the scores are of.
            encoder: Embeds the passages.
            scores: A teacher's.
            passages: A text file that they are cut from.
            seed: For the draw of 2000 of them, where there are more.

        Raises:
            ConfigError: The adapter makes no use of it, or needs it and it was not given.
            DataError: The scores do not belong to the data, or the text cannot be read or is too short.

        Example:
            >>> from embertune.encoders.hashing import HashingEncoder
            >>> data = Dataset.from_pairs([("a", "x")])
            >>> Teaching.read(None, data, HashingEncoder())
            Teaching(scores=None, passages=())
        """
        wants = frozenset() if adapter is None else adapter.wants
        who = "The search of linear maps" if adapter is None else f"This {type(adapter).__name__}"
        if scores is not None and "labels" not in wants:
            raise ConfigError(
                f"{who} makes no use of scores. Give an adapter whose loss does, such as "
                "adapter=embertune.MLPAdapter(loss='margin_mse')"
            )
        if passages is not None and "passages" not in wants:
            raise ConfigError(
                f"{who} makes no use of passages. Give an adapter that does, such as "
                "adapter=embertune.MLPAdapter(loss='triplet', negatives='passages')"
            )
        if passages is None and "passages" in wants:
            raise ConfigError(
                "negatives='passages' learns from the passages of a text, which was not given. "
                "Type: embertune.tune(data, encoder, adapter=adapter, passages='book.txt')"
            )
        if scores is not None:
            check_scores(scores, dataset)
        return cls(scores, () if passages is None else _passages(Path(passages), encoder, seed))

    def lessons(self, dataset: Dataset, encoded: Encoded, encoder: Encoder, *, progress: Progress = silent) -> Lessons:
        """Embed the passages, and give all that is known beside the labels."""
        vectors = None
        if self.passages:
            progress("embed passages", 0, 1)
            vectors = normalize(np.asarray(encoder.encode_document(list(self.passages)), dtype=np.float32))
            progress("embed passages", 1, 1)
        return Lessons.of(dataset, encoded, scores=self.scores, passages=vectors)


def _passages(path: Path, encoder: Encoder, seed: int) -> tuple[str, ...]:
    if isinstance(encoder, PrecomputedEncoder):
        raise ConfigError(
            f"The passages of {path} have to be embedded, and {encoder.spec} only looks vectors up. Give the encoder "
            "that made them, or other negatives: negatives='random'"
        )
    texts = passages_from_text(path)
    if len(texts) <= _MOST_PASSAGES:
        return tuple(texts)
    drawn = generator(seed, "passages").choice(len(texts), _MOST_PASSAGES, replace=False)
    return tuple(texts[at] for at in sorted(drawn.tolist()))
