import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError, EncoderError, TrainingError
from embertune.training.finetune.config import EvaluationConfig, FinetuneConfig, LossConfig, MiningSettings
from embertune.training.finetune.judge import DevJudge
from embertune.training.finetune.parts import WEIGHTS, seconds_of
from embertune.training.finetune.rows import make_rows
from embertune.training.finetune.trainer import last_checkpoint, train

pytestmark = pytest.mark.torch

SCRIPT = Path(__file__).with_name("interrupted.py")


def interrupted():
    spec = importlib.util.spec_from_file_location("interrupted", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def encoded(model, data):
    queries = model.encode_query(list(data.queries.values()), show_progress_bar=False)
    documents = model.encode_document([each.content for each in data.corpus.values()], show_progress_bar=False)
    return normalize(queries), normalize(documents)


def judge_of(data, metrics=("ndcg@10",)):
    nothing = np.zeros((len(data.queries), 1), np.float32), np.zeros((len(data.corpus), 1), np.float32)
    return DevJudge.of(data, nothing, {}, metrics, max_documents=1000)


def settings(model, loss="mnrl", *, negatives=0, dims=(), **changes):
    values = {"num_epochs": 10, "learning_rate": 3e-3, "batch_size": 24, "tracking": ()} | changes
    mining = MiningSettings(num_negatives=negatives)
    return FinetuneConfig(
        model_name=str(model), loss=LossConfig(name=loss, matryoshka_dims=dims), mining=mining, **values
    )


def others(data, number=3):
    """For every query the answers of the next ones."""
    texts = [data.corpus[data.positives(query)[0]].content for query in data.queries]
    rolled = [[texts[(at + 13 * step) % len(texts)] for step in range(1, number + 1)] for at in range(len(texts))]
    return dict(zip(data.queries.values(), rolled, strict=True))


def teacher_of(data):
    right = {(data.queries[query], data.corpus[data.positives(query)[0]].content) for query in data.queries}
    return lambda pairs: [10.0 * (pair in right) for pair in pairs]


@pytest.mark.parametrize(
    ("loss", "changes"),
    [
        ("mnrl", {}),
        ("mnrl", {"negatives": 2}),
        ("mnrl", {"dims": (16, 8)}),
        ("mnrl", {"gradient_checkpointing": True, "gradient_accumulation_steps": 2, "num_epochs": 20}),
        ("mnrl", {"precision": "bf16"}),
        ("mnrl", {"query_only": True}),
        ("mnrl", {"lora": 8, "learning_rate": 1e-2, "num_epochs": 25}),
        ("mnrl", {"lora": 8, "query_only": True, "learning_rate": 1e-2, "num_epochs": 15}),
        ("cached_mnrl", {}),
        ("cached_mnrl", {"query_only": True}),
        ("triplet", {"negatives": 3}),
        ("cosent", {"negatives": 3}),
        ("margin_mse", {"negatives": 3, "num_epochs": 20}),
        ("mean_margin", {"negatives": 3, "num_epochs": 20}),
        ("margin_mse", {"negatives": 3, "num_epochs": 20, "dims": (16,)}),
    ],
    ids=str,
)
def test_a_transformer_made_on_the_spot_learns_the_answer(tiny_model, animals, tmp_path, loss, changes):
    config = settings(tiny_model, loss, **changes)
    rows = make_rows(animals, others(animals), config, teacher=teacher_of(animals))
    judge = judge_of(animals)
    trained = train(rows, judge, config, tmp_path)
    after = judge.score(*encoded(trained.model, animals))["ndcg@10"]
    losses = [entry["loss"] for entry in trained.curve if "loss" in entry]
    assert after > (0.9 if config.in_batch else 0.5)
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    assert after == pytest.approx(max(entry["ndcg@10"] for entry in trained.curve if "ndcg@10" in entry))
    assert not [name for name, _ in trained.model.named_parameters() if "lora" in name]


def test_the_first_dimensions_of_a_matryoshka_model_answer_alone(tiny_model, animals, tmp_path):
    scores = {}
    for dims in ((), (8,)):
        config = settings(tiny_model, dims=dims)
        folder = tmp_path / str(len(dims))
        trained = train(make_rows(animals, {}, config), judge_of(animals), config, folder)
        queries, documents = (vectors[:, :8] for vectors in encoded(trained.model, animals))
        scores[dims] = judge_of(animals).score(normalize(queries), normalize(documents))["ndcg@10"]
    assert scores[(8,)] > scores[()] + 0.02


def test_frozen_documents_keep_every_bit_and_the_folder_loads(tiny_model, animals, tmp_path):
    from sentence_transformers import SentenceTransformer

    config = settings(tiny_model, query_only=True, num_epochs=3)
    before = encoded(SentenceTransformer(str(tiny_model)), animals)
    trained = train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path / "work")
    trained.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    loaded = encoded(SentenceTransformer(str(tmp_path / "model")), animals)
    assert np.array_equal(loaded[1], before[1])
    assert np.abs(loaded[0] - before[0]).max() > 0.1
    assert np.array_equal(loaded[0], encoded(trained.model, animals)[0])


