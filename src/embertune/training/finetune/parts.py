"""What is put into sentence-transformers' trainer: its arguments, the judge, checkpoints, and a look at every loss.

The classes derive from those of torch's packages, so they are made in a function, where these are there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from embertune._optional import require
from embertune.core.progress import Note, Progress
from embertune.errors import ConfigError
from embertune.training.finetune import processes
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.faults import not_a_number
from embertune.training.finetune.judge import DevJudge, vectors_for
from embertune.training.finetune.models import frozen_modules, trainable
from embertune.training.finetune.rows import TrainingRows

__all__ = ["BEST", "WEIGHTS", "Parts", "make_parts", "put_weights", "seconds_of"]

BEST = "best.safetensors"
WEIGHTS = "trained.safetensors"

# An interruption costs this much at most; writing weights and moments of a model of 100 million takes a second or two.
_SAVE_SECONDS = 120.0
# Several processes have to agree on that, which costs a message among them: they ask after so many steps.
_ASKED = 10
_LOGGED = 500
_ROWS = "rows_of_batch"
# Weights of trained transformers are below 100.
_SOUND = 1e4
_PURPOSE = "Fine-tuning"


class Parts(NamedTuple):
    """What the trainer is put together from."""

    trainer: Any
    arguments: Callable[[Any, int, int], Any]
    evaluator: Any
    callbacks: list[Any]


def make_parts(config: FinetuneConfig, judge: DevJudge, rows: TrainingRows, folder: Path, progress: Progress) -> Parts:
    """Make the parts of a training.

    Args:
        config: Settings.
        judge: Dev.
        rows: What is learned; their ids are named if a loss is no number.
        folder: For checkpoints.
        progress: Told of steps.
    """
    return Parts(
        _trainer_class(config, rows),
        lambda model, batch_size, accumulation: _arguments(config, model, rows, folder, batch_size, accumulation),
        _evaluator(judge),
        [_callback(config, judge.metrics[0], folder, progress)],
    )


def _read_weights(path: Path) -> tuple[Mapping[str, Any], int]:
    """Read weights by name, and the step that they are of."""
    safetensors = require("safetensors", extra="finetune", purpose=_PURPOSE)
    torch_format = require("safetensors.torch", extra="finetune", purpose=_PURPOSE)
    with safetensors.safe_open(path, framework="np") as file:
        step = int(file.metadata()["step"])
    return torch_format.load_file(path), step


def put_weights(model: Any, path: Path) -> int:
    """Put weights that were written into the model; give the step that they are of."""
    torch = require("torch", extra="finetune", purpose=_PURPOSE)
    tensors, step = _read_weights(path)
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(tensors[name])
    return step


def seconds_of(path: Path) -> float:
    """Give how long the training had taken when weights were written."""
    safetensors = require("safetensors", extra="finetune", purpose=_PURPOSE)
    with safetensors.safe_open(path, framework="np") as file:
        return float(file.metadata().get("seconds", 0.0))


def _write_weights(model: Any, path: Path, step: int, *, seconds: float = 0.0) -> None:
    """Write the trained weights; what stood there before stays until they lie complete beside it."""
    torch_format = require("safetensors.torch", extra="finetune", purpose=_PURPOSE)
    tensors = {name: parameter.detach().cpu().contiguous() for name, parameter in trainable(model).items()}
    beside = path.with_name(f".{path.name}")
    torch_format.save_file(tensors, beside, metadata={"step": str(step), "seconds": str(seconds)})
    os.replace(beside, path)


def _arguments(
    config: FinetuneConfig, model: Any, rows: TrainingRows, folder: Path, batch_size: int, accumulation: int
) -> Any:
    library = require("sentence_transformers", extra="finetune", purpose=_PURPOSE)
    torch = require("torch", extra="finetune", purpose=_PURPOSE)
    steps = max(1, round(config.num_epochs * len(rows) / (batch_size * accumulation * processes.count())))
    precision = _precision(config.precision)
    every = config.evaluation.eval_steps
    arguments = library.SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=config.num_epochs,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        # A share below 1; transformers 5 takes it here and has no warmup_ratio.
        warmup_steps=config.warmup_ratio,
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=processes.on_cpu(),
        # With several processes the sampler gives batches for all of them, so that no text occurs twice in any of them.
        accelerator_config={"split_batches": processes.count() > 1},
        dataloader_drop_last=processes.count() > 1,
        seed=config.seed,
        data_seed=config.seed,
        # A document that answers two queries of a batch would be both right and wrong for each.
        batch_sampler="no_duplicates" if config.in_batch else "batch_sampler",
        prompts=_by_column(rows, *_prompts(model)),
        router_mapping=_by_column(rows, "query", "document") if _has_routes(model) else {},
        eval_strategy="epoch" if every is None else "steps",
        eval_steps=every,
        save_strategy="no" if config.save_steps is None else "steps",
        save_steps=config.save_steps or 500,
        save_total_limit=2,
        logging_steps=max(1, steps // _LOGGED),
        logging_nan_inf_filter=False,
        report_to=list(config.tracking) or "none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    # Without accelerate torch's DataParallel would take all GPUs, and batch_size rows on each, in every step.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _precision(named: str) -> str:
    torch = require("torch", extra="finetune", purpose=_PURPOSE)
    on_cpu = processes.on_cpu()
    has_bf16 = not on_cpu and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if named == "auto":
        return "bf16" if has_bf16 else "fp32"
    if named == "fp16" and on_cpu:
        raise ConfigError("precision is fp16, which needs a GPU, and there is none. Type: precision=fp32")
    return named


def _has_routes(model: Any) -> bool:
    modules = require("sentence_transformers.sentence_transformer.modules", extra="finetune", purpose=_PURPOSE)
    return any(isinstance(each, modules.Router) for each in model.children())


def _prompts(model: Any) -> tuple[str, str]:
    """Give the prompts of both sides as ``encode_query`` and ``encode_document`` take them."""
    own = model.prompts
    document = next((own[name] for name in ("document", "passage", "corpus") if own.get(name)), "")
    return own.get("query") or "", document


def _by_column(rows: TrainingRows, query: str, document: str) -> dict[str, str]:
    told = {name: query if name == "query" else document for name in rows.columns}
    return {name: value for name, value in told.items() if value}


def _trainer_class(config: FinetuneConfig, rows: TrainingRows) -> Any:
    library = require("sentence_transformers", extra="finetune", purpose=_PURPOSE)
    torch = require("torch", extra="finetune", purpose=_PURPOSE)

    class Trainer(_together(library.SentenceTransformerTrainer)):  # type: ignore[misc]
        """sentence-transformers' trainer with checkpoints of trained weights alone, and a look at every loss."""

        began, seconds_before = time.perf_counter(), 0.0

        def add_model_card_callback(self, *arguments: Any, **keywords: Any) -> None:
            """The card is Embertune's own; sentence-transformers' would read all rows for examples."""

        def get_data_collator(self, *arguments: Any, **keywords: Any) -> Any:
            return _with_rows(super().get_data_collator(*arguments, **keywords), rows)

        def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **keywords: Any) -> Any:
            chosen = inputs.pop(_ROWS).tolist()
            for module in frozen_modules(self.model):
                module.eval()
            found = super().compute_loss(model, inputs, *arguments, **keywords)
            loss = (found[0] if isinstance(found, tuple) else found).detach()
            if not torch.isfinite(loss).all():
                raise _fault(self, float(loss), [rows.query_ids[at] for at in chosen], inputs.get("label"), config)
            return found

        def evaluate(self, *arguments: Any, **keywords: Any) -> Any:
            # Its loader draws a seed, so dropout would depend on how often dev is judged.
            with torch.random.fork_rng():
                return super().evaluate(*arguments, **keywords)

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            target = Path(output_dir or self.args.output_dir)
            target.mkdir(parents=True, exist_ok=True)
            if processes.is_main():  # the trainer calls it in all of them
                seconds = self.seconds_before + time.perf_counter() - self.began
                _write_weights(self.model, target / WEIGHTS, self.state.global_step, seconds=seconds)

        def _load_from_checkpoint(self, checkpoint_path: str) -> None:
            put_weights(self.model, Path(checkpoint_path) / WEIGHTS)

    return Trainer


