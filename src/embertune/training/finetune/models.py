"""The model that is trained: loaded, with low-rank matrices beside its weights, or with a copy for queries alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.errors import ConfigError, EncoderError
from embertune.training.finetune.config import FinetuneConfig

__all__ = [
    "add_lora", "freeze_documents", "frozen_modules", "load_model", "merge_lora", "trainable", "without_bars",
]  # fmt: skip

_FROZEN = "embertune_frozen"


def load_model(config: FinetuneConfig) -> Any:
    """Load the model of a configuration, with its prompts and length, ready to be trained.

    Raises:
        ConfigError: The model has no layers that take low-rank matrices.
        EncoderError: The model cannot be loaded.
        MissingExtraError: sentence-transformers or peft is not installed.
    """
    library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
    try:
        with without_bars():
            model = library.SentenceTransformer(config.model_name, revision=config.revision)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"The model {config.model_name!r} could not be loaded: {first_line(error)} Check its name "
            "on https://huggingface.co/models, or give a folder that has modules.json (model_name=FOLDER)."
        ) from None
    model.prompts.update(config.prompts)
    if config.max_seq_length is not None:
        model.max_seq_length = config.max_seq_length
    if config.query_only:
        model = freeze_documents(model)
    if config.lora is not None:
        add_lora(model, config.lora)
    if config.gradient_checkpointing:
        for each in _transformers(model):
            # transformers 5 has renamed it, and warns of the old name.
            enable = getattr(each, "activation_checkpointing_enable", None) or each.gradient_checkpointing_enable
            enable({"use_reentrant": False})
    return model


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar of its own for every file of weights."""
    logging = require("transformers.utils.logging", extra="finetune", purpose="Fine-tuning")
    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()


def _transformers(model: Any) -> list[Any]:
    """Give the transformers that are trained."""
    library = require("transformers", extra="finetune", purpose="Fine-tuning")
    frozen = {id(each) for module in frozen_modules(model) for each in module.modules()}
    return [each for each in model.modules() if isinstance(each, library.PreTrainedModel) and id(each) not in frozen]


def freeze_documents(model: Any) -> Any:
    """Give a model with two routes: a copy of the model for queries, which is trained, and itself for documents.

    Args:
        model: A ``SentenceTransformer``; it is frozen.
    """
    library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
    modules = require("sentence_transformers.sentence_transformer.modules", extra="finetune", purpose="Fine-tuning")
    if any(isinstance(each, modules.Router) for each in model.modules()):
        raise ConfigError(
            "query_only makes two routes, and this model has some already. Leave it out: query_only=false"
        )
    documents = list(model.children())
    queries = [copy.deepcopy(each) for each in documents]
    for each in documents:
        each.requires_grad_(False)
        setattr(each, _FROZEN, True)
    router = modules.Router.for_query_document(query_modules=queries, document_modules=documents)
    prompts, name = dict(model.prompts), model.similarity_fn_name
    return library.SentenceTransformer(modules=[router], prompts=prompts, similarity_fn_name=name, device=model.device)


def frozen_modules(model: Any) -> list[Any]:
    """Give the modules that stay as they are; they have to be kept from dropout, too."""
    return [each for each in model.modules() if getattr(each, _FROZEN, False)]


def trainable(model: Any) -> dict[str, Any]:
    """Give the parameters that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def add_lora(model: Any, rank: int) -> None:
    """Put low-rank matrices beside every linear layer, and freeze everything else.

    They count twice (alpha = 2 · rank), with 5 % dropout: what peft's examples and QLoRA (Dettmers et al., 2023) take.

    Args:
        model: A ``SentenceTransformer``, changed in place; frozen documents are left alone.
        rank: Of the matrices.

    Raises:
        ConfigError: The model has no layer that takes them.
    """
    peft = require("peft", extra="finetune", purpose="LoRA (lora: RANK)")
    inner = _transformers(model)
    if not inner:
        raise ConfigError("lora needs a transformer, and this model has none. Leave it out: lora=null")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules="all-linear")
    peft.inject_adapter_in_model(settings, inner[0])


def merge_lora(model: Any) -> None:
    """Add the low-rank matrices to the weights and take them away, so that a plain model is left; in place."""
    for parent, name, layer in list(_lora_layers(model)):
        layer.merge()
        setattr(parent, name, layer.get_base_layer())
    for each in model.modules():
        if hasattr(each, "peft_config"):
            del each.peft_config


def _lora_layers(model: Any) -> Iterator[tuple[Any, str, Any]]:
    layers = require("peft.tuners.tuners_utils", extra="finetune", purpose="LoRA (lora: RANK)")
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, layers.BaseTunerLayer):
                yield parent, name, child
