import json
import re

import pytest

from embertune.adapters import DocumentAdapter, LinearAdapter, MLPAdapter, OrthogonalAdapter, load_adapter
from embertune.adapters.base import ADAPTER_TYPES
from embertune.cli import main
from embertune.cli.families import make_adapter, take_named
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
    assert set(said.rstrip(".").split(", ")) == ours - {"bridge", "chain", "identity"}


def named(**options):
    """Every option of a parameter, those that were not given being None."""
    names = [option.name for option in command.params if option.name in PARAMETERS]
    return {**dict.fromkeys(names), **options}


PARAMETERS = {*MLPAdapter.param_names(), *LinearAdapter.param_names()} - {"side", "seed"}


def test_every_option_of_a_parameter_is_one_that_a_family_has_and_the_issue_names():
    names = {option.name: option.opts[0] for option in command.params if option.name in PARAMETERS}
    wanted = {"loss", "learning_rate", "batch_size", "max_epochs", "dropout", "negatives"}
    assert wanted <= set(names)
    assert names["learning_rate"] == "--learning-rate"


def test_options_are_parameters(tmp_path):
    options = {"seed": 3, **named(loss="triplet", learning_rate=1e-3, batch_size=64, max_epochs=20, dropout=0.1)}
    found, passages = take_named(options)
    assert options == {"seed": 3}
    adapter = make_adapter("mlp", ["hidden=32"], found)
    assert passages is None
    assert (adapter.loss, adapter.learning_rate, adapter.batch_size, adapter.max_epochs, adapter.dropout) == (
        "triplet", 1e-3, 64, 20, 0.1,
    )  # fmt: skip
    assert adapter.hidden == 32
    book = tmp_path / "book.txt"
    book.write_text("some text", encoding="utf-8")
    found, passages = take_named(named(negatives=str(book)))
    assert (found, passages) == ({"negatives": "passages"}, book)
    assert take_named(named(negatives="hard")) == ({"negatives": "hard"}, None)


@pytest.mark.parametrize(
    ("family", "settings", "options", "says"),
    [
        (None, [], {"loss": "mse"}, "--loss sets a parameter of --adapter, which was not given. Add --adapter TYPE"),
        (
            "orthogonal", [], {"learning_rate": 0.1},
            "An adapter of type orthogonal has no parameter learning_rate (--learning-rate). It has: pull.",
        ),
        ("mlp", ["dropout=0.2"], {"dropout": 0.1}, "dropout is set twice, by --dropout and by --set dropout=0.2. Give"),
        ("mlp", [], {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ("linear", [], {"margin": -1.0}, "margin must be 0 or more, got -1.0"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_explained(family, settings, options, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        make_adapter(family, settings, options)


@pytest.mark.parametrize("kind", ["nearest", "no-such-book.txt", "passages"])
def test_negatives_that_are_neither_a_kind_nor_a_file(kind):
    says = f"--negatives {kind} is neither a kind of negatives (all, in-batch, random, hard, judged) nor a text file"
    with pytest.raises(ConfigError, match=re.escape(says)):
        take_named(named(negatives=kind))


@pytest.mark.parametrize("kind", ["hard", "random", "in-batch", "book.txt"])
def test_the_whole_command_with_every_kind_of_negatives(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"query": f"where is {w}{n}?", "document": f"{w}{n} is at home"} for w in "abcd" for n in range(30)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "book.txt").write_text(" ".join(map(str, range(1000))), encoding="utf-8")
    line = (
        "embertune tune pairs.jsonl --encoder hashing --effort fast --json --out mine --adapter mlp --loss triplet "
        f"--learning-rate 1e-3 --batch-size 64 --max-epochs 3 --dropout 0.1 --hidden 16 --negatives {kind}"
    )
    monkeypatch.setattr("sys.argv", line.split())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    record = json.loads(capsys.readouterr().out)
    assert [tried["params"] for tried in record["selection"]["candidates"]] == [{}, {"adapter": "mlp"}]
    kept = load_adapter(tmp_path / "mine" / "candidate" if (tmp_path / "mine" / "candidate").is_dir() else "mine")
    params = kept.get_params()
    assert (params["loss"], params["learning_rate"], params["dropout"]) == ("triplet", 1e-3, 0.1)
    assert params["negatives"] == {"book.txt": "passages"}.get(kind, kind)
