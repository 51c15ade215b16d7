"""The data of a fine-tuning: read from a file or the hub, sampled, and split into who trains, chooses and judges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.core.random import generator
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.splits import split_dataset
from embertune.errors import ConfigError, DataError
from embertune.recipes.plan import Plan, Trial, make_plan
from embertune.training.finetune.config import FinetuneConfig

__all__ = ["Parts", "read_data", "split_data"]


@dataclass(frozen=True)
class Parts:
    """A data set and its split.

    Attributes:
        dataset: Everything that is used.
        plan: Of three parts.
        train: Who trains.
        dev: Who says which step is best.
    """

    dataset: Dataset
    plan: Plan
    train: Dataset
    dev: Dataset

    @property
    def trial(self) -> Trial:
        """The one trial of the plan."""
        return self.plan.trials[0]


def read_data(data: Dataset | str | Path | Any | None, config: FinetuneConfig) -> Dataset:
    """Read the data that was given, or that the configuration names.

    Raises:
        ConfigError: Neither gives data, or both do.
        DataError: It cannot be read.
    """
    if data is not None and (config.data or config.dataset_name):
        raise ConfigError(f"Data was given, and the configuration names {config.data or config.dataset_name!r}, too.")
    if isinstance(data, Dataset):
        return data
    source = data if data is not None else config.data
    if source is not None:
        return load_dataset(source, columns=config.columns or None)
    if config.dataset_name is None:
        raise ConfigError("There is no data. Type: data=FOLDER_OR_FILE, or dataset_name=NAME of the Hugging Face hub")
    return _from_hub(config)


def _from_hub(config: FinetuneConfig) -> Dataset:
    library = require("datasets", extra="finetune", purpose="A data set of the Hugging Face hub")
    try:
        table = library.load_dataset(config.dataset_name, split=config.dataset_split)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(
            f"The data set {config.dataset_name!r} could not be loaded: {first_line(error)} Check its "
            "name and splits on https://huggingface.co/datasets."
        ) from None
    return Dataset.from_frame(table, config.columns or None, name=str(config.dataset_name))


def split_data(dataset: Dataset, config: FinetuneConfig) -> Parts:
    """Draw the sample and cut the three parts; a model is trained once, so there are no folds, however few there are.

    Raises:
        SplitError: There are too few queries.

    Example:
        >>> data = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(100)])
        >>> parts = split_data(data, FinetuneConfig(sample_size=50))
        >>> len(parts.train.queries), len(parts.dev.queries), len(parts.trial.test.queries)
        (32, 8, 10)
    """
    used, notes = _sampled(dataset, config)
    method = config.split or ("given" if "test" in dataset.parts.values() else "by-query")
    test = config.test_size
    fractions = ((1 - test) ** 2, (1 - test) * test, test)
    usable = used.select(used.judged) if used.judged else used
    split = split_dataset(usable, method, fractions=fractions, seed=config.seed)
    plan = make_plan(used, split, seed=config.seed)
    plan = replace(plan, notes=(*notes, *plan.notes))
    trial = plan.trials[0]
    train = trial.pool.select([query for query in trial.pool.queries if query not in trial.dev])
    return Parts(used, plan, train, trial.pool.select(trial.dev))


def _sampled(dataset: Dataset, config: FinetuneConfig) -> tuple[Dataset, tuple[str, ...]]:
    kept = [query for query in dataset.judged if dataset.parts.get(query) == "test" and config.split in (None, "given")]
    free = sorted(set(dataset.judged) - set(kept))
    if config.sample_size is None or config.sample_size >= len(free):
        return dataset, ()
    drawn = generator(config.seed, "sample").choice(len(free), config.sample_size, replace=False)
    chosen = {free[at] for at in drawn.tolist()} | set(kept)
    note = f"{config.sample_size} of {len(free)} queries were drawn (sample_size)."
    return dataset.select([query for query in dataset.queries if query in chosen]), (note,)
