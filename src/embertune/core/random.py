"""One seed, many independent generators, each with a name."""

from __future__ import annotations

import hashlib

import numpy as np

from embertune.errors import ConfigError

__all__ = ["generator"]


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Give the random generator that belongs to a purpose.

    Generators of different names are independent, so drawing one more bootstrap sample does
    not move the split. No global seed is read or set.

    Args:
        seed: The one seed of the experiment, 0 or more.
        names: The purpose, such as ``"split"`` or ``"bootstrap", 3``.

    Raises:
        ConfigError: The seed is negative or no whole number.

    Example:
        >>> int(generator(0, "split").integers(100)) == int(generator(0, "split").integers(100))
        True
        >>> generator(0, "split").random() == generator(0, "bootstrap").random()
        False
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed must be a whole number, 0 or more, got {seed!r}")
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
