"""The losses: sentence-transformers' own, and the one that it does not have."""

from __future__ import annotations

from typing import Any

from embertune._optional import require
from embertune.errors import ConfigError
from embertune.training.finetune import processes
from embertune.training.finetune.config import FinetuneConfig

__all__ = ["make_loss"]


def make_loss(model: Any, config: FinetuneConfig, *, mini_batch_size: int | None = None) -> Any:
    """Give the loss module of a configuration.

    In several processes every loss is that of all their rows together, as one process with so many rows would have it:
    where rows are compared with each other, their embeddings are gathered; the others are means over rows.

    Args:
        model: A ``SentenceTransformer``.
        config: Which loss, its numbers, and dimensions to train apart.
        mini_batch_size: Take the cached form of mnrl with so many texts in memory at a time, whichever was named.

    Raises:
        ConfigError: A Matryoshka dimension is larger than the model's.
    """
    library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
    losses = require("sentence_transformers.sentence_transformer.losses", extra="finetune", purpose="Fine-tuning")
    settings, name = config.loss, config.loss.name
    scale, shared = 1 / settings.temperature, processes.count() > 1
    loss: Any
    if name == "cached_mnrl" or (name == "mnrl" and mini_batch_size is not None):
        size = mini_batch_size or settings.mini_batch_size
        loss = losses.CachedMultipleNegativesRankingLoss(
            model, scale=scale, mini_batch_size=size, gather_across_devices=shared
        )
    elif name == "mnrl":
        loss = losses.MultipleNegativesRankingLoss(model, scale=scale, gather_across_devices=shared)
    elif name == "triplet":
        metric = losses.TripletDistanceMetric.COSINE
        loss = losses.TripletLoss(model, distance_metric=metric, triplet_margin=settings.margin)
    elif name == "cosent":
        loss = (_gathered_cosent() if shared else losses.CoSENTLoss)(model, scale=scale)
    else:
        pairwise = library.util.pairwise_cos_sim

        def scaled(left: Any, right: Any) -> Any:
            return scale * pairwise(left, right)

        kind = losses.MarginMSELoss if name == "margin_mse" else _mean_margin()
        loss = kind(model, similarity_fct=scaled)
    return _matryoshka(model, loss, settings.matryoshka_dims, losses) if settings.matryoshka_dims else loss


def _matryoshka(model: Any, loss: Any, dimensions: tuple[int, ...], losses: Any) -> Any:
    width = model.get_embedding_dimension()
    if too_large := [each for each in dimensions if each > width]:
        raise ConfigError(
            f"loss.matryoshka_dims has {', '.join(map(str, too_large))}; the model's embeddings have {width} dimensions"
        )
    return losses.MatryoshkaLoss(model, loss, matryoshka_dims=sorted({width, *dimensions}, reverse=True))


def _gathered_cosent() -> Any:
    """Give CoSENT over the pairs of all processes; sentence-transformers' own compares those of each one."""
    losses = require("sentence_transformers.sentence_transformer.losses", extra="finetune", purpose="Fine-tuning")
    distributed = require("sentence_transformers.util.distributed", extra="finetune", purpose="Fine-tuning")

    class GatheredCoSENTLoss(losses.CoSENTLoss):  # type: ignore[misc, name-defined]
        def compute_loss_from_embeddings(self, embeddings: Any, labels: Any) -> Any:
            gathered = [distributed.all_gather_with_grad(each) for each in embeddings]
            return super().compute_loss_from_embeddings(gathered, distributed.all_gather(labels))

    return GatheredCoSENTLoss


def _mean_margin() -> Any:
    """Give the module of the mean-margin loss; a class of torch, so it is made where torch is there.

    The mean over rows of ``(s(q, p) - mean of s(q, n) - margin)²``, as `embertune.adapters.solvers.distillation`.
    """
    torch = require("torch", extra="finetune", purpose="Fine-tuning")

    class MeanMarginLoss(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, model: Any, similarity_fct: Any) -> None:
            super().__init__()
            self.model, self.similarity_fct = model, similarity_fct

        def forward(self, sentence_features: Any, labels: Any) -> Any:
            query, positive, *negatives = (self.model(each)["sentence_embedding"] for each in sentence_features)
            behind = torch.stack([self.similarity_fct(query, each) for each in negatives]).mean(dim=0)
            return torch.nn.functional.mse_loss(self.similarity_fct(query, positive) - behind, labels)

    return MeanMarginLoss
