"""filter, mine and pseudo-label, as typed."""

import json

import pytest

from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.margins import Margins
from embertune.encoders import scorers
from embertune.recipes.filter_data import filter_queries
from embertune.recipes.mine_negatives import mine_negatives


@pytest.fixture
def animals(tmp_path):
    names = ["cat", "dog", "fish", "bird", "horse", "mouse"]
    pairs = [(f"where does the {name} sleep", f"a {name} sleeps in its {name}house at night") for name in names]
    dataset = Dataset.from_pairs([*pairs, ("where does a mouse sleeps", "nobody knows"), ("why", "because")])
    dataset.save(tmp_path / "animals")
    return tmp_path / "animals"


def test_filter_is_the_same_in_python_and_saves_what_is_left(animals, run, tmp_path):
    done = run("filter", animals, "--out", tmp_path / "left", "--top-k", 1, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    expected = filter_queries(str(animals))
    assert told["dropped"] == expected.counts
    assert load_dataset(tmp_path / "left").queries == expected.dataset.queries
    assert "dropped.jsonl" in done.err
    everything = run("filter", animals, "-o", tmp_path / "all", "--round-trip", "none", "--drop", "too-easy", "--json")
    assert json.loads(everything.out)["kept"] == 8
    assert json.loads(everything.out)["settings"]["retriever"] is None
    dense = run("filter", animals, "-o", tmp_path / "dense", "--round-trip", "hashing", "--language", "none")
    assert dense.code == 0
    assert " of 8 queries kept." in dense.out


def test_filter_leaves_the_data_alone(animals, fails):
    fails("filter", animals, "--out", animals, says=[f"--out is {animals}, the data itself. Name another folder"])


def test_mine_is_the_same_in_python_and_its_rows_load(animals, run, tmp_path):
    path = tmp_path / "rows.jsonl"
    done = run("mine", animals, "-e", "hashing", "-o", path, "-n", 2, "--relative-margin", "none", "--scores", "--json")
    assert done.code == 0
    from embertune.data.negatives import MiningConfig

    mined = mine_negatives(str(animals), "hashing", MiningConfig(num_negatives=2, relative_margin=None))
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == list(mined.rows(scores=True))
    assert json.loads(done.out)["negatives"] == mined.to_dict()["negatives"]
    assert Margins.read(path).dataset == load_dataset(path)


def test_mine_says_what_is_wrong_before_it_embeds(animals, fails, run, tmp_path):
    fails("mine", animals, "-o", tmp_path, says=[f"{tmp_path} is a folder. Expected the name of a file"])
    missing = tmp_path / "none" / "rows.jsonl"
    fails("mine", animals, "-o", missing, says=[f"There is no folder {missing.parent} to write rows.jsonl to."])
    says = ["range_max must be at least range_min + num_negatives = 3, got 2"]
    fails("mine", animals, "-o", tmp_path / "x.jsonl", "--range-max", "2", says=says)
    assert run("mine", animals, "-o", tmp_path / "x", "--relative-margin", "much").code == 2


def test_pseudo_label_goes_on_where_it_was_stopped(animals, run, tmp_path, monkeypatch):
    asked = []

    class Model:
        name = "cross-encoder/tiny@1"

        def __init__(self, model, **options):
            assert (model, options) == ("tiny", {"device": None, "batch_size": 32, "max_length": None})

        def __call__(self, pairs):
            asked.extend(pairs)
            return [len(set(query.split()) & set(text.split())) for query, text in pairs]

    monkeypatch.setattr(scorers, "CrossEncoderScorer", Model)
    path = tmp_path / "taught.jsonl"
    command = (
        "pseudo-label",
        animals,
        "--scorer",
        "tiny",
        "--retriever",
        "hashing",
        "--top-k",
        3,
        "-o",
        path,
        "--json",
    )
    first = run(*command)
    assert first.code == 0
    told = json.loads(first.out)
    assert told["scored"] == len(asked)
    assert len(Margins.read(path)) == told["triplets"]
    second = json.loads(run(*command).out)
    assert second["scored"] == 0
    assert {**second, "scored": told["scored"]} == told