def test_merged_low_rank_matrices_are_a_plain_model_with_the_same_vectors(tiny_model, animals, tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer

    from embertune.training.finetune.models import load_model, merge_lora, trainable

    model = load_model(settings(tiny_model, lora=4))
    assert all("lora" in name for name in trainable(model))
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    before = encoded(model, animals)
    merge_lora(model)
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    plain = SentenceTransformer(str(tmp_path / "model"))
    assert not list((tmp_path / "model").glob("adapter*"))
    assert {name for name, _ in plain.named_parameters()} == {
        name for name, _ in SentenceTransformer(str(tiny_model)).named_parameters()
    }
    for mine, theirs in zip(encoded(plain, animals), before, strict=True):
        assert np.allclose(mine, theirs, atol=1e-5)
    assert np.abs(before[0] - encoded(SentenceTransformer(str(tiny_model)), animals)[0]).max() > 0.05


@pytest.mark.parametrize("loss", ["mnrl", "triplet"])
def test_the_loss_curve_is_that_of_plain_sentence_transformers(tiny_model, animals, tmp_path, loss):
    """We add the loop around its trainer, not a different one."""
    from datasets import Dataset as Table
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer import losses

    config = settings(tiny_model, loss, negatives=1, num_epochs=2, evaluation=EvaluationConfig(save_best_model=False))
    rows = make_rows(animals, others(animals), config)
    ours = train(rows, judge_of(animals), config, tmp_path / "ours")

    model = SentenceTransformer(str(tiny_model))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "theirs"), num_train_epochs=2, per_device_train_batch_size=24, learning_rate=3e-3,
        weight_decay=0.01, warmup_steps=0.1, logging_steps=1, save_strategy="no", report_to="none", seed=0,
        disable_tqdm=True, dataloader_pin_memory=False,
        batch_sampler="no_duplicates" if loss == "mnrl" else "batch_sampler",
    )  # fmt: skip
    metric = losses.TripletDistanceMetric.COSINE
    made = {
        "mnrl": lambda: losses.MultipleNegativesRankingLoss(model),
        "triplet": lambda: losses.TripletLoss(model, distance_metric=metric, triplet_margin=0.2),
    }
    theirs = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=Table.from_dict(rows.columns), loss=made[loss]()
    )
    theirs.train()
    curve = [entry["loss"] for entry in theirs.state.log_history if "loss" in entry]
    assert [entry["loss"] for entry in ours.curve if "loss" in entry] == curve
    assert all(
        np.array_equal(*pair) for pair in zip(encoded(ours.model, animals), encoded(model, animals), strict=True)
    )


def test_mean_margin_is_the_loss_of_the_same_name_that_adapters_have():
    import torch

    from embertune.adapters.solvers.distillation import mean_margin
    from embertune.training.finetune.losses import make_loss

    class Given(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features}

    rng = np.random.default_rng(0)
    columns = [normalize(rng.normal(size=(6, 4)).astype(np.float32)) for _ in range(4)]
    margins = rng.normal(size=(6, 2)) * 5
    loss = make_loss(Given(), FinetuneConfig(loss=LossConfig(name="mean_margin", temperature=0.1)))
    found = loss(
        [torch.from_numpy(each) for each in columns], torch.tensor(margins.mean(axis=1), dtype=torch.float32)
    ).item()
    triplets = [(at, at, 6 * step + at) for at in range(6) for step in (1, 2)]
    expected, *_ = mean_margin(columns[0], np.concatenate(columns[1:]), triplets, margins.ravel(), temperature=0.1)
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_best_step_is_kept_and_patience_ends_a_training(tiny_model, animals, tmp_path, monkeypatch):
    told = iter([0.1, 0.5, 0.4, 0.3, 0.9, 0.9])
    monkeypatch.setattr(DevJudge, "score", lambda *arguments: {"ndcg@10": next(told)})
    judged = EvaluationConfig(eval_steps=2, early_stopping_patience=2)
    config = settings(tiny_model, evaluation=judged)
    trained = train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path)
    assert (trained.step, trained.steps) == (4, 8)


