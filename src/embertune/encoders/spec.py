"""What must match between training and serving: which model made the vectors, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from embertune.errors import ConfigError

__all__ = ["EncoderSpec"]


@dataclass(frozen=True)
class EncoderSpec:
    """The identity of an encoder, as it is written into records and saved adapters.

    Attributes:
        provider: Who computes, as in ``load_encoder`` ("openai", "sentence-transformers", "static").
        model: The model's name at the provider.
        revision: The exact version, where the provider has one.
        dimension: Length of a vector; None until the first text was embedded, where the provider does not say.
        query_prompt: What is put before every query.
        document_prompt: What is put before every document.
        normalized: Whether every vector is scaled to length 1.

    Example:
        >>> spec = EncoderSpec("openai", "text-embedding-3-small", dimension=1536)
        >>> print(spec)
        openai/text-embedding-3-small (1536 dimensions)
        >>> EncoderSpec.from_dict(spec.to_dict()) == spec
        True
    """

    provider: str
    model: str
    revision: str | None = None
    dimension: int | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    normalized: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Give the fields as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderSpec:
        """Rebuild a spec from what `to_dict` gave.

        Raises:
            ConfigError: A field is missing or unknown.
        """
        known = {field.name for field in fields(cls)}
        problems = [f"the encoder's {name!r} is missing" for name in ("provider", "model") if name not in values]
        problems += [
            f"unknown field {name!r} of an encoder; known: {', '.join(sorted(known))}"
            for name in values
            if name not in known
        ]
        if problems:
            raise ConfigError(problems)
        return cls(**values)

    def differences(self, other: EncoderSpec) -> list[str]:
        """Say in what the other encoder is not this one.

        A revision or dimension that one of the two does not know is no difference.

        Args:
            other: The encoder to compare with.

        Returns:
            One phrase per field, such as "dimension 1536 here, 256 there"; empty when vectors of the two may be mixed.

        Example:
            >>> EncoderSpec("openai", "a", dimension=8).differences(EncoderSpec("openai", "b", dimension=4))
            ["model 'a' here, 'b' there", 'dimension 8 here, 4 there']
        """
        found = []
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            unknown = field.name in ("revision", "dimension") and None in (mine, theirs)
            if mine != theirs and not unknown:
                found.append(f"{field.name} {mine!r} here, {theirs!r} there")
        return found

    def __str__(self) -> str:
        """Give the name and, where it is known, the dimension."""
        name = f"{self.provider}/{self.model}" if self.model else self.provider
        return name if self.dimension is None else f"{name} ({self.dimension} dimensions)"
