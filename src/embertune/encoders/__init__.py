"""Floor 3: who computes the embedding."""

from __future__ import annotations

from embertune.encoders.base import Encoder, TextEncoder
from embertune.encoders.cache import VectorCache
from embertune.encoders.cost import Cost
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec

__all__ = ["Cost", "Encoder", "EncoderSpec", "TextEncoder", "VectorCache", "load_encoder"]
