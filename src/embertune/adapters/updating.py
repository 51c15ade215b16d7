"""Going on from a fitted adapter when new labels arrive, with a pull to it instead of to the identity."""

from __future__ import annotations

from typing import Any

import numpy as np

from embertune.adapters.base import Adapter
from embertune.adapters.chain import Chain
from embertune.adapters.gate import Gate
from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter

__all__ = ["updated"]


def updated(
    adapter: Adapter, queries: Any, documents: Any, *, pairs: Any = None, pull: float = 0.1, gated: bool = True
) -> Adapter:
    """Fit a map of queries behind an adapter; what a strong pull leaves is that adapter.

    Stored documents stay as the adapter left them, so no stored vector is written again.

    Args:
        adapter: A fitted one of any family; it is not changed.
        queries: (n, d), as its encoder gives them.
        documents: (m, d); without `pairs`, row i answers query i.
        pairs: (p, 2) positions of a query and of one of its positives.
        pull: Strength of the pull to the adapter; see `LinearAdapter`.
        gated: Queries unlike these get what the adapter gives, unchanged.

    Returns:
        The adapter and the new map as a `Chain`; where both are ungated linear maps, as one of these.

    Raises:
        ConfigError: `pull` is not positive.
        DataError: The arrays do not fit together.

    Example:
        >>> shipped = LinearAdapter(pull=0.01).fit(np.eye(3), np.eye(3)[::-1])
        >>> more = updated(shipped, np.eye(3), np.eye(3), pull=1e6, gated=False)
        >>> type(more).__name__, bool(np.allclose(more.transform(np.eye(3)), shipped.transform(np.eye(3)), atol=1e-4))
        ('LinearAdapter', True)
    """
    asked = adapter.transform(queries, "query")
    link = LinearAdapter(pull=pull).fit(asked, adapter.transform(documents, "document"), pairs=pairs)
    found = _joined(adapter, link.gated(Gate.fit(asked)) if gated else link)
    found.encoder, found.canaries = adapter.encoder, adapter.canaries
    return found


def _joined(adapter: Adapter, link: LinearAdapter) -> Adapter:
    if isinstance(adapter, IdentityAdapter):
        return link
    if _is_plain(adapter) and link.gate is None:
        return _product(adapter, link)
    plain = type(adapter) is Chain and adapter.strength == 1 and adapter.gate is None and adapter.document_gate is None
    links = [*adapter._links(), link] if plain and isinstance(adapter, Chain) else [adapter, link]
    return Chain(links)


def _is_plain(adapter: Adapter) -> bool:
    no_gate = adapter.gate is None and adapter.document_gate is None
    return type(adapter) is LinearAdapter and adapter.strength == 1 and no_gate


def _product(first: Any, second: LinearAdapter) -> LinearAdapter:
    """Give ``(I + W)(I + V)`` as one map; scaling rows in between changes no direction."""
    before, after = first.coef_, second.coef_
    tensors = {"query": np.asarray(before + after + before @ after)}
    if first.changes("document"):
        tensors["document"] = first.document_coef_
    params = first.get_params() | {"rank": None, "form": "full", "maps": "separate"}
    return LinearAdapter.from_tensors(tensors, params)
