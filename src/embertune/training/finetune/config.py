"""Every setting of `embertune.finetune`, with its bounds; all that is wrong is told at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from embertune.errors import ConfigError
from embertune.evaluation.metrics import parse_metric

__all__ = ["LOSSES", "EvaluationConfig", "FinetuneConfig", "LossConfig", "MiningSettings"]

LOSSES = ("mnrl", "cached_mnrl", "margin_mse", "mean_margin", "triplet", "cosent")
"""Names of the losses."""

_TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio", "comet_ml")
# Names of the field for what `embertune.evaluation.metrics` spells with a cutoff.
_METRICS = {"ndcg": "ndcg@10", "mrr": "mrr@10", "map": "map@100", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class MiningSettings:
    """Which hard negatives are mined for training; names are those of sentence-transformers."""

    num_negatives: int = 1
    """Hard negatives beside each positive; 0 mines none. Negatives that the data names come first."""

    batch_size: int = 64
    """Texts that the mining model embeds at a time."""

    margin: float = 0.05
    """How far below its positive's cosine a negative must lie, as a share of that cosine; what is closer may well be an
    unlabelled answer."""

    range_min: int = 0
    """Skip this many of the best candidates."""

    range_max: int | None = None
    """Look at this many candidates at most; null takes as many as are likely to be needed."""

    sampling_strategy: Literal["top", "random"] = "top"
    """"top" takes the hardest, "random" draws from all that are left."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised."""

    name: Literal["mnrl", "cached_mnrl", "margin_mse", "mean_margin", "triplet", "cosent"] = "mnrl"
    """mnrl: multiple negatives ranking (InfoNCE). cached_mnrl: the same for batches larger than memory, through cached
    gradients. margin_mse and mean_margin: distil a cross-encoder. triplet: one negative at a time. cosent: graded
    pairs."""

    temperature: float = 0.05
    """A cosine counts as cosine / temperature; in every loss but triplet. sentence-transformers' scale is 1 over it."""

    margin: float = 0.2
    """triplet: how much further than the positive (in 1 - cosine) the negative is to be."""

    mini_batch_size: int = 32
    """cached_mnrl: how many texts are in memory at a time; changes nothing but speed and memory."""

    teacher: str | None = None
    """margin_mse and mean_margin: the cross-encoder that says how far a positive leads, such as
    cross-encoder/ms-marco-MiniLM-L6-v2."""

    matryoshka_dims: tuple[int, ...] = ()
    """Train the first so many dimensions to be of use alone, such as [384, 256, 128, 64]; empty for none."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is looked at during training, on dev."""

    metrics: tuple[str, ...] = ("ndcg", "mrr", "map", "accuracy")
    """The first decides which step is best. ndcg is ndcg@10, mrr mrr@10, map map@100, accuracy the share of mined
    negatives that lie behind their positive; any other metric goes by its name, such as recall@20."""

    eval_steps: int | None = None
    """Judge on dev every so many steps; null judges once an epoch."""

    save_best_model: bool = True
    """Keep the step that was best on dev, and of the base's weights what base_shares says; false keeps the last step as
    it is."""

    early_stopping_patience: int | None = None
    """Stop after so many judgements without a better one; null trains all epochs."""

    max_documents: int = 2000
    """Of a larger corpus dev is judged on the answers and what ranks high for its queries; test always on all of it."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Every setting of `embertune.finetune`.

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> FinetuneConfig(model_name="sentence-transformers/all-MiniLM-L6-v2", num_epochs=2).primary
        'ndcg@10'
    """

    data: str | None = None
    """The data: a BEIR folder, or a file of JSONL, CSV, TSV or Parquet with pairs, triplets or scored pairs."""

    dataset_name: str | None = None
    """In place of data: a data set of the Hugging Face hub, such as sentence-transformers/gooaq; its rows are pairs,
    triplets or scored pairs."""

    dataset_split: str = "train"
    """Which split of dataset_name, such as train or train[:10000]."""

    columns: dict[str, str] = field(default_factory=dict)
    """Role: column, where names are not recognised, such as {query: my question, document: body}."""

    sample_size: int | None = None
    """Draw so many queries and leave the others out (not those of a given test split); null takes all."""

    split: Literal["by-query", "by-document", "given"] | None = None
    """How test is cut: by-query (new queries on known documents), by-document (documents never seen), given; null takes
    the given one where there is one, else by-query."""

    test_size: float = 0.2
    """Share of the queries that is test, and of those that remain so many more are dev; a given split stays."""

    seed: int = 0
    """The one seed of everything random."""

    model_name: str = "sentence-transformers/all-MiniLM-L6-v2"
    """The model to fine-tune: a name on the Hugging Face hub, or a folder."""

    revision: str | None = None
    """Branch, tag or commit of it on the hub."""

    mining_model_name: str | None = None
    """The model that finds hard negatives, or any encoder's name, such as static; null takes model_name."""

    prompts: dict[str, str] = field(default_factory=dict)
    """Text put before queries and documents, such as {query: "query: ", document: "passage: "}; empty keeps the model's
    own."""

    max_seq_length: int | None = None
    """Tokens of a text; the rest is cut off, by the model that is saved, too. null keeps the model's own. Less is
    quicker and takes less memory, but answers that stand further back are lost."""

    num_epochs: float = 4
    """Passes over the training rows."""

    batch_size: int = 32
    """Rows of a step, in each process if there are several; with mnrl also how many documents a query is compared
    with."""

    learning_rate: float = 5e-5
    """Highest step size of AdamW; it rises over the warm-up and then falls to 0."""

    weight_decay: float = 0.01
    """Pull of the weights to 0, per step and learning rate."""

    warmup_ratio: float = 0.1
    """Share of the steps in which the learning rate rises."""

    gradient_checkpointing: bool = False
    """Compute activations twice and keep none: a third slower, much less memory."""

    gradient_accumulation_steps: int = 1
    """Batches whose gradients are added up before a step."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 on a GPU that can, else fp32. fp16 needs a GPU; bf16 is quicker on processors that have it, too."""

    mining: MiningSettings = field(default_factory=MiningSettings)
    """Hard negatives."""

    loss: LossConfig = field(default_factory=LossConfig)
    """The loss; a name alone takes its defaults (loss: triplet)."""

    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """What is judged on dev during training."""

    lora: int | None = None
    """Train low-rank matrices of this rank beside the weights, such as 16, and merge them at the end; null trains the
    weights."""

    query_only: bool = False
    """Train a copy of the model for queries alone; documents keep their vectors, so no index is built anew."""

    base_shares: tuple[float, ...] = (0.25, 0.5)
    """After training, weights are a mean of those trained and the base's, which keeps the gain with less noise: the
    largest of these shares of the base that costs dev no more than one standard error; empty keeps what was trained."""

    adapter: bool = True
    """Also fit the best adapter on the same data, on the model as it was and as it is, to compare with."""

    save_steps: int | None = None
    """Keep what is needed to go on after an interruption every so many steps; null ten times an epoch at most."""

    cache_dir: str | None = None
    """Where mined negatives, labels and unfinished trainings are kept; null takes this user's cache."""

    output_dir: str = "finetuned-model"
    """The folder for the model, its record and report."""

    tracking: tuple[str, ...] = ("tensorboard",)
    """Who follows the training: tensorboard, wandb, mlflow, trackio, comet_ml; empty for none."""

    price_per_hour: float | None = None
    """What an hour of this machine costs, in dollars, for the table; null leaves money out."""

    push_to_hub: str | None = None
    """Upload the finished folder to this repository of the Hugging Face hub, such as me/my-model, which is made
    private."""

    def __post_init__(self) -> None:
        """Gather every problem, then raise once."""
        types = [*_type_problems(self)]
        problems = [*types, *_bound_problems(self), *_metric_problems(self.evaluation.metrics)]
        if not types:
            problems += _joint_problems(self)
        if problems:
            raise ConfigError(problems)

    @property
    def primary(self) -> str:
        """The metric of the record: the first of `evaluation.metrics` that ranks a corpus."""
        ranking = [name for name in self.dev_metrics if name != "accuracy"]
        return ranking[0] if ranking else "ndcg@10"

    @property
    def dev_metrics(self) -> tuple[str, ...]:
        """The metrics of dev as `embertune.evaluation.metrics` spells them, "accuracy" among them."""
        return tuple(_METRICS.get(name, name) for name in self.evaluation.metrics)

    @property
    def in_batch(self) -> bool:
        """Whether the other rows of a batch serve as negatives."""
        return self.loss.name in ("mnrl", "cached_mnrl")

    @property
    def taught(self) -> bool:
        """Whether the loss needs a teacher's scores."""
        return self.loss.name in ("margin_mse", "mean_margin")


