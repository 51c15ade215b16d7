"""The card says what the adapter is, and its numpy code does what the adapter does."""

from __future__ import annotations

import re

import numpy as np
import pytest

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.adapters.artifact import save
from embertune.adapters.gate import Gate
from embertune.reports.card import model_card


def _python(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)


def _run(code: str, folder, monkeypatch) -> dict:
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize(
    ("options", "gated", "strength"),
    [
        ({"side": "query"}, False, 1),
        ({"side": "both"}, False, 1),
        ({"side": "both", "rank": 8}, False, 0.4),
        ({"form": "diagonal"}, False, 1),
        ({"side": "query"}, True, 1),
        ({"rank": 8}, True, 0.7),
        ({"side": "both"}, True, 1),
        ({"side": "both", "rank": 8}, "apart", 0.7),
    ],
)
def test_numpy_alone_does_what_the_adapter_does(record, options, gated, strength, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    queries, documents = rng.normal(size=(2, 30, 256)).astype(np.float32)
    adapter = LinearAdapter(**options, pull=0.01, max_steps=3).fit(queries, documents).scaled(strength)
    units = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    # Of a gate that is fitted on all of these, each query is its own neighbour and wide open.
    unlike = units[20:25] if gated == "apart" else None
    gate = Gate.fit(units[:20], unlike=unlike, closed=0.3, opened=0.9) if gated else None
    assert gate is None or len({0.0, 1.0} & set(gate.weights(units).tolist())) == 2
    adapter = adapter.gated(gate, documents=gate if options.get("side") == "both" else None)
    folder = save(adapter, tmp_path / "adapter")
    names = _run(_python(model_card(record))[0], folder, monkeypatch)
    for one in ("query", "document"):
        np.testing.assert_allclose(names["adapt"](units, one), adapter.transform(units, one), atol=1e-6)
    assert names["queries"].shape == (1, 256)


def test_other_types_and_gates_are_named(record):
    record["adapter"] |= {"gate": {"low": 0.25, "high": 0.5, "neighbours": 3}}
    card = model_card(record)
    assert "A gate gives queries unlike the training queries the frozen encoder's embedding back." in card
    assert "gate from cosine 0.250 to 0.500" in card
    record["adapter"]["gate"]["lead"] = [-0.125, 0.25]
    assert "gate from cosine 0.250 to 0.500, and ahead of what it is not for by -0.125 to +0.250" in model_card(record)
    record["adapter"]["type"] = "mlp"
    assert "## Use it with numpy alone" not in model_card(record)


def test_a_gate_of_a_link_is_named(record):
    gate = {"low": 0.25, "high": 0.5, "neighbours": 3}
    link = {"type": "linear", "strength": 1.0, "gate": None}
    record["adapter"] = {"type": "chain", "side": "both", "adapters": [link, {"type": "document", "gate": None}]}
    said = "A gate gives queries unlike the training queries the frozen encoder's embedding back."
    assert said not in model_card(record)
    record["adapter"]["adapters"][0] = link | {"gate": gate}
    card = model_card(record)
    assert said in card
    assert "adapters type linear, strength 1, gate from cosine 0.250 to 0.500; then type document" in card
    record["adapter"]["adapters"][0] = {"type": "chain", "adapters": [link | {"gate": gate}]}
    card = model_card(record)
    assert said in card
    assert "A linear map, `normalize(x + x @ W)`, and then offsets of documents" in card


def test_the_identity_says_so_first_and_its_code_changes_nothing(make_record, tmp_path, monkeypatch):
    card = model_card(make_record("no-gain"))
    body = card.split("---\n")[2]
    assert body.split("\n\n")[1].startswith("**This adapter is the identity: it changes nothing.**")
    names = _run(_python(card)[0], save(IdentityAdapter(), tmp_path / "adapter"), monkeypatch)
    np.testing.assert_array_equal(names["queries"], names["vectors"])


def test_front_matter_is_for_the_hub_and_leaves_the_licence_open(record):
    front = model_card(record).split("---\n")[1]
    assert "library_name: embertune\n" in front
    assert "- embedding-adapter\n" in front
    assert "# license: name yours here" in front
    assert "base_model" not in front  # wordllama's static model is no repository of this name


@pytest.mark.parametrize(
    ("provider", "model", "hub", "loaded"),
    [
        ("sentence-transformers", "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", None),
        ("sentence-transformers", "BAAI/bge-small-en", "BAAI/bge-small-en", None),
        ("fastembed", "BAAI/bge-small-en", "BAAI/bge-small-en", None),
        ("openai", "text-embedding-3-small", None, "openai/text-embedding-3-small"),
        ("precomputed", "v.npz", None, ""),
        ("function", "mine", None, ""),
        ("static", "wordllama-l2_supercat_256", None, "static"),
    ],
)
def test_the_encoder_is_named_so_that_it_loads(record, provider, model, hub, loaded):
    record["encoder"] |= {"provider": provider, "model": model}
    card = model_card(record)
    assert re.findall(r'base_model: "(.*)"', card) == ([hub] if hub else [])
    expected = f"{provider}/{model}" if loaded is None else loaded
    assert re.findall(r'load_encoder\("(.*)"\)', card) == ([expected] if expected else [])
    compile(_python(card)[1], "README.md", "exec")


def test_prompts_and_normalisation_are_in_the_code_and_in_words(record):
    record["encoder"] |= {"query_prompt": "query: ", "normalized": False}
    card = model_card(record)
    assert "load_encoder(\"static\", query_prompt='query: ', normalize=False)" in card
    assert 'must be made with query prompt "query: "' in card


def test_table_verdict_limits_and_origin(make_record):
    record = make_record(unseen=0)
    record["test_opened"] = 2
    record["data"]["leakage"] = {"exact": 4, "near": None}
    card = model_card(record)
    assert f"**{record['verdict']['sentence']}**" in card
    assert "| metric | base | BM25 | tuned | change | 95 % interval | p | w/t/l |" in card
    assert "- Not measured on documents without training queries: no test query asks for one." in card
    assert "- The test split was opened 2 times, so its numbers may be too good." in card
    assert "- 4 test queries are equal to a training query, so the numbers may be too good." in card
    assert record["data"]["fingerprint"] in card
    assert "embertune 0.1.0" in card


def test_how_to_apply_less_of_it_and_what_that_gave(record, make_record):
    card = model_card(record)
    assert "`adapter.scaled(0.5)`, or for a file of vectors `embertune transform --strength 0.5`." in card
    first, last = record["strength"][0]["all"], record["strength"][-1]["all"]
    assert f"On the test queries ndcg@10 was {first:.3f} at 0, " in card
    assert f", {last:.3f} at 1.\n" in card
    assert "from 0 (the frozen encoder) to 1 (as trained)" in card
    record["adapter"]["output_dimension"] = 64
    assert "from 0 (the plain reduction) to 1 (as trained)" in model_card(record)
    del record["strength"]
    assert "--strength 0.5`.\n" in model_card(record)
    assert "scaled" not in model_card(make_record("no-gain"))


def test_what_other_queries_lose_or_that_nobody_knows(record):
    unknown = "- Not measured on queries that it is not for; `embertune tune --foreign DATA` does that."
    card = model_card(record)
    assert "Other queries, 238 of xquad-en over the corpora of both: ndcg@10 0.948 → 0.944, -0.004" in card
    assert unknown not in card
    record["foreign"] = None
    assert unknown in model_card(record)


def test_a_name_cannot_open_a_tag_or_a_heading(record):
    record["name"] = "x\n# <script>alert(1)</script>"
    card = model_card(record)
    assert "<script>" not in card
    assert "# x # &lt;script>alert(1)&lt;/script>: embedding adapter\n" in card


def test_a_chain_is_told_step_by_step(record):
    record["adapter"] = {
        "type": "chain", "side": "both",
        "adapters": ({"type": "linear", "rank": None, "pull": 0.1}, {"type": "document", "reach": 1.6}),
    }  # fmt: skip
    card = model_card(record)
    said = (
        "A linear map, `normalize(x + x @ W)`, and then offsets of documents that have training queries, applied after"
    )
    assert said in card
    assert "Documents that are added later have no offset until it is tuned again." in card
    assert "- Adapter: type chain, side both, adapters type linear, pull 0.1; then type document, reach 1.6" in card
