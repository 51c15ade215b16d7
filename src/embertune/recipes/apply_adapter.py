"""Write what an adapter makes of stored vectors beside them, and lead applications there and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter
from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors, lengths
from embertune.errors import ConfigError, StoreError
from embertune.recipes.vector_store import VectorStore

__all__ = ["Applied", "apply_adapter", "roll_back"]

_SAMPLE = 1000
# Stored float32 comes back bit by bit; a database that scales to length 1 once more moves the last bits.
_TOLERANCE = 1e-5
# Below this the largest difference in one direction is what scaling to length 1 does, no adapter.
_UNCHANGED, _PEEK = 1e-6, 8


@dataclass(frozen=True)
class Applied:
    """What stands in the database now; printing it says so.

    Attributes:
        store: The database, without a password.
        source: Where the vectors are that were read.
        target: Where those are that the adapter made of them.
        rows: How many there are.
        written: How many of them this call wrote; the others were there.
        changed: Of those written, how many point elsewhere than before.
        checked: How many were read back and compared.
        dimension: Of the new ones.
        address: The name that an application reads.
        live: Whether it leads to "base" or "tuned" vectors.
    """

    store: str
    source: str
    target: str
    rows: int
    written: int
    changed: int
    checked: int
    dimension: int
    address: str
    live: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        """Say what was written, what was checked, and what comes next."""
        there = self.rows - self.written
        lines = [
            f"{self.rows:,} vectors of {self.dimension} dimensions in {self.target}, beside {self.source}",
            f"of {self.store}",
            f"written now: {self.written:,} ({self.changed:,} point elsewhere than before)"
            + (f"; already there: {there:,}" if there else ""),
            "checked: counts are equal"
            + (f", {self.checked:,} vectors read back are right" if self.checked else ", vectors come back rounded"),
            f"live: {self.address} leads to the {'tuned' if self.live == 'tuned' else 'old'} vectors",
        ]
        after = "back: apply --store URL --rollback" if self.live == "tuned" else "next: evaluate, then --switch"
        return "\n".join([*lines, after])


def apply_adapter(
    adapter: Adapter | str | Path,
    store: VectorStore,
    *,
    batch_size: int = 2048,
    strength: float | None = None,
    switch: bool = False,
    progress: Progress = silent,
) -> Applied:
    """Transform every stored vector into a new place beside it; call it again after a crash, and it goes on.

    What has a tuned vector is not written again, and before anything is added to what is there, some of it is compared
    with what this adapter gives: two adapters never mix. At the end counts are compared and up to a thousand vectors
    read back.

    Args:
        adapter: One that maps documents, or the folder of one.
        store: Where the vectors are; see `embertune.integrations.stores.open_store`.
        batch_size: How many vectors are read, mapped and written at once.
        strength: How much is applied, from 0 (nothing learned) to 1 (as trained); None: as saved.
        switch: Lead applications to the new vectors at the end.
        progress: Told of rows.

    Raises:
        ArtifactError: The adapter cannot be read.
        ConfigError: The adapter leaves documents alone, or `batch_size` is below 1.
        DataError: The vectors have another dimension than the adapter takes.
        StoreError: The database refused, or holds vectors of another adapter.

    Example:
        >>> from embertune.adapters.identity import IdentityAdapter
        >>> apply_adapter(IdentityAdapter(), store=None)
        Traceback (most recent call last):
        ...
        embertune.errors.ConfigError: This IdentityAdapter leaves documents as they are: nothing has to be written. \