Bound = tuple[str, Callable[[Any], bool], str]

_COUNTS = (
    "batch_size", "gradient_accumulation_steps", "mining.batch_size", "loss.mini_batch_size",
    "evaluation.max_documents",
)  # fmt: skip
_OPTIONAL_COUNTS = (
    "sample_size", "max_seq_length", "lora", "save_steps", "evaluation.eval_steps",
    "evaluation.early_stopping_patience",
)  # fmt: skip
_BOUNDS: tuple[Bound, ...] = (
    *((name, lambda value: value >= 1, "at least 1") for name in _COUNTS),
    *((name, lambda value: value is None or value >= 1, "at least 1 or null") for name in _OPTIONAL_COUNTS),
    *((name, lambda value: value >= 0, "0 or more") for name in ("seed", "weight_decay", "mining.num_negatives",
                                                                 "mining.range_min")),
    *((name, lambda value: value > 0, "positive") for name in ("num_epochs", "learning_rate", "loss.temperature",
                                                               "loss.margin")),
    ("test_size", lambda value: 0 < value < 0.5, "between 0 and 0.5"),
    ("warmup_ratio", lambda value: 0 <= value < 1, "from 0 to below 1"),
    ("mining.margin", lambda value: 0 <= value < 1, "from 0 to below 1"),
    ("price_per_hour", lambda value: value is None or value >= 0, "0 or more, or null"),
    ("base_shares", lambda value: all(0 < each < 1 for each in value), "between 0 and 1"),
    ("loss.matryoshka_dims", lambda value: all(each >= 1 for each in value), "positive"),
)  # fmt: skip