def _fault(trainer: Any, loss: float, ids: list[str], labels: Any, config: FinetuneConfig) -> Exception:
    """Explain a loss that is no number by what is to be seen of its batch."""
    labelled = labels is None or bool(labels.isfinite().all())
    sound = all(bool((each.abs() < _SOUND).all()) for each in trainer.model.parameters())
    step = trainer.state.global_step + 1
    return not_a_number(loss, step, ids, labels_finite=labelled, weights_sound=sound, config=config)


def _together(kind: Any) -> Any:
    """Let a trainer in several processes cut the batches that one process would have, so that each has its part."""
    by_route = _by_route()

    class Together(kind):  # type: ignore[misc]
        def get_batch_sampler(self, dataset: Any, batch_size: int, *arguments: Any, **keywords: Any) -> Any:
            return super().get_batch_sampler(dataset, batch_size * processes.count(), *arguments, **keywords)

        def get_train_dataloader(self) -> Any:
            loader = super().get_train_dataloader()
            shard = loader.batch_sampler
            if processes.count() > 1:
                # accelerate's part of a sampler does not pass the epoch on when it goes on within one.
                shard.set_epoch = shard.batch_sampler.set_epoch
            return loader

        def override_model_in_loss(self, loss: Any, model: Any) -> Any:
            if not frozen_modules(self.model):
                return super().override_model_in_loss(loss, model)
            return loss if isinstance(loss.model, by_route) else super().override_model_in_loss(loss, by_route(model))

    return Together


