"""The queries that training data may be made of."""

from __future__ import annotations

from collections import Counter

from embertune.data.dataset import Dataset
from embertune.errors import DataError
from embertune.recipes.judged_queries import check_part

__all__ = ["training_queries"]


def training_queries(dataset: Dataset, part: str | None = None) -> Dataset:
    """Give the judged queries of one part; the corpus stays whole.

    Args:
        dataset: Any.
        part: "train", "dev", "test" or "all"; None is train where the data has a split, else all. What is made of test
            queries must not train: it would be judged on what it has seen.

    Raises:
        ConfigError: There is no such part.
        DataError: No judged query belongs to it.

    Example:
        >>> data = Dataset.from_pairs([("a", "x"), ("b", "y")])
        >>> len(training_queries(data).queries)
        2
    """
    check_part(part)
    part = part or ("train" if dataset.parts else "all")
    chosen = [query for query in dataset.judged if part == "all" or dataset.parts.get(query) == part]
    if not chosen:
        counts = Counter(dataset.parts.values())
        found = ", ".join(f"{name} {count}" for name, count in counts.items()) or "no split"
        raise DataError(
            f"{dataset.name} has no query with a relevant document in the part {part!r} (it has {found}). "
            "Name another part, or part='all' (--part all)."
        )
    return dataset.select(chosen)
