"""Fine-tune a whole model: split, mine, label, train, choose on dev, judge once on test against the adapter."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from embertune.encoders.registry import load_encoder, names_weights
from embertune.encoders.scorers import load_scorer
from embertune.encoders.sentence_transformers import SentenceTransformerEncoder
from embertune.errors import ConfigError
from embertune.evaluation.verdict import Verdict
from embertune.recipes.details import Details
from embertune.recipes.finetune_contest import Fitted, fit_adapter, judge_all
from embertune.recipes.finetune_data import Parts, read_data, split_data
from embertune.recipes.finetune_record import Course, make_finetune_record
from embertune.recipes.finetune_result import FinetuneResult, check_output
from embertune.recipes.hub import check_upload
from embertune.recipes.mine_negatives import mine_negatives
from embertune.reports.examples import Texts
from embertune.training.finetune import processes
from embertune.training.finetune.config import FinetuneConfig
from embertune.training.finetune.files import make_config, read_config
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.mixing import mix_with_base
from embertune.training.finetune.parts import BEST
from embertune.training.finetune.rows import Negatives, Teacher, TrainingRows, make_rows
from embertune.training.finetune.stages import Stages, fingerprint
from embertune.training.finetune.trainer import Trained, train

__all__ = ["finetune"]

_DONE = "done.json"
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
    an interrupted training goes on at its last checkpoint. Several processes on one machine (``accelerate launch``)
    train together; the first of them does everything else, and all return the same.

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
    # By the first process alone: every one of them would print what is refused.
    settings = processes.from_main(lambda: _settings(config, teacher, save))
    heard = progress if processes.is_main() else silent
    with _cache(settings) as folder:
        main = _Main(settings, Stages(folder), teacher, heard)
        rows, judge, spec = processes.from_main(lambda: main.prepare(data))
        trained, told = _trained(rows, judge, settings, spec, main.stages, heard)
        model, mixed = processes.from_main(lambda: main.mix(trained))
        found = processes.from_main(lambda: main.judge(model, told, mixed))
        library = require("sentence_transformers", extra="finetune", purpose="Fine-tuning")
        result = FinetuneResult(found[0], library.SentenceTransformer(str(model)), *found[1:])
        processes.from_main(lambda: _save(result, settings, heard) if save else None)
    return result


def _save(result: FinetuneResult, config: FinetuneConfig, progress: Progress) -> None:
    target = result.save(config.output_dir)
    if config.push_to_hub:
        progress("upload", 0)
        result.push(config.push_to_hub, target)


class _Main:
    """What the first process does before and after training, and keeps in between."""

    def __init__(self, config: FinetuneConfig, stages: Stages, teacher: Teacher | None, progress: Progress) -> None:
        self.config, self.stages, self.teacher, self.progress = config, stages, teacher, progress
        self.started = time.perf_counter()

    def prepare(self, data: Any) -> tuple[TrainingRows, DevJudge, dict[str, Any]]:
        """Split, embed, mine and label: give what is learned, what is judged on, and the base's spec."""
        config = self.config
        self.parts = split_data(read_data(data, config), config)
        self.base = _model(config.model_name, config)
        self.encoded = encode_dataset(self.base, self.parts.dataset, progress=self.progress)
        at_mine = time.perf_counter()
        mined, for_dev = _mined(self.parts, config, self.base, self.stages, self.progress)
        at_label = time.perf_counter()
        self.rows = make_rows(self.parts.train, mined, config, teacher=_scorer(config, self.teacher))
        self.dev = DevJudge.of(
            self.parts.dev, _vectors(self.encoded, self.parts.dev), for_dev, config.dev_metrics,
            max_documents=config.evaluation.max_documents,
        )  # fmt: skip
        labelled = time.perf_counter()
        self.seconds = {
            "embed": self.encoded.seconds,
            "mine": at_label - at_mine,
            "label": labelled - at_label,
            "mix": 0,
        }
        return self.rows, self.dev, self.base.spec.to_dict()

    def mix(self, trained: Path) -> tuple[Path, dict[str, Any] | None]:
        """Give the trained model some of the base's weights back, unless the settings say no; tell how much."""
        if not (self.config.base_shares and self.config.evaluation.save_best_model and self.dev.queries):
            return trained, None
        began = time.perf_counter()
        # In the folder of the training, so that it goes when that goes.
        folder = trained.parent / f"mixed-{fingerprint('2', self.config.base_shares)}"
        done = folder / _DONE
        if done.is_file():
            self.stages.reused.append("mixed")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            mixed = mix_with_base(trained, folder / "model", self.dev, self.config, progress=self.progress)
            told = {"share": mixed.share, "metric": self.dev.metrics[0], "dev": list(mixed.scores.items())}
            write_whole(done, json.dumps(told))
        self.seconds["mix"] = time.perf_counter() - began
        return folder / "model", json.loads(done.read_text(encoding="utf-8"))

    def judge(
        self, model: Path, told: dict[str, Any], mixed: dict[str, Any] | None
    ) -> tuple[dict[str, Any], Verdict, Texts, Details | None]:
        """Fit the adapters and open test: give record, verdict, and what the report shows."""
        config, parts, encoded, progress = self.config, self.parts, self.encoded, self.progress
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
        seconds = {"train": told["seconds"], "evaluate": finished - at_judge, "total": finished - self.started}
        before = self.dev.score(*_vectors(encoded, parts.dev, self.dev))
        course = Course(told, mixed, before, self.rows, tuple(self.stages.reused), self.seconds | seconds, fitted)
        record = make_finetune_record(parts, config, self.base.spec, judged, course)
        measured = judged.measured
        return record, measured.verdict, measured.texts, measured.details


