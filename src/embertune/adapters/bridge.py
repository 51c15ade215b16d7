"""A bridge between two encoders: embeddings of one go into the space of the other, whatever their dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from embertune.adapters.base import Adapter, Side, check_pairs
from embertune.adapters.params import check_finite, impossible
from embertune.adapters.solvers.bridging import affine, network, network_residual, scaled_rotation
from embertune.adapters.solvers.descent import Parameters
from embertune.core.vectors import Vectors, as_vectors, normalize
from embertune.errors import ConfigError, DataError

__all__ = ["BridgeAdapter"]

_NETWORK = ("input", "input_bias", "output", "output_bias")
# The hidden layer is wider than the embeddings, so stored vectors are mapped in blocks.
_BLOCK = 4096


class BridgeAdapter(Adapter):
    """Map an embedding of one encoder (d) to where another encoder (k) would have put the same text.

    `fit` takes the same texts embedded by both: row i of `queries` by the one that is mapped, row i of `documents` by
    the one whose space is the goal. Queries and documents are mapped alike, so a bridge from a new encoder to an old
    one serves queries, and documents that come later, against an index that stays; one from old to new maps the index.
    At strength 0 it is the rotation alone. Source: Drift-Adapter (EMNLP 2025).

    Args:
        kind: "procrustes", a rotation in closed form; "affine", a linear map and a bias by ridge regression, pulled to
            that rotation; "mlp", a network of one hidden layer on top of the affine map.
        pull: Of the affine map to the rotation; see `embertune.adapters.solvers.bridging.affine`.
        rank: Of what the affine map adds to the rotation, at most; None: any.
        hidden: Units of the network.
        max_epochs: Passes over the texts that train it.
        learning_rate: Of Adam.
        seed: For its first weights and batches.
        target: The specification of the encoder whose space is the goal, as ``encoder.spec.to_dict()`` gives it; its
            "dimension" is k. None: k = d.

    Attributes:
        rotation_: (d, k), a multiple of a rotation.
        matrix_: (d, k) of the affine map.
        bias_: (k,) of the affine map.
        network_: Of "mlp" "input" (d, h), "input_bias", "output" (h, k) and "output_bias"; else empty.

    Example:
        >>> new = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
        >>> old = new[:, ::-1] @ np.eye(4, 6, dtype=np.float32)
        >>> bridge = BridgeAdapter("procrustes", target={"provider": "old", "model": "v1", "dimension": 6})
        >>> bool(np.allclose(bridge.fit(new, old).transform(new), normalize(old), atol=1e-5))
        True
        >>> bridge.dimension, bridge.output_dimension
        (4, 6)
    """

    type: ClassVar[str] = "bridge"
    side = "both"

    def __init__(
        self,
        kind: Literal["procrustes", "affine", "mlp"] = "affine",
        *,
        pull: float = 1.0,
        rank: int | None = None,
        hidden: int = 512,
        max_epochs: int = 20,
        learning_rate: float = 1e-3,
        seed: int = 0,
        target: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.pull = pull
        self.rank = rank
        self.hidden = hidden
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.seed = seed
        self.target = target

    rotation_: Vectors
    matrix_: Vectors
    bias_: Vectors
    network_: Parameters

    @property
    def dimension(self) -> int | None:
        """Dimension of the embeddings that are mapped."""
        return int(self._fitted().rotation_.shape[0])

    @property
    def output_dimension(self) -> int | None:
        """Dimension of the space that they are mapped into."""
        return int(self._fitted().rotation_.shape[1])

    def fit(self, queries: Any, documents: Any, *, pairs: Any = None) -> Self:
        """Learn the bridge from texts that both encoders have embedded.

        Args:
            queries: (n, d) by the encoder that is mapped.
            documents: (m, k) by the one whose space is the goal; without `pairs`, row i is of the same text as row i.
            pairs: (p, 2) rows of the one and of the other that are of the same text.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: The arrays do not fit together.
        """
        self._check()
        self._forget()
        source, goal = self._aligned(queries, documents, pairs)
        self.rotation_ = self.matrix_ = scaled_rotation(source, goal)
        self.bias_ = np.zeros(goal.shape[1], dtype=np.float32)
        self.network_ = {}
        if self.kind != "procrustes":
            self.matrix_, self.bias_ = affine(source, goal, self.rotation_, pull=self.pull, rank=self.rank)
        if self.kind == "mlp":
            self.network_ = network(
                source, goal, (self.matrix_, self.bias_),
                hidden=self.hidden, epochs=self.max_epochs, learning_rate=self.learning_rate, seed=self.seed,
            )  # fmt: skip
        return self

    def _aligned(self, queries: Any, documents: Any, pairs: Any) -> tuple[Vectors, Vectors]:
        """Give row for row what is mapped (p, d) and where to (p, k), of length 1."""
        source, goal = as_vectors(queries, "queries"), as_vectors(documents, "documents")
        width, wanted = source.shape[1], (self.target or {}).get("dimension") or source.shape[1]
        if goal.shape[1] != wanted:
            known = (
                f"{self.target['model']!r} has {wanted}" if self.target else f"without a target {wanted} are expected"
            )
            raise DataError(
                f"The queries have {width} dimensions and the documents {goal.shape[1]}; {known}. Name the encoder of "
                "the documents: BridgeAdapter(target=encoder.spec.to_dict())"
            )
        # Padded to one dimension, so that the checks of all adapters serve here.
        most = max(width, wanted)
        padded, wide = (np.pad(rows, ((0, 0), (0, most - rows.shape[1]))) for rows in (source, goal))
        checked = check_pairs(padded, wide, pairs=pairs)
        first, second = checked.pairs.T
        return checked.queries[first, :width], checked.documents[second, :wanted]

    def changes(self, side: Side) -> bool:
        """Tell that embeddings of both sides are mapped."""
        return True

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Give "rotation" (d, k), but for "procrustes" "matrix" (d, k) and "bias" (k,), and the network of "mlp"."""
        self._fitted()
        if self.kind == "procrustes":
            return {"rotation": self.rotation_}
        return {"rotation": self.rotation_, "matrix": self.matrix_, "bias": self.bias_, **self.network_}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]], params: Mapping[str, Any]) -> Self:
        """Build a fitted adapter from what `tensors` gave and the constructor's arguments.

        Raises:
            ConfigError: A parameter is impossible.
            DataError: An array has the wrong shape or values that are not finite.
        """
        adapter = cls(**params)
        adapter._check()
        rotation = tensors["rotation"]
        if rotation.ndim != 2:
            raise DataError(f"the rotation has shape {rotation.shape}, expected (d, k)")
        width, wide = rotation.shape
        shapes: dict[str, tuple[int, ...]] = {"rotation": (width, wide)}
        if adapter.kind != "procrustes":
            shapes |= {"matrix": (width, wide), "bias": (wide,)}
        if adapter.kind == "mlp":
            hidden = adapter.hidden
            shapes |= {
                "input": (width, hidden),
                "input_bias": (hidden,),
                "output": (hidden, wide),
                "output_bias": (wide,),
            }
        for name, shape in shapes.items():
            if tensors[name].shape != shape:
                raise DataError(f"{name} has shape {tensors[name].shape}, expected {shape}")
        goal = (adapter.target or {}).get("dimension")
        if goal not in (None, wide):
            raise DataError(f"the weights lead to {wide} dimensions, and the target is said to have {goal}")
        check_finite({name: tensors[name] for name in shapes})
        adapter.rotation_, adapter.matrix_ = rotation, tensors.get("matrix", rotation)
        adapter.bias_ = tensors.get("bias", np.zeros(wide, dtype=np.float32))
        adapter.network_ = {name: tensors[name] for name in _NETWORK} if adapter.kind == "mlp" else {}
        return adapter

    def _fitted(self) -> Self:
        if not hasattr(self, "rotation_"):
            raise self._not_fitted()
        return self

    def _map(self, vectors: Vectors, side: Side) -> Vectors:
        self._fitted()
        mapped = np.empty((len(vectors), self.rotation_.shape[1]), dtype=np.float32)
        for first in range(0, len(vectors), _BLOCK):
            rows = slice(first, first + _BLOCK)
            unit = normalize(vectors[rows])
            mapped[rows] = unit @ self.matrix_ + self.bias_
            if self.network_:
                mapped[rows] += network_residual(self.network_, unit)
        return normalize(mapped, out=mapped)

    def _frozen(self, unit: Vectors, side: Side) -> Vectors:
        return normalize(unit @ self._fitted().rotation_)

    def to_config(self) -> dict[str, Any]:
        """Give the constructor's arguments as JSON-able values, for config.json."""
        return {**self.get_params(), "target": dict(self.target) if self.target else None}

    def _check(self) -> None:
        problems = impossible(
            self.get_params(),
            choices={"kind": ("procrustes", "affine", "mlp")},
            at_least={"rank": 1, "hidden": 1, "max_epochs": 1},
            positive=("pull", "learning_rate"),
        )
        if self.target is not None and not (isinstance(self.target, Mapping) and "model" in self.target):
            problems.append(f"target must be what encoder.spec.to_dict() gives, got {self.target!r}")
        if problems:
            raise ConfigError(problems)
