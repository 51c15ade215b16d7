"""What works on the command line: results on stdout, everything else on stderr, the same as in Python."""

from __future__ import annotations

import json
import re
from importlib.metadata import version

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.cli import COMMANDS
from embertune.data.io import load_dataset
from embertune.encoders.registry import load_encoder
from embertune.recipes.tune import tune


def _timeless(record):
    return {key: value for key, value in record.items() if key not in ("created", "seconds")}


@pytest.fixture
def tuned(small, run):
    """The outcome of a tune, as JSON, into a folder of its own."""
    outcome = run(*small.tune("--json", "--seed", 2), "--out", small.folder / "new")
    assert outcome.code == 0, outcome.err
    return outcome


def test_tune_prints_its_record_and_nothing_else(tuned, small):
    record = json.loads(tuned.out)
    assert record == json.loads((small.folder / "new" / "record.json").read_text())
    assert f"Adapter: {small.folder / 'new'}" in tuned.err
    assert f"Report:  {small.folder / 'new' / 'report.html'}" in tuned.err


def test_tune_is_the_same_in_python(tuned, small):
    result = tune(load_dataset(small.data), load_encoder(small.encoder), effort="fast", seed=2)
    assert _timeless(result.record) == _timeless(json.loads(tuned.out))


def test_tune_for_people(small, run):
    outcome = run(*small.tune())
    record = json.loads((small.out / "record.json").read_text())
    assert outcome.code == 0
    assert record["verdict"]["sentence"] in outcome.out
    assert "choose on dev" not in outcome.out
    assert re.search(r"^choose on dev: ", outcome.err, flags=re.MULTILINE)
    assert "\r" not in outcome.err, "in a log nothing moves"


def test_evaluate_after_tune_judges_the_test_queries_alone(tuned, small, run):
    record = json.loads(tuned.out)
    which = small.folder / "new" if record["verdict"]["code"] == "ship" else small.folder / "new" / "candidate"
    outcome = run("evaluate", small.data, "-e", small.encoder, "-a", which, "--json")
    told = json.loads(outcome.out)
    assert told["queries"] == record["counts"]["test"]
    for metric in record["metrics"]:
        assert told["means"]["base"][metric] == pytest.approx(record["base"][metric], abs=1e-12)
        assert told["means"][str(which)][metric] == pytest.approx(record["tuned"][metric], abs=1e-12)
        assert told["means"]["bm25"][metric] == pytest.approx(record["baselines"]["bm25"][metric], abs=1e-12)


def test_evaluate_at_no_strength_is_the_base(small, run):
    told = json.loads(run("evaluate", small.data, "-e", small.encoder, "-a", small.out, "--strength", 0, "--json").out)
    assert told["means"][str(small.out)] == told["means"]["base"]


@pytest.mark.parametrize("name", ["base", "bm25"])
def test_an_adapter_may_be_called_like_a_column(name, small, run, monkeypatch):
    monkeypatch.chdir(small.folder)
    small.out.rename(small.folder / name)
    told = json.loads(run("compare", "data", "-e", "precomputed:vectors.npz", "-a", name, "--json").out)
    assert set(told["means"]) == {"base", "bm25", f"./{name}"}
    assert list(told["comparison"]["duels"]) == [f"./{name}"]
    assert told["means"][f"./{name}"] != told["means"]["base"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["tune", "DATA", "--out", "NEW", "--effort", "fast"],
        ["evaluate", "DATA"],
        ["compare", "DATA", "-a", "ADAPTER"],
    ],
)
def test_what_costs_money_says_so_before_and_after(arguments, small, run, priced, monkeypatch):
    monkeypatch.setattr("embertune.encoders.registry.load_encoder", lambda source, **options: priced())
    places = {"DATA": small.data, "NEW": small.folder / "new", "ADAPTER": small.folder / "a"}
    IdentityAdapter().save(places["ADAPTER"])
    command = [places.get(word, word) for word in arguments]
    first, second = run(*command), run(*command)
    # Tuning also embeds 32 canaries.
    paid = "272 texts, 2,720 tokens, $272.0000" if arguments[0] == "tune" else "240 texts, 2,400 tokens, $240.0000"
    for outcome, amount in (
        (first, paid),
        (second, "0 texts, 0 tokens, $0.0000"),
    ):
        assert outcome.code == 0, outcome.err
        before, embedding, after = (
            outcome.err.index(said)
            for said in (
                f"Embedding will take about {amount}; what is in the cache is not paid again.\n",
                "embed documents",
                f"Embedding took {amount}.\n",
            )
        )
        assert before < embedding < after


def _tales(folder):
    """A foreign data set of two columns."""
    path = folder / "tales.csv"
    path.write_text("query,document\n" + "".join(f"who is in tale {n},the hero of tale {n}\n" for n in range(12)))
    return path


def test_foreign_queries_are_in_the_estimate_and_in_the_record(small, run, priced, monkeypatch):
    monkeypatch.setattr("embertune.encoders.registry.load_encoder", lambda source, **options: priced())
    outcome = run(*small.tune("--foreign", _tales(small.folder), "--json", "--out", small.folder / "new"))
    assert outcome.code == 0, outcome.err
    assert "Embedding will take about 296 texts, 2,960 tokens, $296.0000; " in outcome.err
    assert "Embedding took 296 texts, 2,960 tokens, $296.0000.\n" in outcome.err
    record = json.loads(outcome.out)
    assert (record["foreign"]["name"], record["foreign"]["n"], record["cost"]["texts"]) == ("tales", 12, 296)