def _by_route() -> Any:
    """Give a module that takes frozen documents past torch's wrapper for several processes.

    After each of their passes the wrapper would take the weights of queries for unused in this step.
    """
    torch = require("torch", extra="finetune", purpose=_PURPOSE)

    class ByRoute(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, wrapped: Any) -> None:
            super().__init__()
            self.wrapped = wrapped

        def forward(self, features: dict[str, Any], **keywords: Any) -> Any:
            chosen = self.wrapped.module if features.get("task") == "document" else self.wrapped
            return chosen(features, **keywords)

    return ByRoute


def _with_rows(collate: Any, rows: TrainingRows) -> Any:
    """Let a collator also give which rows are in a batch: a row is told by its query, for a message needs no more."""
    torch = require("torch", extra="finetune", purpose=_PURPOSE)
    first = {text: at for at, text in reversed(list(enumerate(rows.columns["query"])))}
    kind = type(collate)

    class Collator(kind):  # type: ignore[misc, valid-type]
        def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
            batch: dict[str, Any] = super().__call__(features)
            batch[_ROWS] = torch.tensor([first[row["query"]] for row in features])
            return batch

    collate.__class__ = Collator
    return collate


def _evaluator(judge: DevJudge) -> Any:
    base = require("sentence_transformers.base.evaluation", extra="finetune", purpose=_PURPOSE)

    class Evaluator(base.BaseEvaluator):  # type: ignore[misc, name-defined]
        """The project's own judge, on dev."""

        def __call__(self, model: Any, *arguments: Any, **others: Any) -> dict[str, float]:
            return {f"dev_{name}": value for name, value in judge.score(*vectors_for(model, judge)).items()}

    return Evaluator()


def _callback(config: FinetuneConfig, metric: str, folder: Path, progress: Progress) -> Any:
    transformers = require("transformers", extra="finetune", purpose=_PURPOSE)
    key, patience = f"eval_dev_{metric}", config.evaluation.early_stopping_patience

    class Callback(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        """Tells of steps, keeps the best weights, stops early, and asks for checkpoints by the clock."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
            self.saved = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **keywords: Any) -> None:
            logged = next((entry for entry in reversed(state.log_history) if "loss" in entry), None)
            note = f"loss {logged['loss']:.3f}" if logged else ""
            progress("train", state.global_step, state.max_steps, note)
            last = state.global_step >= state.max_steps
            # By epochs the trainer judges the last step itself; by steps only if their number divides it.
            control.should_evaluate = control.should_evaluate or (last and config.evaluation.eval_steps is not None)
            asked = processes.count() == 1 or state.global_step % _ASKED == 0
            if config.save_steps is None and not last and asked and processes.from_main(self.is_due):
                control.should_save, self.saved = True, time.monotonic()

        def is_due(self) -> bool:
            return time.monotonic() - self.saved > _SAVE_SECONDS

        def on_evaluate(self, args: Any, state: Any, control: Any, model: Any, **keywords: Any) -> None:
            scores = [entry[key] for entry in state.log_history if key in entry]
            best = max(range(len(scores)), key=scores.__getitem__)  # the first of equals
            if best == len(scores) - 1:
                if processes.is_main():
                    _write_weights(model, folder / BEST, state.global_step)
            elif patience is not None and len(scores) - 1 - best >= patience:
                control.should_training_stop = True
            said = f"{metric} {scores[-1]:.3f}, best {scores[best]:.3f}"
            progress("judge on dev", len(scores), None, Note(said, {"held-out": scores[-1]}))

    return Callback()
