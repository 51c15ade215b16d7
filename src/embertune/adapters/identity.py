"""The adapter that changes nothing: what is saved when nothing better was proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, check_pairs
from embertune.core.vectors import Vectors

__all__ = ["IdentityAdapter"]


class IdentityAdapter(Adapter):
    """Give every embedding back as it is, bit for bit.

    Example:
        >>> IdentityAdapter().transform([[3.0, 4.0]]).tolist()
        [[3.0, 4.0]]
    """

    type: ClassVar[str] = "identity"
    side = "none"

    @property
    def dimension(self) -> int | None:
        """None: any dimension is taken."""
        return None

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Check the input and learn nothing."""
        check_pairs(queries, documents, pairs)
        self._forget()
        return self

    def changes(self, side: Side) -> bool:
        """Tell that neither side changes."""
        return False

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give no array: nothing was learned."""
        return {}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build it; both arguments are empty."""
        return cls()

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        return vectors
