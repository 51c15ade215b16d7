import importlib.util
import json
import re
import shutil
import sys
import types
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import embertune
from embertune.cli import root
from embertune.data.dataset import Dataset
from embertune.errors import ConfigError, DataError, StorageError
from embertune.evaluation import Run, evaluate
from embertune.recipes import finetune_model, finetune_record
from embertune.recipes.finetune_data import read_data, split_data
from embertune.recipes.finetune_result import check_output
from embertune.training.finetune.config import FinetuneConfig, LossConfig

SPEC = importlib.util.spec_from_file_location(
    "finetune_conftest", Path(__file__).parents[1] / "training" / "finetune" / "conftest.py"
)
SHARED = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(SHARED)
tiny_model, animals = SHARED.tiny_model, SHARED.animals

NUMBERS = Dataset.from_pairs([(f"question {n}", f"answer {n}") for n in range(100)])


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def values(model, folder, **changes):
    quick = {"num_epochs": 6, "learning_rate": 3e-3, "batch_size": 24, "tracking": None}
    return {"model_name": str(model), "output_dir": str(folder / "model"), **quick, **changes}


def test_a_sample_leaves_the_given_test_alone():
    parts = {f"q{n}": "test" if n <= 20 else "train" for n in range(1, 101)}
    data = Dataset(NUMBERS.corpus, NUMBERS.queries, NUMBERS.qrels, "given", parts)
    drawn = split_data(data, FinetuneConfig(sample_size=40))
    assert len(drawn.trial.test.queries) == 20
    assert len(drawn.train.queries) + len(drawn.dev.queries) == 40
    assert len(drawn.dataset.corpus) == 100
    assert "40 of 80 queries were drawn (sample_size)." in drawn.plan.notes
    other = split_data(data, FinetuneConfig(sample_size=40, seed=1))
    assert set(other.train.queries) != set(drawn.train.queries)


def test_the_test_size_is_that_of_test_and_no_query_stands_twice():
    parts = split_data(NUMBERS, FinetuneConfig(test_size=0.3))
    train, dev, test = (set(part.queries) for part in (parts.train, parts.dev, parts.trial.test))
    assert [len(part) for part in (train, dev, test)] == [49, 21, 30]
    assert not train & dev | train & test | dev & test


def test_few_queries_are_split_in_three_all_the_same():
    few = NUMBERS.select([f"q{n}" for n in range(1, 31)])
    assert len(split_data(few, FinetuneConfig()).plan.trials) == 1


def test_data_comes_from_one_place():
    with pytest.raises(ConfigError, match=re.escape("There is no data. Type: data=FOLDER_OR_FILE, or dataset_name")):
        read_data(None, FinetuneConfig())
    with pytest.raises(ConfigError, match=re.escape("Data was given, and the configuration names 'other', too.")):
        read_data(NUMBERS, FinetuneConfig(data="other"))


def test_a_data_set_of_the_hub_is_read_by_its_columns(monkeypatch):
    import pandas

    def load_dataset(name, split):
        if name == "me/none":
            raise FileNotFoundError("Dataset 'me/none' doesn't exist on the Hub")
        assert (name, split) == ("me/rows", "train[:2]")
        return pandas.DataFrame({"anchor": ["a", "b"], "positive": ["x", "y"], "negative": ["y", "x"]})

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    data = read_data(None, FinetuneConfig(dataset_name="me/rows", dataset_split="train[:2]"))
    assert data.qrels == {"q1": {"d1": 1.0, "d2": 0.0}, "q2": {"d2": 1.0, "d1": 0.0}}
    with pytest.raises(DataError, match=re.escape("'me/none' could not be loaded: Dataset 'me/none' doesn't exist")):
        read_data(None, FinetuneConfig(dataset_name="me/none"))


def test_a_folder_of_something_else_is_refused_before_any_work(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=re.escape("is no model that was fine-tuned here, so it was left alone.")):
        check_output(tmp_path)
    assert check_output(tmp_path / "new" / "model").name == "model"


def test_a_loss_that_distils_needs_a_teacher():
    with pytest.raises(ConfigError, match=re.escape("The loss margin_mse distils a teacher, which was not named. ")):
        embertune.finetune(NUMBERS, {"loss": "margin_mse"})


def test_a_key_for_the_hub_is_asked_for_before_any_work(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"^Pushing needs a key with the right to write\. Type: export HF_TOKEN="):
        embertune.finetune(NUMBERS, {"push_to_hub": "me/model", "output_dir": str(tmp_path / "model")})