def _type_problems(config: Any, place: str = "") -> Iterator[str]:
    """Find values of a wrong type, and choices that there are not."""
    from typing import get_type_hints

    hints = get_type_hints(type(config))
    for each in fields(config):
        value, name = getattr(config, each.name), place + each.name
        if is_dataclass(value):
            yield from _type_problems(value, f"{name}.")
        elif expected := _expected(value, hints[each.name]):
            yield f"{name} must be {expected}, got {value!r}"


def _expected(value: Any, hint: Any) -> str:
    """Say what a value should have been; empty where it is that."""
    from types import UnionType
    from typing import Union, get_args, get_origin

    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        wrong = [_expected(value, one) for one in inner if one is not type(None)]
        if not all(wrong) or (value is None and type(None) in inner):
            return ""
        return " or ".join([*wrong, "null"] if type(None) in inner else wrong)
    if kind is Literal:
        names = ", ".join(map(str, inner))
        return "" if value in inner and isinstance(value, str) else f"one of {names}"
    if kind is tuple:
        right = isinstance(value, tuple) and not any(_expected(each, inner[0]) for each in value)
        return "" if right else "a list of " + {int: "whole numbers", float: "numbers"}.get(inner[0], "names")
    if kind is dict:
        right = isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair)
        return "" if right else "texts by name"
    if _is(value, hint):
        return ""
    if is_dataclass(hint):
        return "a group of keys"
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "text")


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _bound_problems(config: FinetuneConfig) -> Iterator[str]:
    for path, holds, expected in _BOUNDS:
        value: Any = config
        for name in path.split("."):
            value = getattr(value, name, None)
        try:
            right = holds(value)
        except TypeError:  # of a wrong type, which is told already
            continue
        if not right:
            yield f"{path} must be {expected}, got {value!r}"


def _metric_problems(metrics: tuple[str, ...]) -> Iterator[str]:
    if not metrics:
        yield "evaluation.metrics is empty; expected at least one, such as ndcg"
    for name in metrics if isinstance(metrics, tuple) else ():
        if isinstance(name, str) and name not in _METRICS:
            try:
                parse_metric(name)
            except ConfigError as error:
                yield f"evaluation.metrics: {error} Also: {', '.join(_METRICS)}."


def _joint_problems(config: FinetuneConfig) -> Iterator[str]:
    """Find settings that do not go together."""
    mining, name = config.mining, config.loss.name
    if config.data is not None and config.dataset_name is not None:
        yield f"data is {config.data!r} and dataset_name {config.dataset_name!r}; give one of them"
    if mining.range_max is not None and mining.range_max - mining.range_min < mining.num_negatives:
        least = mining.range_min + mining.num_negatives
        yield f"mining.range_max must be at least range_min + num_negatives = {least}, got {mining.range_max}"
    if config.loss.teacher is not None and not config.taught:
        yield f"loss.teacher is given, and the loss {name} makes no use of it; expected margin_mse or mean_margin"
    if strange := [each for each in config.tracking if each not in _TRACKERS]:
        yield f"tracking must be of {', '.join(_TRACKERS)}, got {', '.join(strange)}"
    if strange := sorted(set(config.prompts) - {"query", "document"}):
        yield f"prompts has {', '.join(strange)}; expected query and document"
    if config.evaluation.early_stopping_patience is not None and not config.evaluation.save_best_model:
        yield "evaluation.early_stopping_patience stops after the best step, so save_best_model must be true"
