import json
import re

import pytest

from embertune.adapters import DocumentAdapter, MLPAdapter, OrthogonalAdapter, load_adapter
from embertune.cli import main
from embertune.cli.families import make_adapter
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
        ("mlp", ["hiden=3"], "An adapter of type mlp has no parameter hiden. It has: side, hidden, batch_size, "),
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
