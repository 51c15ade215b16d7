from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from embertune.adapters.artifact import load_adapter
from embertune.adapters.identity import IdentityAdapter
from embertune.core.vectors import normalize
from embertune.errors import StorageError
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig


@pytest.fixture(scope="module")
def shipped(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=quick)


@pytest.fixture(scope="module")
def refused(toy, quick):
    """Queries of training gain by an adapter and those of test lose: there is a candidate, and it must not ship."""
    spoilt = toy(160, 80, parts={f"q{n}": "train" if n < 120 else "test" for n in range(160)})
    asked = spoilt.documents[np.arange(120, 160) % 80]
    spoilt.queries[120:] = normalize((0.5 * asked + 0.5 * asked @ spoilt.turn.T).astype(np.float32))
    return tune(spoilt.data, spoilt.encoder, effort=quick)


def test_what_ships_is_saved_whole(shipped, learnable, tmp_path):
    folder = shipped.save(tmp_path / "mine")
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "adapter.safetensors", "config.json", "map.json", "rankings.jsonl", "record.json", "report.html",
    }  # fmt: skip
    assert json.loads((folder / "record.json").read_text(encoding="utf-8")) == shipped.record
    loaded = load_adapter(folder)
    assert np.array_equal(loaded.transform(learnable.queries), shipped.adapter.transform(learnable.queries))
    assert loaded.encoder == learnable.encoder.spec.to_dict()


def test_what_does_not_ship_is_the_identity_and_keeps_its_candidate(refused, tmp_path):
    folder = refused.save(tmp_path / "mine")
    config = json.loads((folder / "config.json").read_text())
    assert (config["type"], config["dimension"], config["encoder"]["model"]) == ("identity", None, "table")
    # An empty header and no array: eight bytes of length and two braces, padded.
    assert (folder / "adapter.safetensors").read_bytes()[8:].strip() == b"{}"
    vectors = np.random.default_rng(0).normal(size=(5, 12)).astype(np.float32)
    assert np.array_equal(load_adapter(folder).transform(vectors), vectors)
    candidate = load_adapter(folder / "candidate")
    assert np.array_equal(candidate.coef_, refused.candidate.coef_)
    assert candidate.encoder == config["encoder"]
    record = json.loads((folder / "candidate" / "record.json").read_text())
    assert record == {**refused.record, "adapter": refused.record["candidate"]}
    assert json.loads((folder / "record.json").read_text())["adapter"]["type"] == "identity"


def test_an_adapter_saved_alone_brings_record_and_card(shipped, tmp_path):
    folder = shipped.adapter.save(tmp_path / "alone")
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "adapter.safetensors", "config.json", "record.json",
    }  # fmt: skip
    assert json.loads((folder / "record.json").read_text())["verdict"]["code"] == "ship"
    assert shipped.verdict.sentence in (folder / "README.md").read_text(encoding="utf-8").replace("\n", " ")


@pytest.fixture(scope="module")
def gated(learnable):
    """As effort="fast" gives it: within principal directions, and with a gate."""
    config = TuneConfig(side="query", pulls=(1.0, 0.1, 0.01), folds=3, rank=8, max_steps=15, gate="yes")
    return tune(learnable.data, learnable.encoder, effort=config)


@pytest.mark.parametrize("which", ["shipped", "refused", "gated"])
def test_the_card_says_how_to_do_without_us(which, tmp_path, request, monkeypatch):
    """Its numpy code, run in the folder, gives what transform gives."""
    result = request.getfixturevalue(which)
    folder = result.save(tmp_path / "mine")
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    code = next(block for block in blocks if "import numpy" in block)
    assert "embertune" not in code
    monkeypatch.chdir(folder)
    if which == "gated":
        assert (result.verdict.code, result.record["adapter"]["gate"]["neighbours"]) == ("ship", 3)
    # Sums in another order differ by a few roundings, and the gate's ramp is steep.
    gate = result.adapter.gate
    near = 1e-6 if gate is None else 4 * 2.0**-24 / (gate.high - gate.low)
    assert near <= 1e-5
    space: dict = {}
    exec(compile(code, "README.md", "exec"), space)
    vectors = np.random.default_rng(1).normal(size=(7, 12)).astype(np.float32)
    for side in ("query", "document"):
        expected = result.adapter.transform(vectors, side)
        np.testing.assert_allclose(space["adapt"](vectors, side), expected, atol=near)


class _Addresses(HTMLParser):
    """Collects everything that a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        wanted = {"src", "srcset", "poster", "data"} | ({"href"} if tag in ("link", "image", "use") else set())
        self.found += [
            (tag, value) for name, value in attrs if name in wanted and not (value or "").startswith("data:")
        ]


def test_the_report_asks_for_nothing_from_outside(refused, tmp_path):
    page = (refused.save(tmp_path / "mine") / "report.html").read_text(encoding="utf-8")
    addresses = _Addresses()
    addresses.feed(page)
    assert addresses.found == []
    styles = re.findall(r"<style[^>]*>(.*?)</style>", page, flags=re.DOTALL)
    assert not any("@import" in style or re.search(r"url\((?!['\"]?data:|#)", style) for style in styles)
    assert refused.verdict.code in page
    assert "query number" in page, "wins and losses are shown with their texts"


def test_the_report_can_be_written_elsewhere(shipped, tmp_path):
    assert shipped.report(tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!")
    with pytest.raises(StorageError, match=r"^There is no folder .* to write page\.html to\. Type: mkdir -p "):
        shipped.report(tmp_path / "none" / "page.html")


def test_printing_gives_table_and_verdict(shipped):
    text = str(shipped)
    assert "ndcg@10" in text
    assert shipped.verdict.sentence in text
    assert shipped.verdict.reason in text


def test_an_earlier_artefact_is_replaced_with_all_that_belonged_to_it(shipped, refused, tmp_path):
    refused.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "candidate").is_dir()
    shipped.save(tmp_path / "mine")
    assert not (tmp_path / "mine" / "candidate").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_report_that_cannot_be_made_leaves_the_earlier_artefact(shipped, tmp_path, monkeypatch):
    folder = shipped.adapter.save(tmp_path / "mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def no_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("embertune.reports.html.html_report", no_memory)
    with pytest.raises(MemoryError):
        shipped.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_no_candidate_folder_where_dev_chose_no_adapter(toy, quick, tmp_path):
    perfect = toy(150, 150, mix=1.0)
    result = tune(perfect.data, perfect.encoder, effort=quick)
    assert isinstance(result.candidate, IdentityAdapter)
    assert not (result.save(tmp_path / "mine") / "candidate").exists()