@pytest.mark.parametrize("name", ["model", "me/a/b", "my model", "me/"])
def test_a_name_that_the_hub_would_refuse_is_refused_before_any_work(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HF_TOKEN", "hf_none_of_anyone")
    with pytest.raises(ConfigError, match=f"^'{name}' is no name of a repository\\. Expected OWNER/NAME\\.$"):
        embertune.finetune(NUMBERS, {"push_to_hub": name, "output_dir": str(tmp_path / "model")})


@pytest.mark.parametrize(
    ("name", "loaded"),
    [
        ("BAAI/bge-small-en-v1.5", ("weights", "BAAI/bge-small-en-v1.5", {"batch_size": 8})),
        ("statistics/of-a-hub-owner", ("weights", "statistics/of-a-hub-owner", {"batch_size": 8})),
        ("static", ("any", "static", {})),
        ("ollama/nomic-embed-text", ("any", "ollama/nomic-embed-text", {})),
        ("jina_ai/jina-embeddings-v3", ("any", "jina_ai/jina-embeddings-v3", {})),
    ],
)
def test_negatives_are_mined_by_any_encoder(monkeypatch, name, loaded):
    def loads(kind):
        return lambda name, **options: (kind, name, options)

    monkeypatch.setattr(finetune_model, "load_encoder", loads("any"))
    monkeypatch.setattr(finetune_model, "SentenceTransformerEncoder", loads("weights"))
    assert finetune_model._mining_model(name, 8) == loaded


def test_a_record_names_no_place_of_this_machine(tmp_path):
    folder = tmp_path / "my-teacher"
    folder.mkdir()
    loss = LossConfig(name="margin_mse", teacher=str(folder))
    told = finetune_record._plain(asdict(FinetuneConfig(data=str(tmp_path), mining_model_name=str(folder), loss=loss)))
    assert str(tmp_path) not in json.dumps(told)
    assert (told["mining_model_name"], told["loss"]["teacher"]) == ("my-teacher", "my-teacher")
    hub = FinetuneConfig(mining_model_name="BAAI/bge-small-en-v1.5")
    assert finetune_record._plain(asdict(hub))["mining_model_name"] == "BAAI/bge-small-en-v1.5"


def test_print_config_writes_what_it_read(capsys):
    assert root.main(["finetune", "num_epochs=7", "--print-config"], standalone_mode=False) in (None, 0)
    assert "\nnum_epochs: 7\n" in capsys.readouterr().out


def test_two_configurations_are_refused():
    with pytest.raises(ConfigError, match=re.escape("Found 2 configurations: a.yaml, b.yaml. Expected one, and ")):
        root.main(["finetune", "a.yaml", "b.yaml"], standalone_mode=False)


@pytest.fixture(scope="module")
def finetuned(tiny_model, animals, tmp_path_factory):
    """One run of everything, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("finetuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("EMBERTUNE_CACHE", str(folder / "cache"))
        result = embertune.finetune(
            animals, values(tiny_model, folder, test_size=0.25, mining={"num_negatives": 2}, price_per_hour=3.6)
        )
    return result, folder


@pytest.mark.torch
def test_the_record_is_what_the_saved_model_does(finetuned, animals):
    from sentence_transformers import SentenceTransformer

    result, folder = finetuned
    record = json.loads((folder / "model" / "record.json").read_text(encoding="utf-8"))
    assert record == result.record
    model = SentenceTransformer(str(folder / "model"))
    queries = model.encode_query(list(animals.queries.values()), normalize_embeddings=True)
    documents = model.encode_document([each.content for each in animals.corpus.values()], normalize_embeddings=True)
    tested = [row["id"] for row in record["queries"]]
    rows = [list(animals.queries).index(query) for query in tested]
    scores = {
        query: dict(zip(animals.corpus, (queries[row] @ documents.T).tolist(), strict=True))
        for query, row in zip(tested, rows, strict=True)
    }
    qrels = {query: animals.qrels[query] for query in tested}
    found = evaluate(qrels, Run.from_scores(scores), ["ndcg@10", "mrr@10"]).means
    assert record["tuned"]["ndcg@10"] == pytest.approx(found["ndcg@10"], abs=0.02)
    assert record["tuned"]["mrr@10"] == pytest.approx(found["mrr@10"], abs=0.02)
    assert record["test_opened"] == 1


@pytest.mark.torch
def test_it_is_judged_against_base_bm25_and_the_adapter(finetuned):
    record = finetuned[0].record
    rows = {row["system"]: row for row in record["contest"]["rows"]}
    assert list(rows) == ["base", "bm25", "adapter", "tuned", "tuned + adapter"]
    assert rows["tuned"]["ndcg@10"] == record["tuned"]["ndcg@10"] > record["base"]["ndcg@10"] + 0.3
    assert rows["adapter"]["ndcg@10"] == record["baselines"]["adapter"]["ndcg@10"] > record["base"]["ndcg@10"]
    made = sum(record["seconds"][stage] for stage in ("mine", "label", "train", "mix"))
    assert rows["tuned"]["seconds"] == pytest.approx(made, abs=0.1)
    assert rows["tuned"]["dollars"] == pytest.approx(made / 1000, abs=1e-3)
    assert rows["base"]["seconds"] == 0
    assert rows["base"]["change"] is rows["bm25"]["change"] is None
    assert rows["tuned"]["change"]["low"] == record["delta"]["ndcg@10"]["low"] > 0
    for name in ("adapter", "tuned", "tuned + adapter"):
        change = rows[name]["change"]
        gain = rows[name]["ndcg@10"] - rows["base"]["ndcg@10"]
        assert change["low"] <= change["mean"] == pytest.approx(gain, abs=1e-9)
        assert change["mean"] <= change["high"]
    delta = record["contest"]["against_adapter"]["ndcg@10"]
    assert delta["mean"] == pytest.approx(rows["tuned"]["ndcg@10"] - rows["adapter"]["ndcg@10"], abs=1e-9)
    assert "the adapter" in record["contest"]["sentence"]
    text = str(finetuned[0])
    assert all(name in text for name in ("fine-tuned + adapter", "BM25", "dollars", record["verdict"]["sentence"][:20]))


@pytest.mark.torch
def test_nothing_of_this_machine_is_in_the_record(finetuned, tiny_model):
    text = json.dumps(finetuned[0].record)
    assert str(tiny_model) not in text
    assert str(finetuned[1]) not in text


@pytest.mark.torch
def test_the_folder_has_a_card_with_the_tables_and_a_report(finetuned):
    card = (finetuned[1] / "model" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    record = finetuned[0].record
    assert f"| fine-tuned | {record['tuned']['ndcg@10']:.3f} | " in card
    assert record["verdict"]["sentence"] in card
    assert "base_model" not in card  # a folder of this machine is no model of the hub
    page = (finetuned[1] / "model" / "report.html").read_text(encoding="utf-8")
    assert "tuned + adapter" in page


@pytest.mark.torch
def test_a_changed_learning_rate_mines_nothing_again(finetuned, tiny_model, animals, monkeypatch):
    _, folder = finetuned
    monkeypatch.setenv("EMBERTUNE_CACHE", str(folder / "cache"))
    settings = values(tiny_model, folder, test_size=0.25, mining={"num_negatives": 2}, num_epochs=1)
    again = embertune.finetune(animals, {**settings, "learning_rate": 1e-3, "adapter": False}, save=False)
    assert again.record["training"]["reused"] == ["mined-train", "mined-dev"]
    assert [row["system"] for row in again.record["contest"]["rows"]] == ["base", "bm25", "tuned"]
    same = values(tiny_model, folder, test_size=0.25, mining={"num_negatives": 2}, adapter=False)
    whole = embertune.finetune(animals, same, save=False)
    assert whole.record["training"]["reused"] == ["mined-train", "mined-dev", "trained", "mixed"]
    assert whole.record["tuned"] == finetuned[0].record["tuned"]


@pytest.mark.torch
def test_other_shares_train_nothing_again_and_a_new_training_is_mixed_anew(tiny_model, animals, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "cache"))
    settings = values(tiny_model, tmp_path, mining={"num_negatives": 0}, num_epochs=1, adapter=False)

    def reused(**more):
        training = embertune.finetune(animals, {**settings, **more}, save=False).record["training"]
        return training["reused"], training["mixed"]

    first, mixed = reused()
    assert "trained" not in first
    assert [share for share, _ in mixed["dev"]] == [0.0, 0.25, 0.5]
    assert reused() == ([*first, "mined-dev", "trained", "mixed"], mixed)
    assert reused(base_shares=[]) == ([*first, "mined-dev", "trained"], None)
    for folder in (tmp_path / "cache" / "finetune").glob("trained-*"):
        shutil.rmtree(folder)
    assert reused() == ([*first, "mined-dev"], mixed)


@pytest.mark.torch
@pytest.mark.parametrize("shape", ["pairs", "triplets", "scored"])
def test_all_three_shapes_of_data_train(tiny_model, animals, tmp_path, shape):
    texts = [animals.corpus[animals.positives(query)[0]].content for query in animals.queries]
    queries = list(animals.queries.values())
    rolled = texts[13:] + texts[:13]
    data = {
        "pairs": lambda: Dataset.from_pairs(zip(queries, texts, strict=True)),
        "triplets": lambda: Dataset.from_triplets(zip(queries, texts, rolled, strict=True)),
        "scored": lambda: Dataset.from_scored_pairs(
            [(query, text, 1.0) for query, text in zip(queries, texts, strict=True)]
            + [(query, text, 0.0) for query, text in zip(queries, rolled, strict=True)]
        ),
    }[shape]()
    loss = {"pairs": "mnrl", "triplets": "triplet", "scored": "cosent"}[shape]
    settings = values(tiny_model, tmp_path, loss=loss, mining={"num_negatives": 0}, adapter=False, num_epochs=10)
    record = embertune.finetune(data, settings, save=False).record
    assert record["tuned"]["ndcg@10"] > record["base"]["ndcg@10"] + 0.1
    assert record["training"]["rows"] == len(split_data(data, FinetuneConfig()).train.queries) * (
        2 if shape == "scored" else 1
    )


@pytest.mark.torch
def test_a_teacher_of_ones_own_is_distilled(tiny_model, animals, tmp_path):
    asked = []

    def teacher(pairs):
        asked.extend(pairs)
        return [10.0 * (query.split()[-1] == text.split()[-1]) for query, text in pairs]

    settings = values(tiny_model, tmp_path, loss="mean_margin", num_epochs=1, adapter=False)
    result = embertune.finetune(animals, settings, teacher=teacher, save=False)
    assert len(asked) == 2 * result.record["training"]["rows"]
    assert np.isfinite(result.record["tuned"]["ndcg@10"])


@pytest.mark.torch
def test_a_tracker_that_is_not_installed_is_named_before_any_work(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr("embertune.recipes.finetune_model.find_spec", lambda name: None)
    message = "tracking names wandb, which is not installed. Type: pip install wandb, or leave it out: tracking=none"
    with pytest.raises(ConfigError, match=re.escape(message)):
        embertune.finetune(NUMBERS, values(tiny_model, tmp_path, tracking="wandb"))


@pytest.mark.torch
def test_what_is_pushed_is_enough_to_load_the_model(finetuned, tmp_path, monkeypatch):
    from sentence_transformers import SentenceTransformer

    from embertune.recipes import hub

    def upload(source, repo, names, left_out, **options):
        assert (repo, options["public"]) == ("me/model", False)
        for name in set(names) - set(left_out):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, tmp_path / name)

    monkeypatch.setattr(hub, "upload", upload)
    monkeypatch.setenv("HF_TOKEN", "hf_none_of_anyone")
    result, folder = finetuned
    assert result.push("me/model", folder / "model") == "https://huggingface.co/me/model"
    assert not {"report.html", "rankings.jsonl", "map.json"} & {path.name for path in tmp_path.iterdir()}
    pushed, kept = (SentenceTransformer(str(place)) for place in (tmp_path, folder / "model"))
    assert np.array_equal(pushed.encode(["the home of cat 7"]), kept.encode(["the home of cat 7"]))


@pytest.mark.torch
def test_a_saved_model_is_replaced_whole(finetuned):
    result, folder = finetuned
    (folder / "model" / "record.json").write_text("{}", encoding="utf-8")
    result.save(folder / "model")
    assert json.loads((folder / "model" / "record.json").read_text(encoding="utf-8")) == result.record
    assert [each.name for each in folder.iterdir() if each.name.startswith(".")] == []


@pytest.mark.torch
def test_the_command_prints_the_record_and_writes_the_folder(tiny_model, animals, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    animals.save(tmp_path / "data")
    (tmp_path / "config.yaml").write_text(
        f"data: data\nmodel_name: {tiny_model}\ntracking: []\nadapter: false\nbatch_size: 24\n", encoding="utf-8"
    )
    arguments = ["finetune", "config.yaml", "num_epochs=1", "output_dir=out", "mining.num_negatives=0", "--json"]
    assert root.main(arguments, standalone_mode=False) in (None, 0)
    said = capsys.readouterr()
    assert json.loads(said.out)["training"]["config"]["num_epochs"] == 1
    assert {"modules.json", "record.json", "README.md", "report.html"} <= {
        each.name for each in (tmp_path / "out").iterdir()
    }
