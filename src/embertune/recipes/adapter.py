"""The whole job as one object: ``Adapter(model).fit(dataset).transform(embeddings)``."""

from __future__ import annotations

import logging
import tempfile
import webbrowser
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from embertune.adapters.base import Adapter as BaseAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.vectors import Vectors
from embertune.encoders.base import Encoder
from embertune.encoders.registry import load_encoder
from embertune.errors import ConfigError, NotFittedError
from embertune.evaluation.verdict import Verdict
from embertune.recipes.result import Result
from embertune.recipes.tune import tune
from embertune.recipes.update import Update, update
from embertune.training.config import TuneConfig

__all__ = ["Adapter"]

_log = logging.getLogger(__name__)

# Adam's steps are about as long as its rate, and embeddings have length 1. Rates of plain gradient descent on a mean
# squared error, such as weightgain's 100, say nothing here.
_HIGHEST_RATE = 1.0


class Adapter:
    """An adapter for the embeddings of one model, fitted on a data set and judged on a part of it that it never saw.

    One matrix serves queries and documents alike, so `transform` needs not be told which they are: transform all
    stored embeddings once, and every query. Where only queries are to be transformed, ``side="query"`` does better.
    It is `embertune.tune` behind another door; a family of adapters of your own derives from `embertune.BaseAdapter`.

    Args:
        model: An encoder, or a name that `embertune.load_encoder` knows, such as "openai/text-embedding-3-large".
        side: "both" for one matrix for queries and documents, "query" for queries alone.
        options: Of the encoder: ``dimensions``, ``api_base``, ``batch_size`` …

    Attributes:
        result_: What `embertune.tune` gave: table, verdict, record, and what was trained even where it may not be used.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> data = Dataset.from_pairs([(f"where is cat {n}?", f"cat {n} is at home") for n in range(25)])
        >>> adapter = Adapter("hashing").fit(data)
        >>> adapter.transform(np.eye(64)).shape, adapter.matrix.shape
        ((64, 64), (64, 64))
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Send whoever derives a family of adapters to the class that is made for it."""
        raise ConfigError(
            f"{cls.__name__} is derived from embertune.Adapter, which trains a linear map for a model. Derive an "
            f"adapter of your own from the base class: class {cls.__name__}(embertune.BaseAdapter)"
        )

    def __init__(
        self, model: str | Encoder | Any = "static", *, side: Literal["both", "query"] = "both", **options: Any
    ) -> None:
        if side not in ("both", "query"):
            raise ConfigError(f"side must be 'both' or 'query', got {side!r}")
        self.encoder = load_encoder(model, **options)
        self.side = side

    def fit(
        self,
        dataset: Any,
        *,
        batch_size: int | None = None,
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        dropout: float | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Embed the data set, train, and judge on queries that trained nothing.

        Without further settings all pairs are learned from at once, which needs none of them. With any of the next four
        training goes in mini-batches.

        Args:
            dataset: A data set, or what `embertune.load_dataset` reads.
            batch_size: Pairs in a batch.
            max_epochs: The most passes over the pairs.
            learning_rate: Of Adam; above 1, as weightgain's 100 for another optimiser, the default is taken.
            dropout: The share of the coordinates that are left out while training.
            seed: Of everything random.
            progress: Told how far each stage is.

        Raises:
            ConfigError: A setting is impossible.
            DataError: The data cannot be used.
            EncoderError: Embedding failed.
        """
        if learning_rate is not None and learning_rate > _HIGHEST_RATE:
            _log.warning(
                "learning_rate=%g is for another optimiser than Adam; its default is used. Leave it out, or give one "
                "below %g.",
                learning_rate,
                _HIGHEST_RATE,
            )
            learning_rate = None
        given = {"batch_size": batch_size, "max_epochs": max_epochs, "learning_rate": learning_rate, "dropout": dropout}
        steps: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        # A gate tells queries from documents and one query from another, which one matrix cannot.
        effort = TuneConfig.of_effort("normal", gate="no" if self.side == "both" else "auto")
        adapter = self._family(steps, seed)
        self.result_ = tune(dataset, self.encoder, adapter=adapter, effort=effort, seed=seed, progress=progress)
        return self

    def update(self, dataset: Any, *, old_data: Any = None, seed: int = 0, progress: Progress = silent) -> Update:
        """Go on from here with new labels, and refuse what loses what was gained; see `embertune.update`.

        What comes back maps queries and documents each by its side, as stored vectors stay:
        ``.adapter.transform(embeddings, "query")``. This adapter is not changed.

        Args:
            dataset: New labels.
            old_data: What this adapter was fitted on, whose test queries then judge as well.
            seed: Of everything random.
            progress: Told how far each stage is.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The data cannot be used.
            EncoderError: Embedding failed.
        """
        return update(self.result.adapter, dataset, self.encoder, old_data=old_data, seed=seed, progress=progress)

    @property
    def result(self) -> Result:
        """What `embertune.tune` gave; print it for the table and the verdict.

        Raises:
            NotFittedError: `fit` was not called.
        """
        if not hasattr(self, "result_"):
            raise NotFittedError("This adapter has learned nothing yet. Type: adapter.fit(dataset)")
        return self.result_

    @property
    def verdict(self) -> Verdict:
        """Whether it may be used; where not, `transform` changes nothing."""
        return self.result.verdict

    @property
    def matrix(self) -> Vectors:
        """The matrix (d, d): embeddings as rows, times this, scaled to length 1. The identity where nothing was gained.

        With side="query" there may be a gate, which holds the matrix back for queries unlike the training queries.

        Raises:
            NotFittedError: `fit` was not called.
        """
        served = self.result.adapter
        if isinstance(served, LinearAdapter):
            return served.matrix
        return np.eye(self.encoder.spec.dimension or 0, dtype=np.float32)

    def transform(self, embeddings: Any) -> Vectors:
        """Adapt embeddings of the model: of queries and documents with side="both", else of queries.

        Args:
            embeddings: (n, d), or a single one (d,).

        Returns:
            As many, float32; of length 1 where the adapter may be used, and as they were where not.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The dimension is another one, or some values are not finite.
        """
        served = self.result.adapter
        array = np.asarray(embeddings)
        return served.transform(array[None])[0] if array.ndim == 1 else served.transform(array)

    def show_report(self, path: str | Path | None = None) -> Path:
        """Write the report, one HTML page, and open it in the browser if no file was named.

        Raises:
            NotFittedError: `fit` was not called.
            StorageError: The disk refused.
        """
        if path is not None:
            return self.result.report(as_path(path))
        written = self.result.report(Path(tempfile.mkdtemp(prefix="embertune-")) / "report.html")
        webbrowser.open(written.as_uri())
        return written

    def save(self, folder: str | Path) -> Path:
        """Save adapter, record and report; `embertune.load_adapter` reads it. See `Result.save`."""
        return self.result.save(folder)

    def _family(self, steps: dict[str, Any], seed: int) -> BaseAdapter | None:
        if steps:
            steps = {**steps, "negatives": "in-batch"}
        elif self.side == "query":
            return None
        return LinearAdapter(side=self.side, maps="shared" if self.side == "both" else "separate", seed=seed, **steps)
