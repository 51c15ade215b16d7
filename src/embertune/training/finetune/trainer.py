"""Train: sentence-transformers' trainer, the judge on dev beside it, and what makes it go on after whatever happens."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.progress import Progress, silent
from embertune.errors import ConfigError, TrainingError
from embertune.training.finetune import processes
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.faults import is_out_of_memory
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.losses import make_loss
from embertune.training.finetune.models import load_model, merge_lora
from embertune.training.finetune.parts import BEST, WEIGHTS, make_parts, put_weights, seconds_of
from embertune.training.finetune.randomness import own_randomness
from embertune.training.finetune.rows import TrainingRows

__all__ = ["Memory", "Trained", "last_checkpoint", "train"]


@dataclass(frozen=True)
class Trained:
    """A trained model, and how it came about.

    Attributes:
        model: A ``SentenceTransformer``, low-rank matrices merged.
        curve: What was measured: "step", "epoch", and "loss", or metrics of dev by name.
        step: Whose weights the model has.
        steps: How many were made.
        seconds: Wall-clock time; of a training that was interrupted, until its last checkpoint and from there.
        notes: What happened on the way, in sentences.
    """

    model: Any
    curve: tuple[dict[str, float], ...]
    step: int
    steps: int
    seconds: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """How many rows are in memory at a time; the rows of a step stay the same.

    Attributes:
        batch_size: Rows of a forward pass, whose loss is one.
        accumulation: Forward passes of a step.
        mini_batch_size: Texts of a forward pass, where gradients are cached.

    Example:
        >>> Memory(32, 1).halved(cached=False)
        Memory(batch_size=16, accumulation=2, mini_batch_size=None)
        >>> Memory(32, 1).halved(cached=True)
        Memory(batch_size=32, accumulation=1, mini_batch_size=16)
    """

    batch_size: int
    accumulation: int
    mini_batch_size: int | None = None

    def halved(self, *, cached: bool) -> Memory | None:
        """Give the next smaller one, or None where there is none.

        Args:
            cached: The loss has a form that caches gradients, so that a batch is never cut: its rows keep each other as
                negatives.
        """
        if cached:
            size = self.mini_batch_size or self.batch_size
            return None if size == 1 else replace(self, mini_batch_size=size // 2)
        if self.batch_size == 1:
            return None
        return replace(self, batch_size=-(-self.batch_size // 2), accumulation=2 * self.accumulation)

    def __str__(self) -> str:
        """Say it in words."""
        if self.mini_batch_size is not None:
            return f"{self.mini_batch_size} texts at a time, their gradients cached, so that the loss stays the same"
        return f"{self.batch_size} rows at a time, {self.accumulation} of them for a step"


def train(
    rows: TrainingRows,
    judge: DevJudge,
    config: FinetuneConfig,
    folder: Path,
    *,
    progress: Progress = silent,
) -> Trained:
    """Train a model, from where an earlier process with the same folder was interrupted, if there was one.

    Where memory runs out the rows in memory are halved and it goes on; with mnrl through cached gradients, which give
    the same loss, otherwise by accumulation.

    Args:
        rows: What to learn.
        judge: What decides which step is best.
        config: Settings.
        folder: For checkpoints; belongs to this training alone.
        progress: Told of steps.

    Raises:
        EncoderError: The model cannot be loaded.
        TrainingError: The loss is no number, or memory is too small for one row.
    """
    started, before, notes = time.perf_counter(), _seconds_before(folder), []
    if processes.count() > 1 and len(rows) < config.batch_size * processes.count():
        raise ConfigError(
            f"{len(rows)} rows are no whole batch of {processes.count()} processes with {config.batch_size} each. "
            f"Type: batch_size={max(1, len(rows) // processes.count())}"
        )
    cached = config.loss.name == "cached_mnrl"
    memory = Memory(config.batch_size, config.gradient_accumulation_steps)
    if cached:
        memory = replace(memory, mini_batch_size=config.loss.mini_batch_size)
    with own_randomness(config.seed):
        while True:
            try:
                model, state = _attempt(rows, judge, config, folder, memory, progress)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            if processes.count() > 1:
                raise TrainingError(_too_much(memory, config))
            smaller = memory.halved(cached=config.in_batch)
            if smaller is None:
                raise TrainingError(
                    "Memory ran out with a single row in memory. Shorten texts (max_seq_length=128), keep fewer "
                    "activations (gradient_checkpointing=true), train fewer weights (lora=16), or take a smaller model."
                )
            notes.append(f"Memory ran out at {_rows(memory)}; it went on with {smaller}.")
            progress("train", 0, None, notes[-1])
            memory = smaller
            _free()
        step = _finish(model, state, config, folder)
    curve = tuple(_entry(entry) for entry in state.log_history if _entry(entry).keys() - {"step", "epoch"})
    return Trained(model, curve, step, state.global_step, before + time.perf_counter() - started, tuple(notes))


def last_checkpoint(folder: Path) -> Path | None:
    """Give the latest checkpoint that was written whole, or None.

    Its state is written last; one that a ``kill -9`` cut short has none.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if all((path / name).is_file() for name in _needed()):
            return path
    return None


