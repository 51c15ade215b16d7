"""Floor 2: maps after the encoder, trained and served with numpy."""

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter, check_pairs
from embertune.adapters.bridge import BridgeAdapter
from embertune.adapters.chain import Chain
from embertune.adapters.document import DocumentAdapter
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.adapters.mlp import MLPAdapter
from embertune.adapters.orthogonal import OrthogonalAdapter
from embertune.adapters.truncation import TruncationAdapter
from embertune.adapters.whitening import WhiteningAdapter

__all__ = [
    "Adapter",
    "BridgeAdapter",
    "Chain",
    "DocumentAdapter",
    "IdentityAdapter",
    "LinearAdapter",
    "MLPAdapter",
    "OrthogonalAdapter",
    "TruncationAdapter",
    "WhiteningAdapter",
    "check_pairs",
    "load_adapter",
]
