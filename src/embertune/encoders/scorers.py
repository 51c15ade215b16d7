"""Who scores pairs of a query and a document: a cross-encoder, or any function; every pair once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.data.texts import counted
from embertune.encoders.cache import CacheSession, VectorCache, cache_key, default_cache
from embertune.encoders.model_folders import folder_revision
from embertune.errors import ConfigError, EncoderError

__all__ = ["CrossEncoderScorer", "Pair", "PairScorer", "load_scorer"]

Pair = tuple[str, str]
_BATCH = 256


class PairScorer:
    """Scores pairs, those that it has scored before from the cache.

    Every batch is in the cache before the next begins, so a run that was stopped goes on where it was.

    Args:
        function: Pairs of a query and a document in, one finite number for each out; higher is more relevant.
        name: What determines the scores, for the cache and the record; nothing is cached without it.
        batch_size: Pairs in a call.
        cache: True for this user's cache, False for none, or one of your own.

    Raises:
        ConfigError: `batch_size` is below 1.

    Example:
        >>> scorer = PairScorer(lambda pairs: [len(document) for _, document in pairs])
        >>> scorer.score([("a", "long"), ("a", "longer"), ("a", "long")]).tolist()
        [4.0, 6.0, 4.0]
    """

    def __init__(
        self,
        function: Callable[[list[Pair]], Any],
        name: str = "",
        *,
        batch_size: int = _BATCH,
        cache: VectorCache | bool = True,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        self.function, self.name, self.batch_size = function, name, batch_size
        found = default_cache() if cache is True else cache or None
        self._cache = found if name else None
        self.scored = 0
        """Pairs that the function was asked for."""

    def score(self, pairs: Sequence[Pair], *, progress: Progress = silent) -> npt.NDArray[np.float32]:
        """Score pairs, each different one once.

        Args:
            pairs: n pairs of a query and a document.
            progress: Told of different pairs.

        Returns:
            (n,) in the order given.

        Raises:
            EncoderError: The function gave something else than one finite number for each pair.
        """
        place = {pair: at for at, pair in enumerate(dict.fromkeys(pairs))}
        scores = np.empty(len(place), dtype=np.float32)
        if self._cache is None:
            self._fill(list(place), scores, None, progress)
        else:
            with self._cache.session() as session:
                self._fill(list(place), scores, session, progress)
        return scores[np.fromiter((place[pair] for pair in pairs), dtype=np.intp, count=len(pairs))]

    def _fill(
        self, pairs: list[Pair], scores: npt.NDArray[np.float32], session: CacheSession | None, progress: Progress
    ) -> None:
        keys = [cache_key(["score", self.name, *pair]) for pair in pairs] if session else []
        known = session.get(keys) if session else {}
        missing = [at for at in range(len(pairs)) if not keys or keys[at] not in known]
        if known:
            scores[[at for at in range(len(pairs)) if keys[at] in known]] = [
                known[key][0] for key in keys if key in known
            ]
        done = len(pairs) - len(missing)
        progress("score", done, len(pairs), f"{done:,} from the cache" if done else "")
        for start in range(0, len(missing), self.batch_size):
            rows = missing[start : start + self.batch_size]
            scores[rows] = self._call([pairs[at] for at in rows])
            if session:
                session.put([keys[at] for at in rows], scores[rows][:, None])
            progress("score", done + start + len(rows), len(pairs))

    def _call(self, pairs: list[Pair]) -> npt.NDArray[np.float32]:
        self.scored += len(pairs)
        who = self.name or "The scorer"
        try:
            found = np.asarray(self.function(pairs), dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise EncoderError(
                f"{who} gave no numbers for {counted(len(pairs), 'pair')}: {error}. Expected one for each."
            ) from None
        if found.shape not in ((len(pairs),), (len(pairs), 1)):
            raise EncoderError(
                f"{who} gave scores of shape {found.shape} for {counted(len(pairs), 'pair')}. Expected one for each."
            )
        bad = int((~np.isfinite(found)).sum())
        if bad:
            raise EncoderError(f"{who} gave {bad} of {len(pairs)} scores that are NaN or infinite. Expected numbers.")
        return found.reshape(-1)


class CrossEncoderScorer:
    """A cross-encoder of sentence-transformers; it gives its logit, without the sigmoid that some models put behind it.

    Args:
        model: Name on the hub, or a folder.
        revision: Branch, tag or commit on the hub.
        device: "cpu", "cuda", …; sentence-transformers chooses where it is None.
        batch_size: Pairs in a forward pass.
        max_length: Tokens of a pair; the rest is cut off.

    Attributes:
        name: Model and version, for cache and record.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        EncoderError: The model cannot be loaded, or does not give one number for a pair.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str | None = None,
        batch_size: int = 32,
        max_length: int | None = None,
    ) -> None:
        library = require("sentence_transformers", extra="sentence-transformers", purpose="A cross-encoder")
        torch = require("torch", extra="sentence-transformers", purpose="A cross-encoder")
        try:
            self._model: Any = library.CrossEncoder(model, revision=revision, device=device, max_length=max_length)
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"The cross-encoder {model!r} could not be loaded: {first_line(error)} Check its name "
                "on https://huggingface.co/models, or give a folder that has config.json."
            ) from None
        labels = int(self._model.config.num_labels)
        if labels != 1:
            raise EncoderError(
                f"{model} gives {labels} numbers for a pair. Expected a model that gives one, its relevance, such as "
                "cross-encoder/ms-marco-MiniLM-L6-v2."
            )
        self._identity, self._batch_size = torch.nn.Identity(), batch_size
        folder = as_path(model)
        local = folder.is_dir()
        version = folder_revision(folder) if local else revision or getattr(self._model.config, "_commit_hash", None)
        length = f"#{max_length}" if max_length else ""
        self.name = f"cross-encoder/{Path(folder).resolve().name if local else model}@{version or 'main'}{length}"

    def __call__(self, pairs: list[Pair]) -> npt.NDArray[np.float32]:
        """Give the logit of each pair: n pairs -> (n,)."""
        scores = self._model.predict(
            pairs, batch_size=self._batch_size, activation_fn=self._identity, show_progress_bar=False
        )
        return np.asarray(scores, dtype=np.float32)


