"""Fine-tune a whole model: split, mine, label, train, choose on dev, judge once on test against the adapter."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.files import write_whole
from embertune.core.paths import as_path, cache_folder
from embertune.core.progress import Progress, silent
from embertune.data.dataset import Dataset
from embertune.data.negatives import MiningConfig
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import Encoded, encode_dataset
from embertune.encoders.registry import load_encoder
from embertune.encoders.scorers import load_scorer
from embertune.encoders.sentence_transformers import SentenceTransformerEncoder
from embertune.errors import ConfigError
from embertune.recipes.finetune_contest import Fitted, fit_adapter, judge_all
from embertune.recipes.finetune_data import Parts, read_data, split_data
from embertune.recipes.finetune_record import Course, make_finetune_record
from embertune.recipes.finetune_result import FinetuneResult, check_output
from embertune.recipes.mine_negatives import mine_negatives
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.files import make_config, read_config
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.rows import Negatives, Teacher, TrainingRows, make_rows
from embertune.training.finetune.stages import Stages
from embertune.training.finetune.trainer import train

__all__ = ["finetune"]

# Encoders of these names are no models of the Hugging Face hub.
_ENCODERS = ("static", "hashing", "model2vec/", "fastembed/", "precomputed:")
# Settings that decide what is trained; the others only say where from, where to and what is measured.
_TRAINED_BY = (
    "model_name", "revision", "prompts", "max_seq_length", "num_epochs", "batch_size", "learning_rate", "weight_decay",
    "warmup_ratio", "gradient_checkpointing", "gradient_accumulation_steps", "precision", "loss", "evaluation", "lora",
    "query_only", "seed",
)  # fmt: skip


def finetune(
    data: Dataset | str | Path | Any | None = None,
    config: FinetuneConfig | Mapping[str, Any] | str | Path | None = None,
    *,
    teacher: Teacher | None = None,
    save: bool = True,
    progress: Progress = silent,
) -> FinetuneResult:
    """Fine-tune a sentence-transformers model, and say whether that beats the model as it was, and the adapter.

    Every stage is kept in the cache under what it depends on, so that a changed learning rate mines nothing again and
    an interrupted training goes on at its last checkpoint.

    Args:
        data: A data set, or what `load_dataset` reads; None takes what the configuration names.
        config: A `FinetuneConfig`, its values, or a YAML file.
        teacher: Scores pairs (query, document) in place of `loss.teacher`, for the losses that distil.
        save: Write the model, its record and report to `output_dir`, and upload them if `push_to_hub` says so.
        progress: Told how far each stage is.

    Returns:
        The result; print it for the tables and the verdict.

    Raises:
        ConfigError: Settings are impossible.
        DataError: The data cannot be used; `SplitError` when there is too little.
        EncoderError: A model cannot be loaded.
        MissingExtraError: sentence-transformers or what it trains with is not installed.
        StorageError: A folder cannot be written.
        TrainingError: The loss is no number, or memory is too small.

    Example:
        >>> finetune(config={"num_epoch": 3})
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: Invalid configuration:
        - There is no key num_epoch. Did you mean num_epochs?
    """
    started = time.perf_counter()
    settings = _settings(config)
    if settings.taught and teacher is None and settings.loss.teacher is None:
        raise ConfigError(
            f"The loss {settings.loss.name} distils a teacher, which was not named. Type: "
            "loss.teacher=cross-encoder/ms-marco-MiniLM-L6-v2"
        )
    if save:
        check_output(settings.output_dir)
    _check_packages(settings)
    parts = split_data(read_data(data, settings), settings)
    with _cache(settings) as folder:
        result = _run(parts, settings, Stages(folder), teacher, progress, started)
        if save:
            target = result.save(settings.output_dir)
            if settings.push_to_hub:
                progress("upload", 0)
                result.push(settings.push_to_hub, target)
    return result


def _run(
    parts: Parts, config: FinetuneConfig, stages: Stages, teacher: Teacher | None, progress: Progress, started: float
) -> FinetuneResult:
    base = _model(config.model_name, config)
    encoded = encode_dataset(base, parts.dataset, progress=progress)
    at_mine = time.perf_counter()
    mined, for_dev = _mined(parts, config, base, stages, progress)
    at_label = time.perf_counter()
    rows = make_rows(parts.train, mined, config, teacher=_scorer(config, teacher))
    judge = DevJudge.of(
        parts.dev, _vectors(encoded, parts.dev), for_dev, config.dev_metrics,
        max_documents=config.evaluation.max_documents,
    )  # fmt: skip
    seconds = {"embed": encoded.seconds, "mine": at_label - at_mine, "label": time.perf_counter() - at_label}
    model, told = _trained(rows, judge, config, base, stages, progress)
    tuned = encode_dataset(SentenceTransformerEncoder(str(model)), parts.dataset, progress=progress)
    fitted: tuple[Fitted, Fitted] | None = None
    if config.adapter:
        fitted = (
            fit_adapter(parts, encoded, config.primary, seed=config.seed, by_dev=False, progress=progress),
            fit_adapter(parts, tuned, config.primary, seed=config.seed, by_dev=True, progress=progress),
        )
    at_judge = time.perf_counter()
    progress("judge on test", 0, 1)
    adapters = None if fitted is None else (fitted[0].adapter, fitted[1].adapter)
    judged = judge_all(parts, encoded, tuned, adapters, config.primary, seed=config.seed)
    progress("judge on test", 1, 1)
    finished = time.perf_counter()
    seconds |= {"train": told["seconds"], "evaluate": finished - at_judge, "total": finished - started}
    course = Course(
        told, judge.score(*_vectors(encoded, parts.dev, judge)), rows, tuple(stages.reused), seconds, fitted
    )
    record = make_finetune_record(parts, config, base.spec, judged, course)
    library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
    return FinetuneResult(
        record,
        library.SentenceTransformer(str(model)),
        judged.measured.verdict,
        judged.measured.texts,
        judged.measured.details,
    )


def _settings(config: FinetuneConfig | Mapping[str, Any] | str | Path | None) -> FinetuneConfig:
    if isinstance(config, FinetuneConfig):
        return config
    return make_config(config) if isinstance(config, Mapping) else read_config(config)


def _check_packages(config: FinetuneConfig) -> None:
    """Say before any work which package is missing."""
    for module in ("sentence_transformers", "datasets", "accelerate"):
        require(module, extra="finetune", purpose="Fine-tuning")
    if missing := [name for name in config.tracking if find_spec(name) is None]:
        raise ConfigError(
            f"tracking names {', '.join(missing)}, which is not installed. Type: pip install {' '.join(missing)}, or "
            "leave it out: tracking=none"
        )


def _cache(config: FinetuneConfig) -> AbstractContextManager[str | Path]:
    """Give the folder of the stages; where the user's cache is switched off, one that is deleted afterwards."""
    if config.cache_dir is not None:
        return nullcontext(as_path(config.cache_dir))
    folder = cache_folder()
    return tempfile.TemporaryDirectory() if folder is None else nullcontext(folder / "finetune")


