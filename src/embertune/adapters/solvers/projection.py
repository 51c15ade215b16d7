"""InfoNCE of one projection to fewer dimensions that both sides share, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.adapters.solvers.contrastive import InfoNCE
from embertune.core.vectors import Vectors

__all__ = ["ProjectionNCE"]


@dataclass(frozen=True, kw_only=True)
class ProjectionNCE(InfoNCE):
    """The contrastive objective of ``x -> normalize(x P)`` with ``P = plain + E``; E (d, k) is learned.

    The loss is that of `InfoNCE`, the pull is to the plain projection: ``pull / 2 * ||E||²``.

    Attributes:
        plain: (d, k), where training starts.
    """

    plain: Vectors

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: (d, k)."""
        return self.plain.shape

    def value_and_gradient(self, flat: npt.NDArray[np.float32], pull: float) -> tuple[float, npt.NDArray[np.float32]]:
        """Give the objective and its gradient.

        Args:
            flat: E, flattened.
            pull: Strength of the pull to the plain projection.

        Returns:
            The value, and the gradient in the same flat shape.
        """
        projection = self.plain + flat.reshape(self.shape)
        queries, documents = self.queries @ projection, self.documents @ projection
        loss, by_q, by_d = self._loss(queries, _shrink(queries), documents, _shrink(documents))
        gradient = (self.queries.T @ by_q + self.documents.T @ by_d).ravel()
        gradient += np.float32(pull) * flat
        return loss + 0.5 * pull * float(flat @ flat), gradient


def _shrink(vectors: Vectors) -> Vectors:
    """Give 1 / length of each row."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return np.asarray(1 / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)
