import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embertune.training.finetune import processes

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
@pytest.mark.parametrize("case", [case for case in together().CASES if case != "lora"])
def test_two_processes_are_one_with_twice_the_batch(trained, still_model, tmp_path, case):
    script = together()
    whole = script.told(script.run(still_model, case, tmp_path, 8))
    pair = trained[0][case]
    assert (pair["step"], pair["steps"]) == (whole["step"], whole["steps"])
    assert len(pair["curve"]) == len(whole["curve"]) > 12
    for mine, theirs in zip(pair["curve"], whole["curve"], strict=True):
        assert mine == pytest.approx(theirs, abs=2e-4)
    assert pair["weights"] == pytest.approx(whole["weights"], rel=2e-4, abs=1e-4)
    assert trained[1][case]["weights"] == pair["weights"]