Adapt queries instead: adapter.transform(vector, "query"), or embertune serve --adapter DIR
    """
    loaded = adapter if isinstance(adapter, Adapter) else load_adapter(adapter)
    if not loaded.changes("document"):
        raise ConfigError(
            f"This {type(loaded).__name__} leaves documents as they are: nothing has to be written. Adapt queries "
            'instead: adapter.transform(vector, "query"), or embertune serve --adapter DIR'
        )
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    loaded = loaded if strength is None else loaded.scaled(strength)
    total = store.count("base")
    if not total:
        raise StoreError(f"{store.where('base')} of {store.label} holds no vectors. Name another one.")
    begun = store.count("tuned") > 0
    if begun and store.exact:
        _check_kin(loaded, store)
    written, changed, sample = _write(loaded, store, batch_size, total, begun, progress)
    progress("index", 0)
    store.finish()
    checked, width = _verify(store, sample)
    if switch:
        store.switch()
    return Applied(
        store.label, store.where("base"), store.where("tuned"), total, written, changed, checked, width,
        store.address, store.live,
    )  # fmt: skip


def roll_back(store: VectorStore) -> dict[str, str]:
    """Lead applications back to the vectors as they were; the tuned ones stay beside them.

    Args:
        store: Where they are.

    Returns:
        {"store", "address", "live"}.

    Raises:
        StoreError: The database refused.
    """
    store.rollback()
    return {"store": store.label, "address": store.address, "live": store.live}


def _check_kin(adapter: Adapter, store: VectorStore) -> None:
    """Refuse to add to vectors that this adapter did not make."""
    there = next(store.read("tuned", 64))
    before = store.fetch("base", there.ids)
    known = [row for row, each in enumerate(there.ids) if each in before]
    if known:
        mapped = adapter.transform(np.stack([before[there.ids[row]] for row in known]), "document")
        _compare(store, [there.names[row] for row in known], mapped, there.vectors[known])


def _write(
    adapter: Adapter, store: VectorStore, size: int, total: int, begun: bool, progress: Progress
) -> tuple[int, int, dict[Any, Vectors]]:
    """Write what is missing; give how many, how many changed, and what some of all should be."""
    seen = written = changed = 0
    sample: dict[Any, Vectors] = {}
    stride = -(-total // _SAMPLE)
    for batch in store.read("base", size):
        there = store.present(batch.ids) if begun else set()
        missing = [row for row, each in enumerate(batch.ids) if each not in there]
        drawn = range(-seen % stride, len(batch.ids), stride)
        rows = sorted({*missing, *drawn})
        if rows:
            taken = batch if len(rows) == len(batch.ids) else batch.select(rows)
            mapped = adapter.transform(taken.vectors, "document")
            at = {row: place for place, row in enumerate(rows)}
            # Copies: views would keep every batch in memory.
            sample.update({batch.ids[row]: mapped[at[row]].copy() for row in drawn})
            if not written:
                store.create(mapped.shape[1])
        if missing:
            made = taken.with_vectors(mapped)
            if len(missing) < len(rows):
                new = [at[row] for row in missing]
                taken, made = taken.select(new), made.select(new)
            store.write(made)
            changed += _moved(taken.vectors, made.vectors)
            written += len(missing)
        seen += len(batch.ids)
        progress("apply", seen, total, f"{written:,} written")
    return written, changed, sample


def _moved(before: Vectors, after: Vectors) -> int:
    if before.shape[1] != after.shape[1]:
        return len(before)
    # Most rows differ in their first numbers already, and the others are few.
    length = lengths(before)[:, None]
    alike = np.flatnonzero(_apart(before[:, :_PEEK] / length, after[:, :_PEEK]) <= _UNCHANGED)
    same = _apart(before[alike] / length[alike], after[alike]) <= _UNCHANGED
    return len(before) - int(np.count_nonzero(same))


def _apart(before: Vectors, after: Vectors) -> Vectors:
    return np.asarray(np.abs(before - after).max(axis=1))


def _verify(store: VectorStore, sample: dict[Any, Vectors]) -> tuple[int, int]:
    """Compare counts, and what some vectors are with what they should be."""
    base, tuned = store.count("base"), store.count("tuned")
    if base != tuned:
        raise StoreError(
            f"{store.where('tuned')} holds {tuned:,} vectors and {store.where('base')} {base:,} ({store.label}). "
            "If the application adds documents, run the same command again; if it has deleted some, write to a new "
            "place with --out-name NAME."
        )
    width = len(next(iter(sample.values())))
    if not store.exact:
        return 0, width
    found = store.fetch("tuned", list(sample))
    lost = [each for each in sample if each not in found]
    if lost:
        raise StoreError(
            f"{len(lost)} of {len(sample)} vectors that were written to {store.where('tuned')} could not be read back "
            f"(such as {lost[0]!r}). Run the same command again."
        )
    ids = list(sample)
    _compare(store, list(map(str, ids)), np.stack([sample[i] for i in ids]), np.stack([found[i] for i in ids]))
    return len(ids), width


def _compare(store: VectorStore, names: list[str], expected: Vectors, found: Vectors) -> None:
    same = expected.shape == found.shape
    wrong = np.flatnonzero(np.abs(expected - found).max(axis=1) > _TOLERANCE) if same else range(len(names))
    if len(wrong):
        raise StoreError(
            f"{len(wrong)} of {len(names)} vectors looked at in {store.where('tuned')} are not what this adapter makes "
            f"of those in {store.where('base')} (such as {names[wrong[0]]!r}; {store.label}). They are of another "
            "adapter, or their documents have changed since. Write to a new place: --out-name NAME"
        )
