import json
import re

import pytest

from embertune.adapters import DocumentAdapter, MLPAdapter, OrthogonalAdapter, load_adapter
from embertune.adapters.base import ADAPTER_TYPES
from embertune.cli import main
from embertune.cli.families import make_adapter
from embertune.cli.tune import command
from embertune.errors import ConfigError


def test_parameters_are_read_as_numbers_and_words():
    made = make_adapter("mlp", ["hidden=64", "learning_rate=1e-3", "side=both"])
    assert isinstance(made, MLPAdapter)
    assert (made.hidden, made.learning_rate, made.side) == (64, 0.001, "both")
    assert isinstance(make_adapter("document", []), DocumentAdapter)
    assert make_adapter(None, []) is None


@pytest.mark.parametrize(
    ("family", "settings", "says"),
    [
        ("forest", [], "There is no adapter of type 'forest'. The types are: document, "),
        ("identity", [], "There is no adapter of type 'identity'."),
        ("mlp", ["hiden=3"], "An adapter of type mlp has no parameter hiden. It has: side, hidden, loss, negatives, "),
        ("mlp", ["hidden"], "--set hidden is not NAME=VALUE. Type it as: --set hidden=VALUE"),
        (None, ["hidden=3"], "--set hidden=3 sets a parameter of --adapter, which was not given."),
    ],
)
def test_what_cannot_be_made_is_explained(family, settings, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        make_adapter(family, settings)


def test_a_family_is_tuned_saved_and_loaded(tmp_path, monkeypatch, capsys):
    pairs = tmp_path / "pairs.jsonl"
    rows = [
        {"query": f"where is {word}{n}?", "document": f"{word}{n} is at home"} for word in "abcd" for n in range(40)
    ]
    pairs.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    out = tmp_path / "mine"
    arguments = [
        "embertune",
        "tune",
        str(pairs),
        "--encoder",
        "hashing",
        "--out",
        str(out),
        "--effort",
        "fast",
        "--json",
    ]
    monkeypatch.setattr("sys.argv", [*arguments, "--adapter", "orthogonal", "--set", "pull=0.5"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    record = json.loads(capsys.readouterr().out)
    assert [tried["params"] for tried in record["selection"]["candidates"]] == [{}, {"adapter": "orthogonal"}]
    place = out / "candidate" if (out / "candidate").is_dir() else out
    if record["candidate"]["type"] != "identity":
        loaded = load_adapter(place)
        assert isinstance(loaded, OrthogonalAdapter)
        assert loaded.pull == 0.5


@pytest.mark.parametrize(
    ("family", "setting", "says"),
    [
        ("mlp", "hidden=abc", "hidden must be a whole number, got 'abc'"),
        ("mlp", "hidden=2.5", "hidden must be a whole number, got 2.5"),
        ("mlp", "hidden=0", "hidden must be at least 1, got 0"),
        ("mlp", "pull=true", "pull must be a number, got True"),
        ("mlp", "learning_rate=null", "learning_rate must be a number, got None"),
        ("mlp", "side=3", "side must be 'query' or 'both', got 3"),
        ("linear", "rank=2.5", "rank must be a whole number or None, got 2.5"),
        ("linear", "pull=-1", "pull must be positive, got -1"),
        ("document", "reach=-1", "reach must be positive, got -1"),
        ("whitening", "centre=no", "centre must be true or false, got 'no'"),
        ("whitening", "shrinkage=half", "shrinkage must be a number or None, got 'half'"),
        ("truncation", "truncate_dim=[2]", "truncate_dim must be a whole number, got [2]"),
    ],
)
def test_a_value_that_cannot_be_is_refused_before_anything_is_read(family, setting, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        make_adapter(family, [setting])


@pytest.mark.parametrize("setting", ["rank=null", "rank=8", "pull=1", "form=diagonal"])
def test_values_that_can_be_are_taken(setting):
    name, _, value = setting.partition("=")
    assert str(getattr(make_adapter("linear", [setting]), name)) == {"null": "None"}.get(value, value)


def test_every_family_is_named_in_the_help_and_made_by_its_defaults():
    said = next(option.help for option in command.params if option.name == "adapter").partition(": ")[2]
    for family in said.rstrip(".").split(", "):
        assert make_adapter(family, []).type == family
    ours = {name for name, known in ADAPTER_TYPES.items() if known.__module__.startswith("embertune.")}
    assert set(said.rstrip(".").split(", ")) == ours - {"identity", "chain"}
