import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from embertune.cli import root
from embertune.core.progress import silent
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError, MissingExtraError, StorageError, TrainingError
from embertune.recipes import finetune_model
from embertune.training.finetune import processes, trainer
from embertune.training.finetune.config import FinetuneConfig, LossConfig, MiningSettings
from embertune.training.finetune.rows import make_rows
from embertune.training.finetune.trainer import train

SCRIPT = Path(__file__).with_name("together.py")
LAUNCH = ["--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no",
          "--main_process_port=0"]  # fmt: skip


def together():
    spec = importlib.util.spec_from_file_location("together", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def launch(*arguments, **options):
    """What a user types, on a machine without GPUs: its two processes talk through gloo."""
    command = [sys.executable, "-m", "accelerate.commands.launch", *LAUNCH, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **options.pop("env", {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, **options)


def test_without_a_launcher_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # of some other job; no launcher of torch's gives that alone
    assert processes.count() == 1
    assert processes.is_main()
    with pytest.raises(ZeroDivisionError):
        processes.from_main(lambda: 1 / 0)


def test_the_first_process_alone_opens_the_file_for_progress(tmp_path, monkeypatch):
    for name, value in (("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("RANK", "1")):
        monkeypatch.setenv(name, value)
    called = []
    monkeypatch.setattr(finetune_model, "finetune", lambda **given: called.append(given))
    monkeypatch.setattr(processes, "from_main", lambda work: "what the first process read")
    file = tmp_path / "progress.jsonl"
    file.write_text("of the first\n", encoding="utf-8")
    assert root.main(["finetune", "data=x", "--progress-file", str(file)], standalone_mode=False) in (None, 0)
    assert called == [{"config": "what the first process read"}]
    assert file.read_text(encoding="utf-8") == "of the first\n"


@pytest.fixture(scope="module")
def still_model(tiny_model, tmp_path_factory):
    """The model without dropout, whose draws would differ."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("still") / "model")
    config = folder / "config.json"
    values = json.loads(config.read_text(encoding="utf-8"))
    values |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(still_model, tmp_path_factory):
    """What two processes with four rows each told."""
    folder = tmp_path_factory.mktemp("together")
    done = launch(SCRIPT, still_model, folder, 4, *together().CASES)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


@pytest.mark.torch
@pytest.mark.parametrize("case", [case for case in together().CASES if case != "lora"])  # which has dropout of its own
def test_two_processes_are_one_with_twice_the_batch(trained, still_model, tmp_path, case):
    script = together()
    whole = script.told(script.run(still_model, case, tmp_path, 8))
    pair = trained[0][case]
    assert (pair["step"], pair["steps"]) == (whole["step"], whole["steps"])
    assert len(pair["curve"]) == len(whole["curve"]) >= 8
    for mine, theirs in zip(pair["curve"], whole["curve"], strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)
    assert trained[1][case] == pair


@pytest.mark.torch
def test_low_rank_matrices_are_trained_in_two_processes_and_merged(trained, still_model):
    from sentence_transformers import SentenceTransformer

    first, second = (each["lora"] for each in trained)
    assert first == second
    assert first["curve"][0] == pytest.approx(trained[0]["mnrl"]["curve"][0], abs=1e-4)  # they start at nothing
    before = SentenceTransformer(str(still_model)).state_dict()
    assert first["weights"].keys() == before.keys()
    changed = {name for name, each in before.items() if abs(each.double().abs().sum() - first["weights"][name]) > 1e-3}
    assert changed
    assert all("weight" in name and "embeddings" not in name for name in changed)


@pytest.mark.torch
def test_two_processes_resume_to_the_same_weights(trained):
    assert trained[0]["resumed"] == trained[0]["mnrl"]


@pytest.mark.torch
def test_what_the_first_process_did_is_told_to_the_other(trained):
    assert trained[0]["asked"] == trained[1]["asked"]
    assert [each["failed"] for each in trained] == ["ZeroDivisionError", "SystemExit"]


@pytest.mark.torch
def test_the_command_trains_in_two_processes_and_speaks_once(still_model, animals, tmp_path):
    animals.save(tmp_path / "data")
    (tmp_path / "config.yaml").write_text(
        f"data: data\nmodel_name: {still_model}\ntracking: []\nadapter: false\nnum_epochs: 1\nbatch_size: 8\n"
        "cache_dir: cache\noutput_dir: out\nmining: {num_negatives: 0}\n",
        encoding="utf-8",
    )
    done = launch("-m", "embertune", "finetune", "config.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    record = json.loads(done.stdout)
    assert record["training"]["steps"] == record["training"]["rows"] // 16
    assert record == json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))
    assert done.stderr.count("Report: out/report.html") == 1


@pytest.mark.torch
def test_a_mistake_is_told_once_by_two_processes(tmp_path):
    done = launch("-m", "embertune", "finetune", "data=x", "num_epoch=3", cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("There is no key num_epoch. Did you mean num_epochs?") == 1, done.stderr


@pytest.mark.parametrize(
    "config", [{"num_epoch": 3}, {"output_dir": "."}, {"loss": "margin_mse"}, {"tracking": ["no_such_tracker"]}]
)
def test_the_first_process_alone_looks_for_mistakes(monkeypatch, config):
    with pytest.raises((ConfigError, StorageError, MissingExtraError)):
        finetune_model.finetune("x", config)

    def failed_in_the_first(work):
        raise SystemExit(0)

    monkeypatch.setattr(processes, "from_main", failed_in_the_first)
    with pytest.raises(SystemExit):
        finetune_model.finetune("x", config)


def parts_of(model, rows, config, folder):
    from datasets import Dataset as Table

    from embertune.training.finetune.losses import make_loss
    from embertune.training.finetune.models import load_model
    from embertune.training.finetune.parts import make_parts

    parts, loaded = make_parts(config, SimpleNamespace(metrics=("mrr",)), rows, folder, silent), load_model(config)
    return parts.trainer(
        model=loaded, args=parts.arguments(loaded, config.batch_size, 1), train_dataset=Table.from_dict(rows.columns),
        loss=make_loss(loaded, config), evaluator=parts.evaluator,
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("number", [1, 2])
def test_no_text_occurs_twice_in_what_all_processes_have_of_a_step(still_model, tmp_path, monkeypatch, number):
    """The batches of two processes are cut as one: cut one by one, an answer could stand in both."""
    monkeypatch.setattr(processes, "count", lambda: number)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    data = Dataset.from_pairs([(f"where is the cat {n}", f"river {n // 3}") for n in range(60)])
    config = FinetuneConfig(
        model_name=str(still_model), batch_size=4, tracking=(), mining=MiningSettings(num_negatives=0)
    )
    rows = make_rows(data, {}, config)
    made = parts_of(still_model, rows, config, tmp_path)
    sampler = made.get_batch_sampler(made.train_dataset, batch_size=4, drop_last=True, valid_label_columns=[])
    batches = [[rows.columns["positive"][at] for at in batch] for batch in sampler]
    assert len(batches) == 15 // number
    assert {len(set(batch)) for batch in batches} == {4 * number}


@pytest.mark.torch
def test_what_cannot_be_trained_in_several_processes_is_explained(still_model, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 3)
    config = FinetuneConfig(model_name=str(still_model), batch_size=16, mining=MiningSettings(num_negatives=0))
    rows = make_rows(Dataset.from_pairs([(f"q {n}", f"d {n}") for n in range(40)]), {}, config)
    message = "40 rows are no whole batch of 3 processes with 16 each. Type: batch_size=13"
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(rows, None, config, tmp_path)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("loss", "typed"),
    [("mnrl", "loss=cached_mnrl loss.mini_batch_size=4"), ("triplet", "batch_size=4 gradient_accumulation_steps=2")],
)
def test_memory_that_runs_out_in_one_of_several_stops_all_with_what_to_type(tmp_path, monkeypatch, loss, typed):
    def attempt(*arguments):
        raise MemoryError

    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(trainer, "_attempt", attempt)
    config = FinetuneConfig(batch_size=8, loss=LossConfig(name=loss))
    message = f"Memory ran out with 8 rows in memory of one of 2 processes. Type: {typed}"
    with pytest.raises(TrainingError, match=re.escape(message) + "$"):
        train([None] * 16, None, config, tmp_path)


@pytest.mark.torch
def test_seconds_before_memory_ran_out_are_counted_once(tmp_path, monkeypatch):
    tried = []

    def attempt(*arguments):
        tried.append(arguments)
        if len(tried) == 1:
            raise MemoryError
        return None, SimpleNamespace(log_history=[], global_step=1)

    monkeypatch.setattr(trainer, "_attempt", attempt)
    monkeypatch.setattr(trainer, "_finish", lambda *arguments: 1)
    # The first attempt has left a checkpoint, whose seconds are also on this process's clock.
    monkeypatch.setattr(trainer, "last_checkpoint", lambda folder: folder if tried else None)
    monkeypatch.setattr(trainer, "seconds_of", lambda path: 1000.0)
    trained = train([None] * 16, None, FinetuneConfig(batch_size=8), tmp_path)
    assert len(tried) == 2
    assert trained.seconds < 500


def test_a_checkpoint_needs_the_random_state_of_every_process(tmp_path, monkeypatch):
    for step, ranks in ((5, (0, 1)), (10, (0,))):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in ("trained.safetensors", "trainer_state.json", *(f"rng_state_{rank}.pth" for rank in ranks)):
            (folder / name).write_text("{}", encoding="utf-8")
    assert trainer.last_checkpoint(tmp_path).name == "checkpoint-10"
    monkeypatch.setattr(processes, "count", lambda: 2)
    assert trainer.last_checkpoint(tmp_path).name == "checkpoint-5"