def _settings(
    config: FinetuneConfig | Mapping[str, Any] | str | Path | None, teacher: Teacher | None, save: bool
) -> FinetuneConfig:
    """Read the configuration, and refuse before any work what would be refused after it."""
    if isinstance(config, FinetuneConfig):
        settings = config
    else:
        settings = make_config(config) if isinstance(config, Mapping) else read_config(config)
    if settings.taught and teacher is None and settings.loss.teacher is None:
        raise ConfigError(
            f"The loss {settings.loss.name} distils a teacher, which was not named. Type: "
            "loss.teacher=cross-encoder/ms-marco-MiniLM-L6-v2"
        )
    if save:
        check_output(settings.output_dir)
        if settings.push_to_hub:
            check_upload(settings.push_to_hub)
    _check_packages(settings)
    return settings


def _check_packages(config: FinetuneConfig) -> None:
    """Say which package is missing."""
    for module in ("sentence_transformers", "datasets", "accelerate"):
        require(module, extra="finetune", purpose="Fine-tuning")
    if missing := [name for name in config.tracking if find_spec(name) is None]:
        raise ConfigError(
            f"tracking names {', '.join(missing)}, which is not installed. Type: pip install {' '.join(missing)}, or "
            "leave it out: tracking=none"
        )


@contextmanager
def _cache(config: FinetuneConfig) -> Iterator[str | Path]:
    """Give the folder of the stages; where the user's cache is switched off, one that is deleted afterwards."""
    folder = cache_folder()
    if config.cache_dir is not None:
        yield as_path(config.cache_dir)
    elif folder is not None:
        yield folder / "finetune"
    else:
        with tempfile.TemporaryDirectory() as mine:
            yield processes.from_main(lambda: mine)


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
    if names_weights(name):
        return SentenceTransformerEncoder(name, batch_size=batch_size)
    return load_encoder(name)


def _scorer(config: FinetuneConfig, teacher: Teacher | None) -> Teacher | None:
    if not config.taught:
        return None
    source = teacher if teacher is not None else str(config.loss.teacher)
    # Cross-encoders are cached batch by batch, so an interrupted labelling goes on where it was.
    return lambda pairs: load_scorer(source).score(pairs)


def _vectors(encoded: Encoded, dev: Dataset, judge: DevJudge | None = None) -> tuple[Any, Any]:
    """Give the vectors of dev's queries, and of the corpus or of what the judge has of it."""
    queries = encoded.queries[encoded.query_rows(dev.queries)]
    if judge is None:
        return queries, encoded.documents
    return queries, encoded.documents[encoded.document_rows(judge.document_ids)]


def _trained(
    rows: TrainingRows, judge: DevJudge, config: FinetuneConfig, base: dict[str, Any], stages: Stages,
    progress: Progress,
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """Train, unless a training of the same rows and settings is done; give its folder and what it told."""
    settings = asdict(config)
    depends_on = [
        "2", rows.fingerprint, judge.fingerprint, base, {name: settings[name] for name in _TRAINED_BY},
        processes.count(),
    ]  # fmt: skip
    folder, told = processes.from_main(lambda: _done_before(stages, stages.folder("trained", depends_on)))
    if told is None:
        progress("train", 0, None, f"watch it with: tensorboard --logdir {folder}" if config.tracking else "")
        trained = train(rows, judge, config, folder, progress=progress)
        told = processes.from_main(lambda: _kept(trained, folder))
    return folder / "model", told


def _done_before(stages: Stages, folder: Path) -> tuple[Path, dict[str, Any] | None]:
    done = folder / _DONE
    if not done.is_file():
        return folder, None
    stages.reused.append("trained")
    return folder, json.loads(done.read_text(encoding="utf-8"))


def _kept(trained: Trained, folder: Path) -> dict[str, Any]:
    """Write a trained model down, and then that it is done; what is needed to resume goes."""
    model = folder / "model"
    for before in (model, *folder.glob("mixed-*")):
        shutil.rmtree(before, ignore_errors=True)
    trained.model.save_pretrained(str(model), create_model_card=False)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    (folder / BEST).unlink(missing_ok=True)
    text = json.dumps({key: value for key, value in vars(trained).items() if key != "model"})
    write_whole(folder / _DONE, text)
    told: dict[str, Any] = json.loads(text)
    return told
