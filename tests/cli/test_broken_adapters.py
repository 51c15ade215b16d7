"""Damaged and foreign adapters, and vectors they cannot take: each gives one clear paragraph."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
from safetensors.numpy import save_file

from embertune.adapters.identity import IdentityAdapter
from embertune.adapters.linear import LinearAdapter
from embertune.encoders.registry import load_encoder


def _evaluate(small, *more, encoder=None):
    return ["evaluate", small.data, "--encoder", encoder or small.encoder, "--adapter", small.out, *more]


def _config(**changes):
    def spoil(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return spoil


def _bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def _cut(folder):
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-30])


def _tensors(**arrays):
    return lambda folder: save_file(arrays, folder / "adapter.safetensors")


def _folder_for(name):
    def spoil(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def _without(key):
    def spoil(folder):
        config = json.loads((folder / "config.json").read_text())
        del config[key]
        (folder / "config.json").write_text(json.dumps(config))

    return spoil


_AGAIN = "Save the adapter again"
# name -> (how the artefact is spoilt, what the paragraph must say)
DAMAGES = {
    "no config": (lambda folder: (folder / "config.json").unlink(), ["is not a saved adapter", "embertune tune DATA"]),
    "a config that is not JSON": (_bytes("config.json", b'{"format": 1,'), ["config.json is not JSON", _AGAIN]),
    "a config in UTF-16": (_bytes("config.json", '{"format": 1}'.encode("utf-16")), ["config.json is not", _AGAIN]),
    "a config nested beyond all measure": (_bytes("config.json", b"[" * 100_000), ["config.json is not JSON", _AGAIN]),
    "a config that is a list": (_bytes("config.json", b"[1]"), ["config.json has no format number"]),
    "an empty config": (_bytes("config.json", b""), ["config.json is not JSON", _AGAIN]),
    "a folder for the config": (_folder_for("config.json"), ["is not a saved adapter"]),
    "a newer format": (_config(format=2), ["has format 2; this version reads up to 1", "pip install -U embertune"]),
    "a format before the first": (_config(format=0), ["has no format number"]),
    "a type that nobody knows": (_config(type="quantum"), ["of type 'quantum'; known are ", "identity, ", "linear"]),
    "a type that is no text": (_config(type=["linear"]), ["of type ['linear']; known are ", "identity, ", "linear"]),
    "a side that nobody knows": (_config(side="both sides"), ["is damaged", "side must be 'query' or 'both'"]),
    "a setting that is missing": (_without("pull"), ["is damaged", "'pull'"]),
    "a setting that is a text": (_config(rank="many"), ["is damaged"]),
    "an encoder that is a text": (_config(encoder="openai"), ["is damaged", "encoder"]),
    "an encoder without a model": (_config(encoder={"provider": "x"}), ["is damaged", "'model' is missing"]),
    "a dimension that is not the matrix's": (_config(dimension=99), ["is damaged", "99", "12"]),
    "no weights": (lambda folder: (folder / "adapter.safetensors").unlink(), ["is damaged", "adapter.safetensors"]),
    "cut weights": (_cut, ["is damaged", _AGAIN]),
    "empty weights": (_bytes("adapter.safetensors", b""), ["is damaged", _AGAIN]),
    "text for weights": (_bytes("adapter.safetensors", b"hello, this is no safetensors"), ["is damaged", _AGAIN]),
    "a folder for weights": (_folder_for("adapter.safetensors"), ["is damaged", _AGAIN]),
    "weights of another name": (_tensors(other=np.eye(12, dtype=np.float32)), ["is damaged", "'query'"]),
    "weights that are not square": (_tensors(query=np.ones((12, 5), dtype=np.float32)), ["is damaged", "(12, 5)"]),
    "weights with NaN": (_tensors(query=np.full((12, 12), np.nan, dtype=np.float32)), ["is damaged", "NaN"]),
    "a record that is not UTF-8": (_bytes("record.json", b"\xff\xfe\x00"), ["is damaged", "record.json"]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_artefact(name, small, fails):
    spoil, says = DAMAGES[name]
    spoil(small.out)
    fails(*_evaluate(small), says=[str(small.out), *says])


def test_a_folder_that_is_not_there(small, fails):
    fails(
        *("compare", small.data, "-e", small.encoder, "-a", small.folder / "none"),
        says=["none is not a saved adapter: config.json was not found", "embertune tune DATA"],
    )


def test_a_file_for_an_adapter(small, fails):
    fails(*("evaluate", small.data, "-e", small.encoder, "-a", small.vectors), says=["is not a saved adapter"])


@pytest.mark.parametrize("command", ["evaluate", "compare"])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "other.npz"}, ["was trained on precomputed/other.npz", '--encoder-name "other.npz"']),
        ({"provider": "openai", "model": "m"}, ["was trained on openai/m", "embertune.load_encoder('openai/m')"]),
        ({"dimension": 99}, ["dimension 99 here, 12 there"]),
        ({"query_prompt": "query: "}, ["query_prompt 'query: ' here, '' there"]),
        ({"document_prompt": "passage: "}, ["document_prompt 'passage: ' here, '' there"]),
        ({"normalized": False}, ["normalized False here, True there"]),
    ],
)
def test_an_adapter_of_another_encoder(command, changes, says, small, fails):
    config = json.loads((small.out / "config.json").read_text())
    _config(encoder={**config["encoder"], **changes})(small.out)
    fails(command, *_evaluate(small)[1:], says=[str(small.out), *says])


def test_the_line_that_is_named_makes_the_adapter_fit(small, run):
    adapter = IdentityAdapter()
    adapter.encoder = load_encoder("hashing", query_prompt="question: ").spec.to_dict()
    adapter.save(small.out)
    refused = run("evaluate", small.data, "-e", "hashing", "-a", small.out)
    line = refused.err.partition("on the command line with: ")[2].strip()
    assert line == '--encoder hashing --query-prompt "question: "'
    assert run("evaluate", small.data, "-a", small.out, *shlex.split(line)).code == 0


def test_an_adapter_of_another_dimension_that_does_not_know_its_encoder(small, fails):
    LinearAdapter(max_steps=1).fit(np.eye(5), np.eye(5)[::-1]).save(small.out)
    fails(
        *_evaluate(small), says=["takes 5 dimensions; this encoder, precomputed/vectors.npz (12 dimensions), gives 12"]
    )


@pytest.mark.parametrize("command", ["evaluate", "compare"])
@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_a_part_of_data_without_parts(command, part, small, fails):
    found = f"data has no part '{part}': it is not divided into parts. Judge all its queries with --part all."
    fails(command, *_evaluate(small, "--part", part)[1:], says=[found])


def test_a_part_that_this_data_does_not_have(small, fails):
    header, *rows = (small.data / "qrels" / "test.tsv").read_text().splitlines(keepends=True)
    for part, some in (("train", rows[:80]), ("test", rows[80:])):
        (small.data / "qrels" / f"{part}.tsv").write_text("".join([header, *some]))
    found = "data has no part 'dev': its parts are train 80, test 40. Judge all its queries with --part all."
    fails(*_evaluate(small, "--part", "dev"), says=[found])


def test_the_record_of_this_very_data_is_damaged(small, fails):
    """What trained the adapter cannot be told, and judging on training queries would flatter it."""
    from embertune.data.io import load_dataset

    record = {"data": {"fingerprint": load_dataset(small.data).fingerprint}}
    (small.out / "record.json").write_text(json.dumps(record))
    fails(
        *_evaluate(small),
        says=[str(small.out), "record.json", "cannot be told which queries trained it", "is not a complete record"],
    )


# name -> (what stands in x.npy, what the paragraph must say)
INPUTS = {
    "one axis": (np.ones(12), ["holds shape (12,), float64", "Expected one array of numbers, shape (n, d)"]),
    "three axes": (np.ones((2, 3, 12)), ["holds shape (2, 3, 12)"]),
    "no axis": (np.float32(3), ["holds shape ()"]),
    "texts": (np.array([["a", "b"]]), ["holds shape (1, 2), <U1"]),
    "complex numbers": (np.ones((2, 12), dtype=complex), ["holds shape (2, 12), complex128"]),
    "another dimension": (
        np.ones((4, 5)),
        ["have 5 dimensions; this adapter was fitted on 12", "Use vectors of the encoder"],
    ),
    "NaN far down": (
        np.vstack([np.ones((20_000, 12)), np.full((1, 12), np.nan)]).astype(np.float32),
        ["1 of the rows 16384 to 20000 hold NaN or infinite values (such as row 20000)"],
    ),
    "numbers beyond float32": (np.full((3, 12), 1e300), ["3 of the rows 0 to 2 hold NaN or infinite"]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_vectors_that_transform_cannot_take(name, small, fails):
    array, says = INPUTS[name]
    path = small.folder / "x.npy"
    np.save(path, array)
    fails("transform", "-a", small.out, "--in", path, "--out", small.folder / "y.npy", says=[str(path), *says])


def _file_of(kind, path):
    if kind == "text":
        path.write_text("0.1,0.2\n")
    elif kind == "nothing":
        path.write_bytes(b"")
    elif kind == "a cut file":
        np.save(path, np.ones((9, 12)))
        path.write_bytes(path.read_bytes()[:400])
    elif kind == "objects":
        np.save(path, np.array([[{}]]), allow_pickle=True)
    elif kind == "several arrays":
        with path.open("wb") as file:
            np.savez(file, a=np.ones((2, 12)), b=np.ones((2, 12)))
    elif kind == "a folder":
        path.mkdir()


@pytest.mark.parametrize("kind", ["text", "nothing", "a cut file", "objects", "several arrays", "a folder", "no file"])
def test_files_that_transform_cannot_take(kind, small, fails):
    path = small.folder / "x.npy"
    _file_of(kind, path)
    text = fails("transform", "-a", small.out, "--in", path, "--out", small.folder / "y.npy", says=[str(path)])
    assert "allow_pickle" not in text


def test_transform_with_a_damaged_artefact(small, fails):
    _cut(small.out)
    np.save(small.folder / "x.npy", np.ones((2, 12)))
    fails(
        "transform", "-a", small.out, "--in", small.folder / "x.npy", "--out", small.folder / "y", says=["is damaged"]
    )