def test_a_killed_training_resumes_to_the_same_weights(tiny_model, tmp_path):
    """The moment of the kill is random: a quarter of a second lasts a step or several."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(tiny_model), str(tmp_path / "killed")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline, until = time.monotonic() + 600, int(np.random.default_rng().integers(2, 40))
    while process.poll() is None and time.monotonic() < deadline:
        checkpoint = last_checkpoint(tmp_path / "killed") if (tmp_path / "killed").is_dir() else None
        if checkpoint is not None and int(checkpoint.name.rpartition("-")[2]) >= until:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    checkpoint = last_checkpoint(tmp_path / "killed")
    reached, spent = int(checkpoint.name.rpartition("-")[2]), seconds_of(checkpoint / WEIGHTS)

    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = []
        resumed = interrupted().run(tiny_model, tmp_path / "killed", lambda stage, done, *rest: steps.append(done))
        whole = interrupted().run(tiny_model, tmp_path / "whole")
    finally:
        torch.set_num_threads(threads)
    assert steps[0] == reached
    assert steps[1] == reached + 1 or reached == 45
    assert resumed.curve == whole.curve
    assert resumed.seconds > spent > 0
    assert (resumed.step, resumed.steps) == (whole.step, 45)
    mine, theirs = resumed.model.state_dict(), whole.model.state_dict()
    assert [name for name in theirs if not torch.equal(mine[name], theirs[name])] == []


def test_a_checkpoint_that_was_cut_short_is_passed_over(tmp_path):
    for step, files in ((5, ("trained.safetensors", "trainer_state.json")), (10, ("trained.safetensors",))):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for file in files:
            (tmp_path / f"checkpoint-{step}" / file).write_text("{}", encoding="utf-8")
    assert last_checkpoint(tmp_path).name == "checkpoint-5"


@pytest.mark.parametrize(
    ("loss", "fits", "note"),
    [
        ("mnrl", 24, "Memory ran out at 24 rows; it went on with 12 texts at a time, their gradients cached, so that "),
        ("triplet", 12, "Memory ran out at 24 rows; it went on with 12 rows at a time, 2 of them for a step."),
    ],
)
def test_memory_that_runs_out_halves_what_is_in_it(tiny_model, animals, tmp_path, monkeypatch, loss, fits, note):
    """As many steps, and for mnrl the same loss: its batches are never cut."""
    import torch
    from sentence_transformers.sentence_transformer import losses

    config = settings(tiny_model, loss, negatives=1, num_epochs=2)
    rows = make_rows(animals, others(animals), config)
    whole = train(rows, judge_of(animals), config, tmp_path / "whole")

    kind = losses.MultipleNegativesRankingLoss if loss == "mnrl" else losses.TripletLoss
    plain, seen = kind.forward, []

    def forward(self, features, labels=None):
        seen.append(len(features[0]["input_ids"]))
        if seen[-1] > fits or loss == "mnrl":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return plain(self, features, labels)

    monkeypatch.setattr(kind, "forward", forward)
    halved = train(rows, judge_of(animals), config, tmp_path / "halved")
    assert len(halved.notes) == 1
    assert halved.notes[0].startswith(note)
    assert halved.steps == whole.steps
    assert seen[0] == 24
    first = [next(entry["loss"] for entry in each.curve if "loss" in entry) for each in (halved, whole)]
    assert first[0] == pytest.approx(first[1], rel=0.2)  # dropout draws other numbers


def test_memory_too_small_for_one_row_says_what_to_change(tiny_model, animals, tmp_path, monkeypatch):
    from sentence_transformers.sentence_transformer import losses

    def forward(self, features, labels=None):
        raise MemoryError

    monkeypatch.setattr(losses.TripletLoss, "forward", forward)
    config = settings(tiny_model, "triplet", batch_size=2)
    with pytest.raises(TrainingError, match=re.escape("a single row in memory. Shorten texts (max_seq_length=128)")):
        train(make_rows(animals, others(animals), config), judge_of(animals), config, tmp_path)


def test_a_loss_that_is_no_number_stops_with_step_queries_and_cause(tiny_model, animals, tmp_path):
    config = settings(tiny_model, learning_rate=1e30, warmup_ratio=0, batch_size=4)
    message = r"The loss is nan at step \d+, of the batch with the queries q\d+, q\d+, q\d+, q\d+\. The weights had "
    with pytest.raises(TrainingError, match=message + r".* Type: learning_rate=1e\+29$"):
        train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path)


def test_labels_that_are_no_numbers_are_named(tiny_model, animals, tmp_path):
    config = settings(tiny_model, "margin_mse", negatives=1)
    rows = make_rows(animals, others(animals), config, teacher=lambda pairs: [float("nan")] * len(pairs))
    with pytest.raises(TrainingError, match=r"at step 1, .* look at what the teacher gives"):
        train(rows, judge_of(animals), config, tmp_path)


def test_global_generators_are_given_back(tiny_model, animals, tmp_path):
    import random

    import torch

    random.seed(5)
    torch.manual_seed(5)
    expected = random.random(), torch.rand(1).item()
    random.seed(5)
    torch.manual_seed(5)
    config = settings(tiny_model, num_epochs=1)
    train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path)
    assert (random.random(), torch.rand(1).item()) == expected


def test_impossible_models_are_explained(tiny_model, tmp_path):
    from embertune.training.finetune.losses import make_loss
    from embertune.training.finetune.models import load_model

    with pytest.raises(EncoderError, match=r"^The model '.*no-model' could not be loaded: "):
        load_model(FinetuneConfig(model_name=str(tmp_path / "no-model")))
    config = settings(tiny_model, dims=(64, 16))
    with pytest.raises(ConfigError, match=re.escape("matryoshka_dims has 64; the model's embeddings have 32 dimensio")):
        make_loss(load_model(config), config)


def test_halves_that_only_a_gpu_adds_up_are_refused_without_one(tiny_model, animals, tmp_path):
    import torch

    if torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    config = settings(tiny_model, precision="fp16")
    message = "precision is fp16, which needs a GPU, and there is none. Type: precision=fp32"
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path)


def test_a_tracker_follows_the_training_by_its_name(tiny_model, animals, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = settings(tiny_model, num_epochs=1, tracking=("tensorboard",))
    trained = train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path)
    (file,) = tmp_path.rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file)).Reload()
    told = {event.step: event.value for event in events.Scalars("train/loss")}
    losses = {entry["step"]: entry["loss"] for entry in trained.curve if "loss" in entry}
    assert told == pytest.approx(losses, rel=1e-5)
    assert "eval/dev_ndcg@10" in events.Tags()["scalars"]


def test_texts_too_few_for_a_batch_are_no_training(tiny_model, tmp_path, monkeypatch):
    """What happens in several processes, which pass a rest over: in one it is a batch."""
    from embertune.training.finetune import parts

    config = settings(tiny_model, batch_size=8, evaluation=EvaluationConfig(eval_steps=1))
    data = Dataset.from_pairs([(f"where is the cat {n}", f"river {n % 4}") for n in range(16)])
    plain = parts._arguments
    monkeypatch.setattr(parts, "_arguments", lambda *given: replace(plain(*given), dataloader_drop_last=True))
    message = "No batch of 8 rows could be put together in which no text occurs twice, so nothing was trained. "
    with pytest.raises(TrainingError, match=re.escape(message + "Type: batch_size=4")):
        train(make_rows(data, {}, config), judge_of(data), config, tmp_path)


def test_prompts_and_length_are_those_of_the_model_that_is_saved(tiny_model, animals, tmp_path):
    from sentence_transformers import SentenceTransformer

    config = settings(tiny_model, num_epochs=1, prompts={"query": "the ", "document": "a "}, max_seq_length=9)
    trained = train(make_rows(animals, {}, config), judge_of(animals), config, tmp_path / "work")
    trained.model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    loaded = SentenceTransformer(str(tmp_path / "model"))
    assert (loaded.prompts["query"], loaded.prompts["document"], loaded.max_seq_length) == ("the ", "a ", 9)
    plain = train(
        make_rows(animals, {}, config), judge_of(animals), settings(tiny_model, num_epochs=1), tmp_path / "plain"
    )
    assert plain.curve[0]["loss"] != trained.curve[0]["loss"]