def test_columns_of_the_foreign_data_are_named_apart(small, run, fails):
    path = small.folder / "tales.csv"
    path.write_text("Frage,Baustein\n" + "".join(f"who is in tale {n},the hero of tale {n}\n" for n in range(12)))
    foreign = ["--foreign", path, "--encoder", "hashing", "--out", small.folder / "new"]
    fails(*small.tune(*foreign), says=['--foreign-columns "query=<your column>" --foreign-columns "document=<your'])
    named = ["--foreign-columns", "query=Frage", "--foreign-columns", "document=Baustein"]
    fails(*small.tune(*foreign, "--foreign-columns", "Frage"), says=["--foreign-columns takes ROLE=NAME", "'Frage'"])
    fails(*small.tune(*named), says=["--foreign-columns was given without foreign data", "--foreign DATA"])
    outcome = run(*small.tune(*foreign, *named, "--json"))
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["foreign"]["n"] == 12


def test_foreign_vectors_from_a_file_are_of_the_model_that_is_named(small, run, fails):
    tales = _tales(small.folder)
    rng = np.random.default_rng(0)
    np.savez(
        small.folder / "tales.npz", corpus=rng.normal(size=(12, 12)), queries=rng.normal(size=(12, 12)),
        corpus_ids=[f"d{n}" for n in range(1, 13)], query_ids=[f"q{n}" for n in range(1, 13)],
    )  # fmt: skip
    foreign = ["--foreign", tales, "--foreign-encoder", f"precomputed:{small.folder / 'tales.npz'}"]
    fails(
        *small.tune("--foreign", tales), says=["cannot embed the foreign data, tales", "--foreign-encoder precomputed:"]
    )
    fails(*small.tune(*foreign), says=["model 'vectors.npz' here, 'tales.npz' there", "--encoder-name NAME"])
    fails(*small.tune(*foreign[2:]), says=["foreign_encoder was given without foreign data", "--foreign DATA"])
    outcome = run(*small.tune(*foreign, "--encoder-name", "mine", "--json", "--out", small.folder / "new"))
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["foreign"]["n"] == 12


def test_columns_may_be_repeated_for_negatives(tmp_path, run):
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,c,d\n" + "".join(f"why {n},so {n},no {n},nor {n}\n" for n in range(12)))
    columns = ["query=a", "document=b", "negative=c", "negative=d"]
    told = json.loads(run("inspect", path, "--json", *(word for one in columns for word in ("--columns", one))).out)
    assert (told["positives"], told["negatives"], told["documents"]) == (12, 24, 36)


def test_transform_is_the_same_in_python(small, run):
    np.save(small.folder / "x.npy", small.arrays()["queries"])
    outcome = run(
        "transform", "-a", small.out, "--in", small.folder / "x.npy", "--out", small.folder / "y.npy", "--json"
    )
    assert json.loads(outcome.out) == {
        "rows": 120, "dimension": 12, "side": "query", "out": str(small.folder / "y.npy"),
    }  # fmt: skip
    expected = load_adapter(small.out).transform(small.arrays()["queries"])
    np.testing.assert_array_equal(np.load(small.folder / "y.npy"), expected)


def test_transform_takes_a_strength(small, run, fails):
    np.save(small.folder / "x.npy", small.arrays()["queries"])
    command = ["transform", "-a", small.out, "--in", small.folder / "x.npy", "--out", small.folder / "y.npy"]
    fails(*command, "--strength", 1.5, says=["strength must be from 0 (nothing of what was learned) to 1"])
    assert run(*command, "--strength", 0.5).code == 0
    expected = load_adapter(small.out).scaled(0.5).transform(small.arrays()["queries"])
    np.testing.assert_array_equal(np.load(small.folder / "y.npy"), expected)


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "DATA"],
        ["doctor"],
        ["evaluate", "DATA", "-e", "hashing"],
        ["compare", "DATA", "-e", "ENC", "-a", "OUT"],
    ],
)
def test_json_is_the_only_thing_on_stdout(arguments, small, run):
    places = {"DATA": small.data, "ENC": small.encoder, "OUT": small.out}
    outcome = run(*(places.get(word, word) for word in arguments), "--json")
    assert outcome.code == 0
    assert isinstance(json.loads(outcome.out), dict)
    people = run(*(places.get(word, word) for word in arguments))
    assert people.code == 0
    assert not people.out.startswith("{")


def test_doctor_fails_where_something_is_broken(run, monkeypatch):
    monkeypatch.setattr("embertune.recipes.doctor._BASE", ("embertune", "no-such-package"))
    outcome = run("doctor")
    assert outcome.code == 1
    assert "not installed: pip install no-such-package" in outcome.out


def test_help_names_every_command_and_every_command_helps(run):
    text = run("--help").out
    for name, meaning in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(meaning[:30])}", text, flags=re.MULTILINE)
        outcome = run(name, "--help")
        assert outcome.code == 0
        assert f"Usage: embertune {name} " in outcome.out
        assert ("--json" in outcome.out) == (name not in ("serve", "ui")), "a server has no result"


def test_version(run):
    assert run("--version").out.strip() == f"embertune, version {version('embertune')}"


def test_python_m_is_the_same_program(spawn):
    outcome = spawn("--version")
    assert (outcome.code, outcome.out.strip()) == (0, f"embertune, version {version('embertune')}")
