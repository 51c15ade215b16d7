"""FAISS: a new index file beside the old one, of the same kind, trained anew; at the switch it takes the name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.core.files import replacing
from embertune.core.vectors import Vectors, as_vectors
from embertune.errors import StoreError
from embertune.integrations.address import Address, guarded
from embertune.recipes.vector_store import Batch, Metric, Space

__all__ = ["FaissStore"]

# IVF and PQ learn from at most 256 points per centroid; more are left out by FAISS itself.
_MOST_TRAINING = 262_144


@guarded("FAISS")
class FaissStore:
    """An index file NAME.faiss, NAME.tuned.faiss beside it, and NAME.base.faiss, the old one after a switch.

    Rows are known by their position, or by the ids of an IndexIDMap; a text file with one id per line says what data
    sets call them. What is transformed waits in NAME.tuned.faiss.rows until all is there and the index is built.

    Args:
        address: The file, and if need be `?ids=FILE.txt`, `vectors=FILE.npy`: the vectors as they were before an index
            with product quantization rounded them.
    """

    def __init__(self, address: Address) -> None:
        self._file, options = Path(address.place), address.options
        self._address, self.label, self.address = address, address.label, str(self._file)
        self._old = self._file.with_suffix(f".base{self._file.suffix}")
        out = options.get("out")
        self._out = self._file.with_name(out) if out else self._file.with_suffix(f".tuned{self._file.suffix}")
        self._rows = Path(f"{self._out}.rows")
        if not self._file.is_file():
            raise StoreError(f"There is no file {self._file}. Expected an index that faiss.write_index wrote.")
        self._faiss = require("faiss", extra="faiss", purpose="Reading a FAISS index")
        self._index = self._faiss.read_index(os.fspath(self.where("base")))
        self.metric: Metric = "dot" if self._index.metric_type == self._faiss.METRIC_INNER_PRODUCT else "euclidean"
        self._plain, self._ids = self._unwrapped(self._index)
        self._originals = np.load(options["vectors"], mmap_mode="r") if "vectors" in options else None
        self.exact = self._stores_whole(self._plain)
        self._names = self._read_names(options.get("ids"))

    def _unwrapped(self, index: Any) -> tuple[Any, Any]:
        """Give the index below an IndexIDMap, and the ids that it maps to."""
        if isinstance(index, self._faiss.IndexIDMap | self._faiss.IndexIDMap2):
            return self._faiss.downcast_index(index.index), self._faiss.vector_to_array(index.id_map)
        return index, None

    def _stores_whole(self, index: Any) -> bool:
        kinds = ("IndexFlat", "IndexFlatIP", "IndexFlatL2", "IndexHNSWFlat", "IndexIVFFlat")
        return type(index).__name__ in kinds

    def _read_names(self, file: str | None) -> list[str]:
        if file is None:
            return [str(each) for each in (range(self._index.ntotal) if self._ids is None else self._ids)]
        names = Path(file).read_text(encoding="utf-8").splitlines()
        if len(names) != self._index.ntotal:
            raise StoreError(
                f"{file} has {len(names)} lines and {self._file} {self._index.ntotal} vectors. Expected one id per "
                "line, in the order in which vectors were added."
            )
        return names

    @property
    def live(self) -> Space:
        """Tuned, while the file is another one than the old."""
        return "tuned" if self._old.exists() and not self._old.samefile(self._file) else "base"

    def where(self, space: Space) -> str:
        """Give the file."""
        if space == "base":
            return str(self._old if self.live == "tuned" else self._file)
        return str(self._out)

    def _staged(self) -> Vectors | None:
        """Give the rows that wait; what a crash cut off behind them is no row."""
        size = Path(f"{self._rows}.width")
        if not self._rows.exists() or not size.exists():
            return None
        width = int(size.read_text())
        count = self._rows.stat().st_size // (4 * width)
        if not count:
            return np.empty((0, width), dtype=np.float32)
        return np.memmap(self._rows, dtype=np.float32, mode="r", shape=(count, width))

    def count(self, space: Space) -> int:
        """Count rows, of the finished index or those that wait."""
        if space == "base":
            return int(self._index.ntotal)
        if self._out.exists():
            return int(self._faiss.read_index(os.fspath(self._out)).ntotal)
        staged = self._staged()
        return 0 if staged is None else len(staged)

    def _all(self, space: Space) -> Any:
        if space == "base" and self._originals is not None:
            return self._originals
        staged = self._staged() if space == "tuned" and not self._out.exists() else None
        if staged is not None:
            return staged
        whole = self._index if space == "base" else self._faiss.read_index(os.fspath(self._out))
        plain, _ = self._unwrapped(whole)
        ivf = self._faiss.try_extract_index_ivf(plain)
        if ivf is not None:
            ivf.make_direct_map()
        return _Rows(whole, plain)

    def read(self, space: Space, size: int) -> Iterator[Batch]:
        """Walk along positions."""
        rows, total = self._all(space), self.count(space)
        for start in range(0, total, size):
            at = list(range(start, min(start + size, total)))
            yield Batch(at, as_vectors(rows[start : at[-1] + 1]), [self._names[each] for each in at])

    def present(self, ids: Sequence[Any]) -> set[Any]:
        """Compare positions with how many rows there are."""
        count = self.count("tuned")
        return {each for each in ids if each < count}

    def fetch(self, space: Space, ids: Sequence[Any]) -> dict[Any, Vectors]:
        """Take rows by position."""
        rows, total = self._all(space), self.count(space)
        return {each: np.array(rows[each : each + 1][0]) for each in ids if each < total}

    def create(self, dimension: int) -> None:
        """Make the file of rows that wait, or cut off what a crash left half."""
        if self._out.exists():
            return
        Path(f"{self._rows}.width").write_text(str(dimension))
        with open(self._rows, "ab") as file:
            file.truncate(file.tell() // (4 * dimension) * 4 * dimension)

    def write(self, batch: Batch) -> None:
        """Append rows in the order of their positions."""
        with open(self._rows, "ab") as file:
            file.write(np.ascontiguousarray(batch.vectors, dtype=np.float32).tobytes())
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        """Build the index in memory, and put its file in place whole."""
        staged = self._staged()
        if not self._out.exists() and staged is not None:
            index = self._empty(staged.shape[1])
            if not index.is_trained:
                index.train(np.array(staged[:: -(-len(staged) // _MOST_TRAINING)]))
            index.add(np.asarray(staged)) if self._ids is None else index.add_with_ids(np.asarray(staged), self._ids)
            with replacing(self._out) as file:
                file.write(self._faiss.serialize_index(index).tobytes())
        for each in (self._rows, Path(f"{self._rows}.width")):
            each.unlink(missing_ok=True)

    def _empty(self, dimension: int) -> Any:
        """Give an index of the same kind and settings without rows, untrained."""
        if dimension != self._index.d:
            raise StoreError(
                f"The adapter gives {dimension} dimensions and {self._file} has {self._index.d}: an index of another "
                "dimension is another index. Build one: faiss.index_factory"
            )
        index = self._faiss.clone_index(self._index)
        index.reset()
        plain, _ = self._unwrapped(index)
        ivf = self._faiss.try_extract_index_ivf(plain)
        if ivf is not None:
            # Centroids of the old vectors would stand where the new ones are not; how to train is not in the file.
            ivf.cp.spherical = self.metric == "dot"
            self._faiss.downcast_index(ivf.quantizer).reset()
            for each in (self._faiss.downcast_index(ivf), plain, index):
                each.is_trained = False
        return index

    def search(self, space: Space, queries: Vectors, k: int) -> list[list[str]]:
        """Search with the settings that were saved with the index."""
        index = self._index if space == "base" else self._faiss.read_index(os.fspath(self._out))
        known = {int(each): at for at, each in enumerate(self._ids)} if self._ids is not None else None
        found = index.search(np.ascontiguousarray(queries, dtype=np.float32), k)[1].tolist()
        return [[self._names[at if known is None else known[at]] for at in row if at >= 0] for row in found]

    def switch(self) -> None:
        """Keep the old file under another name, and let the new one take its place in one step."""
        if self.live == "tuned":
            return
        self._old.unlink(missing_ok=True)
        os.link(self._file, self._old)
        self._take(self._out)

    def rollback(self) -> None:
        """Let the old file take its place again in one step."""
        if self.live == "tuned":
            self._take(self._old)
            self._old.unlink()

    def _take(self, source: Path) -> None:
        staging = self._file.with_name(f".{self._file.name}.switch")
        staging.unlink(missing_ok=True)
        os.link(source, staging)
        os.replace(staging, self._file)

    def close(self) -> None:
        """Let the index go."""
        del self._index, self._plain


class _Rows:
    """The vectors of an index by slices."""

    def __init__(self, whole: Any, index: Any) -> None:
        # The inner index of an IndexIDMap dies with the outer one.
        self._whole, self._index = whole, index

    def __getitem__(self, rows: slice) -> Vectors:
        """Give rows (n, d), as the index has kept them."""
        found: Vectors = self._index.reconstruct_n(rows.start, rows.stop - rows.start)
        return found
