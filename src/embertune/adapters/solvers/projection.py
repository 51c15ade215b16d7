"""InfoNCE of one projection to fewer dimensions that both sides share, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass

from embertune.adapters.device import Array, namespace
from embertune.adapters.solvers.contrastive import InfoNCE

__all__ = ["ProjectionNCE"]


@dataclass(frozen=True, kw_only=True)
class ProjectionNCE(InfoNCE):
    """The contrastive objective of ``x -> normalize(x P)`` with ``P = plain + E``; E (d, k) is learned.

    The loss is that of `InfoNCE`, the pull is to the plain projection: ``pull / 2 * ||E||²``.

    Attributes:
        plain: (d, k), where training starts.
    """

    plain: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters: (d, k)."""
        return tuple(self.plain.shape)

    def value_and_gradient(self, flat: Array, pull: float) -> tuple[float, Array]:
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
        gradient = (self.queries.T @ by_q + self.documents.T @ by_d).reshape(-1)
        gradient += float(pull) * flat
        return loss + 0.5 * pull * float(flat @ flat), gradient


def _shrink(vectors: Array) -> Array:
    """Give 1 / length of each row."""
    xp = namespace(vectors)
    return 1 / xp.maximum(xp.sqrt(xp.einsum("ij,ij->i", vectors, vectors)), 1e-12)