def load_scorer(
    source: str | Path | Callable[[list[Pair]], Any] | PairScorer,
    *,
    name: str = "",
    cache: VectorCache | bool = True,
    **options: Any,
) -> PairScorer:
    """Give who scores: a cross-encoder by its name, or any function of pairs.

    Args:
        source: A model of sentence-transformers' ``CrossEncoder``, or a function from a list of pairs (query, document)
            to as many numbers.
        name: Of a function: what its scores are cached under. Without it nothing is cached; change it when the function
            changes.
        cache: True for this user's cache, False for none, or one of your own.
        options: Of `CrossEncoderScorer`.

    Raises:
        ConfigError: Options are given for a function.
        EncoderError: The model cannot be loaded.
        MissingExtraError: sentence-transformers is not installed.

    Example:
        >>> load_scorer(lambda pairs: [float(query in document) for query, document in pairs]).score([("a", "cat")])
        array([1.], dtype=float32)
    """
    if isinstance(source, PairScorer):
        return source
    if isinstance(source, str | Path):
        model = CrossEncoderScorer(str(source).removeprefix("cross-encoder:"), **options)
        return PairScorer(model, model.name, cache=cache)
    if not callable(source):
        raise ConfigError(
            f"Expected the name of a cross-encoder or a function of pairs, found {type(source).__name__}."
        )
    if options:
        raise ConfigError(f"{', '.join(options)} cannot be set on a function. Leave it out.")
    return PairScorer(source, name, cache=cache)
