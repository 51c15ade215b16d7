"""What a teacher says about triplets: by how much a positive should lead over a negative."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.core.paths import as_path
from embertune.core.search import Positions
from embertune.data.builder import as_text
from embertune.data.columns import recognise_columns
from embertune.data.dataset import Dataset
from embertune.data.document import Document
from embertune.data.lines import read_json_lines
from embertune.data.texts import counted, shortened
from embertune.errors import DataError

__all__ = ["Margins"]


@dataclass(frozen=True, eq=False)
class Margins:
    """Triplets with the margins that a teacher gives them: what margin losses take.

    Embed `dataset`, and ``margin_mse(queries, documents, triplets, margins)`` is the loss.

    Example:
        >>> taught = Margins.from_rows([("why", "so", "no", 7.5), ("why", "so", "perhaps", 2.0)])
        >>> taught.triplets.tolist(), taught.margins.tolist(), taught.dataset.positives("q1")
        ([[0, 0, 1], [0, 0, 2]], [7.5, 2.0], ['d1'])
    """

    dataset: Dataset
    """The texts; positives have the grade 1, negatives 0."""
    triplets: Positions
    """(t, 3) positions of a query in ``dataset.queries``, of a positive and of a negative in ``dataset.corpus``."""
    margins: npt.NDArray[np.float64]
    """(t,) the teacher's score of the positive less that of the negative."""

    def __len__(self) -> int:
        """How many triplets there are."""
        return len(self.triplets)

    def scores(self) -> dict[str, dict[str, float]]:
        """Give query id -> document id -> score, which ``tune(dataset, scores=...)`` takes.

        A margin is a difference, so the first positive of each query has 0 and only differences mean something.

        Example:
            >>> Margins.from_rows([("why", "so", "no", 7.5), ("why", "yes", "no", 2.0)]).scores()
            {'q1': {'d1': 0.0, 'd2': -7.5, 'd3': -5.5}}
        """
        queries, documents = list(self.dataset.queries), list(self.dataset.corpus)
        found: dict[str, dict[str, float]] = {}
        for (query, positive, negative), margin in zip(self.triplets.tolist(), self.margins.tolist(), strict=True):
            own = found.setdefault(queries[query], {})
            one, other = documents[positive], documents[negative]
            if one not in own:
                own[one] = own[other] + margin if other in own else 0.0
            own.setdefault(other, own[one] - margin)
        return found

    def scores_of(self, dataset: Dataset) -> dict[str, dict[str, float]]:
        """Give the scores by the ids of another data set, in which the same texts stand.

        Args:
            dataset: Its queries and documents are found by their texts; a document's with or without its title.

        Raises:
            DataError: A query or a document is not in it.

        Example:
            >>> data = Dataset.from_pairs([("when", "no"), ("why", "so")])
            >>> Margins.from_rows([("why", "so", "no", 7.5)]).scores_of(data)
            {'q2': {'d2': 0.0, 'd1': -7.5}}
        """
        queries = {text.strip(): query_id for query_id, text in reversed(list(dataset.queries.items()))}
        documents: dict[str, str] = {}
        for identifier, document in reversed(list(dataset.corpus.items())):
            documents |= {document.text.strip(): identifier, document.content.strip(): identifier}
        mine = {identifier: document.text for identifier, document in self.dataset.corpus.items()}
        missing = [text for text in self.dataset.queries.values() if text not in queries]
        absent = [text for text in mine.values() if text not in documents]
        if missing or absent:
            raise DataError(
                f"{counted(len(missing), 'query', 'queries')} and {counted(len(absent), 'document')} of "
                f"{self.dataset.name} are not in {dataset.name} (such as {shortened([*missing, *absent][0])!r}). "
                "Expected the scores of this data: embertune pseudo-label DATA --out taught.jsonl"
            )
        return {
            queries[self.dataset.queries[query]]: {documents[mine[each]]: score for each, score in values.items()}
            for query, values in self.scores().items()
        }

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]], *, name: str = "margins") -> Margins:
        """Make them of rows.

        Args:
            rows: (query, positive, negative, margin) each.
            name: What reports call the data set.

        Raises:
            DataError: A row is not such a row, a text is empty, or a margin is not a finite number.
        """
        triplets, margins = [], []
        for number, row in enumerate(rows, start=1):
            if isinstance(row, (str, bytes, Mapping)) or not hasattr(row, "__len__") or len(row) != 4:
                raise DataError(
                    f"Row {number} is {shortened(repr(row))}. Expected 4 values: (query, positive, negative, margin)."
                )
            texts = [as_text(value, f"Row {number}").strip() for value in row[:3]]
            if not all(texts):
                raise DataError(f"Row {number} has an empty text. Expected a query, a positive and a negative.")
            triplets.append(texts)
            margins.append(_number(row[3], f"Row {number}: the margin"))
        dataset = Dataset.from_triplets(triplets, name=name)
        query_at = {text: at for at, text in enumerate(dataset.queries.values())}
        document_at = {document: at for at, document in enumerate(dataset.corpus.values())}
        positions = [(query_at[q], document_at[Document(p)], document_at[Document(n)]) for q, p, n in triplets]
        return cls(dataset, np.array(positions, dtype=np.intp), np.array(margins, dtype=np.float64))

    @classmethod
    def read(cls, path: str | Path, *, columns: Mapping[str, str | Sequence[str]] | None = None) -> Margins:
        r"""Read them from JSONL: a query, a positive, negatives, and `margin` or `scores`.

        `margin` is a number, or a list with one for each negative. `scores` is a list, the positive's first, as
        sentence-transformers' ``mine_hard_negatives(..., output_scores=True)`` writes it.

        Args:
            path: The file.
            columns: As in `embertune.load_dataset`.

        Raises:
            DataError: The file is missing or broken, or a row has no margin.

        Example:
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     path = Path(folder, "taught.jsonl")
            ...     _ = path.write_text('{"query": "why", "positive": "so", "negative": "no", "scores": [9, 2]}\n')
            ...     Margins.read(path).margins.tolist()
            [7.0]
        """
        source = as_path(path)
        rows = list(read_json_lines(source))
        if not rows:
            raise DataError(f'{source} is empty. Expected rows such as {{"query": …, "positive": …, "negative": …, '
                            '"margin": 3.2}.')  # fmt: skip
        found = recognise_columns(list(dict.fromkeys(key for _, row in rows for key in row)), columns, str(source))
        if not found.negatives:
            raise DataError(f"{source} has no column for the negative. Expected negative, or negative_1, negative_2, …")
        read = (
            (row.get(found.query), row.get(found.document), negative, margin)
            for number, row in rows
            for negative, margin in _taught(row, found.negatives, f"{source}:{number}")
        )
        return cls.from_rows(read, name=source.stem)


def _taught(row: Mapping[str, Any], columns: Sequence[str], place: str) -> Iterator[tuple[Any, float]]:
    """The negatives of a row, each with its margin."""
    cells = [row[column] for column in columns if row.get(column) is not None]
    negatives = [text for cell in cells for text in (cell if isinstance(cell, list) else [cell])]
    if "margin" in row:
        told = row["margin"] if isinstance(row["margin"], list) else [row["margin"]]
        margins = [_number(value, f"{place}: margin") for value in told]
    elif isinstance(row.get("scores"), list) and row["scores"]:
        own, *others = (_number(value, f"{place}: scores") for value in row["scores"])
        margins = [own - other for other in others]
    else:
        raise DataError(
            f"{place}: found the keys {', '.join(row)}, and no margin. Expected `margin`, a number, or `scores`, a "
            "list with that of the positive first. Write such a file: embertune pseudo-label DATA --out FILE"
        )
    if len(margins) != len(negatives):
        raise DataError(f"{place}: found {len(margins)} margins for {len(negatives)} negatives. Expected one for each.")
    return zip(negatives, margins, strict=True)


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise DataError(f"{place} holds {shortened(repr(value), 40)}. Expected a finite number.")
    return number