def _seconds_before(folder: Path) -> float:
    """Give what earlier processes took; asked at first, as checkpoints of this one hold seconds that it counts, too."""
    checkpoint = last_checkpoint(folder)
    return 0.0 if checkpoint is None else seconds_of(checkpoint / WEIGHTS)


def _needed() -> list[str]:
    """Name the files of a checkpoint that may be missing when its state is there: every process writes one."""
    if processes.count() == 1:
        return [WEIGHTS]
    return [WEIGHTS, *(f"rng_state_{each}.pth" for each in range(processes.count()))]


def _attempt(
    rows: TrainingRows, judge: DevJudge, config: FinetuneConfig, folder: Path, memory: Memory, progress: Progress
) -> tuple[Any, Any]:
    """Load the model and train it to the end, with so many rows in memory; give also the trainer's state."""
    model = load_model(config)
    loss = make_loss(model, config, mini_batch_size=memory.mini_batch_size)
    parts = make_parts(config, judge, rows, folder, progress)
    datasets = require("datasets", extra="finetune", purpose="Fine-tuning")
    columns: dict[str, Any] = dict(rows.columns)
    if rows.labels is not None:
        columns["label"] = rows.labels
    trainer = parts.trainer(
        model=model,
        args=parts.arguments(model, memory.batch_size, memory.accumulation),
        train_dataset=datasets.Dataset.from_dict(columns),
        loss=loss,
        evaluator=parts.evaluator,
        callbacks=parts.callbacks,
    )
    transformers = require("transformers", extra="finetune", purpose="Fine-tuning")
    for each in (transformers.PrinterCallback, transformers.trainer_callback.ProgressCallback):
        trainer.remove_callback(each)
    checkpoint = processes.from_main(lambda: last_checkpoint(folder))
    if checkpoint is not None:
        trainer.seconds_before = seconds_of(checkpoint / WEIGHTS)
        progress("train", int(checkpoint.name.rpartition("-")[2]), None, "goes on where it was interrupted")
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    if trainer.state.global_step == 0:
        raise TrainingError(
            f"No batch of {memory.batch_size * processes.count()} rows could be put together in which no text occurs "
            f"twice, so nothing was trained. Type: batch_size={max(1, memory.batch_size // 2)}"
        )
    return model, trainer.state


def _finish(model: Any, state: Any, config: FinetuneConfig, folder: Path) -> int:
    """Put the best weights in, merge, and give the step that they are of."""
    processes.from_main(lambda: None)  # the first has written them by then
    step = int(state.global_step)
    if config.evaluation.save_best_model and (folder / BEST).is_file():
        step = put_weights(model, folder / BEST)
    if config.lora is not None:
        merge_lora(model)
    model.eval()
    return step


def _entry(entry: Mapping[str, float]) -> dict[str, float]:
    """Keep of a log entry what the curve has."""
    names = {name: name.removeprefix("eval_dev_") for name in entry if name.startswith("eval_dev_")}
    kept = {"step": entry["step"], "epoch": entry.get("epoch", 0.0)}
    return kept | {short: entry[name] for name, short in {"loss": "loss", **names}.items() if name in entry}


def _too_much(memory: Memory, config: FinetuneConfig) -> str:
    """Say that memory ran out in one of several processes, which cannot halve its rows while the others wait for it."""
    smaller = memory.halved(cached=config.in_batch)
    if smaller is None:
        return f"Memory ran out with {_rows(memory)} in memory. Type: max_seq_length=128"
    if smaller.mini_batch_size is not None:
        typed = f"loss=cached_mnrl loss.mini_batch_size={smaller.mini_batch_size}"
    else:
        typed = f"batch_size={smaller.batch_size} gradient_accumulation_steps={smaller.accumulation}"
    return f"Memory ran out with {_rows(memory)} in memory of one of {processes.count()} processes. Type: {typed}"


def _rows(memory: Memory) -> str:
    return f"{memory.mini_batch_size} texts" if memory.mini_batch_size is not None else f"{memory.batch_size} rows"


def _free() -> None:
    """Let go of what the failed attempt held."""
    gc.collect()
    torch = require("torch", extra="finetune", purpose="Fine-tuning")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