def _model(name: str, config: FinetuneConfig) -> SentenceTransformerEncoder:
    prompts = {f"{side}_prompt": text for side, text in config.prompts.items()}
    return SentenceTransformerEncoder(name, revision=config.revision, **prompts)  # type: ignore[arg-type]


def _mined(
    parts: Parts, config: FinetuneConfig, base: Encoder, stages: Stages, progress: Progress
) -> tuple[Negatives, Negatives]:
    """Mine negatives for train, and for the accuracy on dev."""
    mining = config.mining
    encoder = base if config.mining_model_name is None else _mining_model(config.mining_model_name, mining.batch_size)
    wanted = {"train": mining.num_negatives, "dev": int("accuracy" in config.dev_metrics)}
    found: dict[str, Negatives] = {}
    for name, data in (("train", parts.train), ("dev", parts.dev)):
        if not wanted[name]:
            found[name] = {}
            continue
        settings = MiningConfig(
            num_negatives=wanted[name],
            range_min=mining.range_min,
            range_max=mining.range_max,
            relative_margin=mining.margin,
            sampling=mining.sampling_strategy,
            seed=config.seed,
        )
        depends_on = ["1", data.fingerprint, encoder.spec.to_dict(), asdict(settings)]
        found[name] = stages.result(f"mined-{name}", depends_on, _Mine(data, encoder, settings, progress))
    return found["train"], found["dev"]


class _Mine:
    """One mining, to be done if it was not done before."""

    def __init__(self, data: Dataset, encoder: Encoder, config: MiningConfig, progress: Progress) -> None:
        self.data, self.encoder, self.config, self.progress = data, encoder, config, progress

    def __call__(self) -> dict[str, list[str]]:
        mined = mine_negatives(self.data, self.encoder, self.config, part="all", progress=self.progress)
        texts, negatives = mined.texts, mined.negatives
        return {
            texts.queries[query]: [texts.documents[at] for at in found if at >= 0]
            for query, found in zip(negatives.queries.tolist(), negatives.documents.tolist(), strict=True)
        }


def _mining_model(name: str, batch_size: int) -> Encoder:
    if name.startswith(_ENCODERS):
        return load_encoder(name)
    return SentenceTransformerEncoder(name, batch_size=batch_size)


def _scorer(config: FinetuneConfig, teacher: Teacher | None) -> Teacher | None:
    if not config.taught:
        return None
    source = teacher if teacher is not None else str(config.loss.teacher)
    # Cross-encoders are cached batch by batch, so an interrupted labelling goes on where it was.
    return lambda pairs: load_scorer(source).score(pairs)


def _vectors(encoded: Encoded, dev: Dataset, judge: DevJudge | None = None) -> tuple[Any, Any]:
    """Give the vectors of dev's queries, and of the corpus or of what the judge has of it."""
    place = {query: row for row, query in enumerate(encoded.query_ids)}
    queries = encoded.queries[[place[query] for query in dev.queries]]
    if judge is None:
        return queries, encoded.documents
    at = {document: row for row, document in enumerate(encoded.document_ids)}
    return queries, encoded.documents[[at[document] for document in judge.document_ids]]


def _trained(
    rows: TrainingRows, judge: DevJudge, config: FinetuneConfig, base: Encoder, stages: Stages, progress: Progress
) -> tuple[Path, dict[str, Any]]:
    """Train, unless a training of the same rows and settings is done; give its folder and what it told."""
    settings = asdict(config)
    depends_on = [
        "1", rows.fingerprint, judge.fingerprint, base.spec.to_dict(), {name: settings[name] for name in _TRAINED_BY},
    ]  # fmt: skip
    folder = stages.folder("trained", depends_on)
    model, done = folder / "model", folder / "done.json"
    if done.is_file():
        stages.reused.append("trained")
        told: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return model, told
    progress("train", 0, None, f"watch it with: tensorboard --logdir {folder}" if config.tracking else "")
    trained = train(rows, judge, config, folder, progress=progress)
    shutil.rmtree(model, ignore_errors=True)
    trained.model.save_pretrained(str(model), create_model_card=False)
    told = {key: value for key, value in vars(trained).items() if key != "model"}
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    (folder / "best.safetensors").unlink(missing_ok=True)
    text = json.dumps(told)
    write_whole(done, text)
    return model, json.loads(text)
