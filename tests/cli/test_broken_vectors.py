"""Broken vectors, encoders and options: each gives one clear paragraph, and nothing that existed before is lost."""

from __future__ import annotations

import json
import socket
from importlib.util import find_spec

import numpy as np
import pytest

from embertune._optional import install_line

needs_litellm = pytest.mark.skipif(find_spec("litellm") is None, reason="the api extra is not installed")


def _with(name, change):
    def spoil(small):
        array = small.arrays()[name]
        small.rewrite_vectors(**{name: change(array)})

    return spoil


def _set(row, value):
    def change(array):
        array = array.astype(np.float64)
        array[row] = value
        return array

    return change


# name -> (how the file is spoilt, what the paragraph must say)
SPOILT = {
    "NaN among the queries": (_with("queries", _set(7, np.nan)), ["1 of 120 queries hold NaN or infinite", "'q7'"]),
    "infinity among the documents": (
        _with("corpus", _set(slice(3, 5), np.inf)),
        ["2 of 120 documents hold NaN or infinite values (such as 'd3', 'd4')", "Embed those texts again"],
    ),
    "numbers beyond float32": (_with("corpus", _set(3, 1e300)), ["1 of 120 documents", "'d3'"]),
    "a query of zeros": (_with("queries", _set(9, 0)), ["1 of 120 queries hold only zeros (such as 'q9')"]),
    "documents of zeros only": (_with("corpus", np.zeros_like), ["120 of 120 documents hold only zeros"]),
    "another dimension on the query side": (
        _with("queries", lambda array: array[:, :8]),
        ["the queries have 8 dimensions and the corpus 12", "embed them again together"],
    ),
    "one axis": (_with("queries", lambda array: array[:, 0]), ["queries has shape (120,)", "numbers of shape (n, d)"]),
    "texts for numbers": (_with("corpus", lambda array: array.astype(str)), ["corpus has shape", "Expected numbers"]),
    "complex numbers": (_with("corpus", lambda array: array + 1j), ["type complex", "Expected numbers"]),
    "no rows": (_with("queries", lambda array: array[:0]), ["queries has 0 rows and query_ids 120 ids"]),
    "no dimensions": (_with("queries", lambda array: array[:, :0]), ["queries has shape (120, 0)"]),
    "more rows than ids": (
        _with("corpus_ids", lambda array: array[:-1]),
        ["corpus has 120 rows and corpus_ids 119 ids", "Expected one id per row"],
    ),
    "an id twice": (
        _with("corpus_ids", lambda array: np.where(array == "d5", "d4", array)),
        ["1 of 120 corpus_ids occur more than once (such as 'd4')", "Expected every id once"],
    ),
    "ids of another data set": (
        _with("query_ids", lambda array: np.char.add("other-", array)),
        ["120 of 120 queries have no vector (such as 'q0', 'q1', 'q2')", "'other-q0'", "made from this data set"],
    ),
    "one id that is missing": (
        _with("query_ids", lambda array: np.where(array == "q8", "Q8", array)),
        ["1 of 120 queries have no vector (such as 'q8')"],
    ),
    "Python objects for ids": (
        _with("query_ids", lambda array: array.astype(object)),
        ["query_ids is an array of Python objects", "np.array(query_ids, dtype=str)"],
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_vectors(name, small, fails):
    spoil, says = SPOILT[name]
    spoil(small)
    fails(*small.tune(), says=[str(small.vectors), *says])


def test_an_npz_without_an_array(small, fails):
    arrays = small.arrays()
    del arrays["query_ids"]
    np.savez(small.vectors, **arrays)
    fails(*small.tune(), says=["has no query_ids; it has corpus, queries, corpus_ids", "np.savez(FILE, corpus=C"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_npz(share, small, fails):
    content = small.vectors.read_bytes()
    small.vectors.write_bytes(content[: int(len(content) * share)])
    fails(*small.tune(), says=["vectors.npz", "is damaged or no npz file", "Copy or write it again"])


def test_an_npz_with_a_flipped_byte(small, fails):
    content = bytearray(small.vectors.read_bytes())
    content[300] ^= 255
    small.vectors.write_bytes(content)
    fails(*small.tune(), says=["is damaged or no npz file", "Copy or write it again"])


def test_text_called_npz(small, fails):
    small.vectors.write_text("q1,0.1,0.2\n")
    text = fails(*small.tune(), says=["is damaged or no npz file"])
    assert "allow_pickle" not in text


def test_one_array_called_npz(small, fails):
    with small.vectors.open("wb") as file:
        np.save(file, np.eye(3))
    fails(*small.tune(), says=["is no npz archive but a single array"])


def test_a_folder_for_vectors(small, fails):
    fails(*small.tune(encoder=f"precomputed:{small.data}"), says=["is a folder", "Expected a file of vectors"])


def test_vectors_that_are_not_there(small, fails):
    fails(
        *small.tune(encoder=f"precomputed:{small.folder}/none.npz"),
        says=["There is no file", "none.npz", "has vectors.npz", "Write one with: np.savez"],
    )


def test_vectors_of_an_unknown_kind(small, fails):
    fails(*small.tune(encoder=f"precomputed:{small.data}/corpus.jsonl"), says=["Expected precomputed:FILE.npz"])


def test_npy_without_ids(small, fails):
    for name in ("corpus", "queries"):
        np.save(small.folder / f"{name}.npy", small.arrays()[name])
    encoder = f"precomputed:{small.folder}/corpus.npy,{small.folder}/queries.npy"
    fails(*small.tune(encoder=encoder), says=["corpus.npy has 120 rows but no ids beside it", "corpus_ids.txt"])


def test_vectors_without_their_word(small, fails):
    fails(*small.tune(encoder=str(small.vectors)), says=["There is no encoder", 'type "precomputed:'])


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ("statik", ["There is no encoder 'statik'", 'Did you mean "static"?']),
        ("", ["There is no encoder ''", "Known forms: static"]),
        ("./no/such/model", ["There is no folder ./no/such/model", "modules.json or config.json"]),
        ("precomputed:", ["Expected"]),
    ],
)
def test_an_encoder_that_nobody_knows(encoder, says, small, fails):
    fails(*small.tune(encoder=encoder) if encoder else [*small.tune()[:2], "-e", "", "-o", small.out], says=says)


def test_a_model_folder_without_a_model(small, fails):
    fails(*small.tune(encoder=str(small.data)), says=["is no model: it holds corpus.jsonl", "Expected modules.json"])


def test_a_model_folder_with_a_broken_config(small, fails):
    (small.folder / "model").mkdir()
    (small.folder / "model" / "config.json").write_text("{")
    fails(*small.tune(encoder=str(small.folder / "model")), says=["config.json cannot be read", "save the model again"])


@pytest.mark.parametrize("runtime", ["sentence-transformers", "model2vec", "fastembed"])
def test_a_runtime_that_is_not_installed(runtime, small, fails):
    if find_spec(runtime.replace("-", "_")) is not None:
        pytest.skip(f"{runtime} is installed here")
    fails(*small.tune(encoder=f"{runtime}/some-model"), says=["needs `", install_line(runtime)])


@needs_litellm
def test_a_key_that_is_not_set(small, fails, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    fails(
        *small.tune(encoder="openai/text-embedding-3-small"),
        says=["OPENAI_API_KEY is not set", "export OPENAI_API_KEY=..."],
    )


@needs_litellm
def test_a_provider_that_nobody_knows(small, fails):
    fails(*small.tune(encoder="opnai/text-embedding-3-small"), says=["LiteLLM knows no provider 'opnai'", '"openai/'])


@needs_litellm
def test_an_address_that_refuses_the_connection(small, fails, monkeypatch):
    monkeypatch.setattr("embertune.core.retrying.time.sleep", lambda seconds: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fails(
        *small.tune("--api-base", f"http://127.0.0.1:{port}/v1", encoder="openai/text-embedding-3-small"),
        says=[
            f"openai/text-embedding-3-small: nobody listens at http://127.0.0.1:{port} (connection refused, tries: 3).",
            "Start the server, or give its address with api_base= (--api-base). Run again to go on from the cache.",
        ],
    )


@needs_litellm
def test_dimensions_that_cannot_be(small, fails):
    fails(*small.tune("--dimensions", 0, encoder="openai/x"), says=["dimensions must be at least 1, got 0"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dimensions", 64], ["dimensions"]),
        (["--query-prompt", "query: "], ["query_prompt"]),
        (["--api-base", "http://localhost"], ["api_base"]),
    ],
)
def test_options_that_vectors_from_a_file_do_not_have(options, says, small, fails):
    fails(*small.tune(*options), says=["PrecomputedEncoder has no option", *says])


def test_no_cache_is_no_mistake_for_vectors_from_a_file(small, run):
    assert run("evaluate", small.data, "--encoder", small.encoder, "--no-cache").code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seed", "-1"], ["Invalid value for '--seed'", "-1 is not in the range x>=0"]),
        (["--seed", "one"], ["Invalid value for '--seed'", "'one' is not a valid integer"]),
        (["--effort", "heroic"], ["Invalid value for '--effort'", "'fast', 'normal', 'thorough'"]),
        (["--split", "by-author"], ["Invalid value for '--split'", "'by-query', 'by-document', 'given'"]),
        (["--side", "document"], ["Invalid value for '--side'", "'query', 'both'"]),
        (["--efort", "fast"], ["No such option", "--effort"]),
        (["--dimensions", "many"], ["Invalid value for '--dimensions'"]),
        (["surplus"], ["Got unexpected extra argument (surplus)"]),
    ],
)
def test_wrong_usage(arguments, says, small, fails):
    fails(*small.tune(*arguments), says=says, code=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tune"], "Missing argument 'DATA'"),
        (["tune", "data"], "Missing option '--out'"),
        (["tun", "data"], "No such command 'tun'"),
        (["compare", "data"], "Missing option '--adapter'"),
        (["transform", "--adapter", "x"], "Missing option '--in'"),
    ],
)
def test_half_a_command(arguments, says, fails):
    fails(*arguments, says=[says], code=2)


def test_as_a_process_of_its_own(small, fails, spawn):
    np.savez(small.vectors, **{**small.arrays(), "queries": np.full((120, 12), np.nan)})
    fails(*small.tune("--json"), says=["120 of 120 queries hold NaN or infinite values"], by=spawn)
    (small.data / "queries.jsonl").write_bytes(
        json.dumps({"_id": "q1", "text": "é"}, ensure_ascii=False).encode("cp1252")
    )
    fails("inspect", small.data, says=["queries.jsonl:1: byte 0xe9 is not UTF-8"], by=spawn)
