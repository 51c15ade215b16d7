"""Give a trained model back some of the weights that it started from: as much as dev does not object to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from embertune._optional import require
from embertune.core.progress import Note, Progress, silent
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.judge import DevJudge, vectors_for
from embertune.training.finetune.models import load_model, without_bars

__all__ = ["Mixed", "largest_harmless", "mix_with_base"]


class Mixed(NamedTuple):
    """How much of the base's weights a model has.

    Attributes:
        share: From 0 to below 1.
        scores: Share -> mean of dev's deciding metric.
    """

    share: float
    scores: dict[float, float]


def mix_with_base(
    trained: Path, folder: Path, judge: DevJudge, config: FinetuneConfig, *, progress: Progress = silent
) -> Mixed:
    """Write a model whose weights are a mean of those trained and those of the base, and say which.

    Training on few rows moves weights further than these rows tell, and a mean of both models keeps most of the gain
    with less noise. Of the shares the largest is taken whose score on dev is within one standard error of the best.
    Sources: Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (2022); Xiao et al., LM-Cocktail (2023); Breiman
    et al., Classification and Regression Trees (1984), for the one standard error.

    Args:
        trained: Folder of the trained model, low-rank matrices merged.
        folder: Where the mean is written.
        judge: Dev.
        config: The settings; the shares to try beside 0 are `base_shares`.
        progress: Told of every share.

    Raises:
        EncoderError: The base cannot be loaded.
    """
    library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
    with without_bars():
        model = library.SentenceTransformer(str(trained))
    base = load_model(replace(config, lora=None, gradient_checkpointing=False)).state_dict()
    weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    shares = sorted({0.0, *config.base_shares})
    found: list[npt.NDArray[np.float64]] = []
    for at, share in enumerate(shares):
        _put(model, weights, base, share)
        found.append(judge.values(*vectors_for(model, judge)))
        said = f"{judge.metrics[0]} {found[-1].mean():.3f} with {share:.0%} of the base's weights"
        progress("mix with the base", at + 1, len(shares), Note(said, {"held-out": float(found[-1].mean())}))
    share = largest_harmless(shares, found)
    _put(model, weights, base, share)
    with without_bars():
        model.save_pretrained(str(folder), create_model_card=False)
    return Mixed(share, {one: float(values.mean()) for one, values in zip(shares, found, strict=True)})


def largest_harmless(shares: Sequence[float], values: Sequence[npt.NDArray[np.float64]]) -> float:
    """Give the largest share whose mean is no further below the best than the standard error of the best mean.

    The best of several is flattered by having been chosen, and a step that was chosen on the same queries once more.

    Args:
        shares: Rising.
        values: Of each share the scores of the same queries (n,).

    Example:
        >>> best, close, far = np.array([0.9, 0.5, 0.7]), np.array([0.8, 0.4, 0.6]), np.array([0.6, 0.2, 0.4])
        >>> largest_harmless([0.0, 0.25, 0.5], [best, close, far])
        0.25
    """
    best = max(values, key=lambda each: float(each.mean()))
    error = best.std(ddof=1) / len(best) ** 0.5 if len(best) > 1 else 0.0
    means = zip(shares, (each.mean() for each in values), strict=True)
    return max(share for share, mean in means if mean >= best.mean() - error)


def _put(model: Any, weights: Mapping[str, Any], base: Mapping[str, Any], share: float) -> None:
    """Put the mean into the model; what is no number of both models, such as positions, stays."""
    torch = require("torch", extra="finetune", purpose="Fine-tuning")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            start = base.get(name)
            if start is None or not tensor.is_floating_point() or start.shape != tensor.shape:
                continue
            tensor.copy_(torch.lerp(weights[name], start.to(tensor.device, tensor.dtype), share))
