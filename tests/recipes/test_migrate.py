"""Migration: what is kept between two encoders whose relation is known."""

import json
import re

import numpy as np
import pytest

from embertune import Dataset, load_adapter, load_encoder
from embertune.core.vectors import normalize
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError, ConfigError, DataError
from embertune.recipes.bridging import Kept, choose_bridge, nearest_texts, share_found, share_kept, split_texts
from embertune.recipes.migrate import migrate, read_sample
from embertune.recipes.migration import check_target_space, decide

LETTERS = np.random.default_rng(5).choice(list("abcdefghijklmnopqrstuvwxyz "), size=(240, 20))
# Random letters span the whole space of the encoder; a few words would leave directions that nothing tells of.
WORDS = ["".join(row).strip() for row in LETTERS]
TURN, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(80, 80)))


def turned(texts):
    """The hashing encoder's vectors, turned into a space of 80 dimensions."""
    return HashingEncoder().encode_query(list(texts)) @ TURN[:64]


def noise(texts):
    """Vectors that know nothing of their texts' meaning."""
    return np.array([np.random.default_rng(abs(len(t) * 7 + sum(map(ord, t)))).normal(size=20) for t in texts])


@pytest.fixture
def data():
    return Dataset.from_pairs([(f"where is {word}?", f"{word} is at home") for word in WORDS[:120]])


@pytest.fixture
def new():
    return load_encoder(turned, name="turned")


@pytest.mark.parametrize("direction", ["queries", "index"])
@pytest.mark.parametrize("labels", [True, False])
def test_a_rotated_encoder_keeps_everything_whatever_its_dimension(direction, labels, data, new):
    found = migrate("hashing", new, WORDS, data=data if labels else None, direction=direction, effort="fast")
    # Many trigrams are as near as others, and of equal scores rounding decides.
    assert found.kept.share == pytest.approx(1, abs=0.05)
    mapped, goal = (turned(WORDS), HashingEncoder().encode_query(WORDS))[:: 1 if direction == "queries" else -1]
    np.testing.assert_allclose(found.bridge.transform(mapped), goal, atol=1e-5)
    assert found.kept.low <= found.kept.share <= found.kept.high
    dimensions = (80, 64) if direction == "queries" else (64, 80)
    assert (found.bridge.dimension, found.bridge.output_dimension) == dimensions
    assert found.record["judged"]["what"].startswith("labelled queries of" if labels else "the new encoder's own")
    assert found.record["judged"]["queries"] == (120 if labels else 24)


def test_an_encoder_that_has_nothing_in_common_is_told_apart(data):
    found = migrate("hashing", load_encoder(noise, name="noise"), WORDS, effort="fast")
    assert found.kept.high < 0.5
    assert found.code == "re-embed"
    assert "Embed the index again (240 texts, not billed): the bridge keeps" in found.verdict


def test_the_table_and_the_record_say_what_judged(new, tmp_path):
    found = migrate("hashing", new, WORDS, effort="fast", index_size=1_000_000)
    assert str(found).splitlines()[1:3] == [
        "the new encoder's own neighbours: 24 queries, 240 documents",
        f"{'search':<44} recall@10",
    ]
    record = json.loads((found.save(tmp_path / "bridge") / "record.json").read_text())
    assert record["sample"] | {"fingerprint": ""} == {
        "texts": 240, "fitted": 216, "chose": 24, "judged": 24, "dropped": 0, "fingerprint": "",
    }  # fmt: skip
    assert len(record["queries"]) == 24
    assert record["re-embedding"]["documents"] == 1_000_000
    loaded = load_adapter(tmp_path / "bridge")
    vectors = (new | loaded).encode_query([WORDS[3]])
    np.testing.assert_allclose(vectors, HashingEncoder().encode_query([WORDS[3]]), atol=1e-5)
    assert loaded.canaries is not None


def test_texts_that_judge_are_never_fitted_on():
    """Their vectors in the goal space are garbage here: a bridge that had seen them would be another one."""
    x = normalize(np.random.default_rng(1).normal(size=(300, 6)).astype(np.float32))
    parts = split_texts(300, judge=True, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    spoilt = x.copy()
    spoilt[parts.judge] = normalize(np.random.default_rng(2).normal(size=(30, 6)).astype(np.float32))
    fits = [choose_bridge(goal, goal, parts, direction="queries", effort="fast") for goal in (x, spoilt)]
    assert fits[0].tried == fits[1].tried
    assert fits[0].bridge.matrix_.tobytes() == fits[1].bridge.matrix_.tobytes()


def test_test_queries_are_taken_out_of_the_sample(data, new):
    asked = [query.upper() for query in data.queries.values()]
    found = migrate("hashing", new, [*WORDS, *asked], data=data, effort="fast")
    assert (found.record["sample"]["texts"], found.record["sample"]["dropped"]) == (240, 120)
    assert "note: 120 texts of the sample are test queries, and were left out." in str(found)


def test_neighbours_are_counted_without_the_text_itself():
    points = normalize(np.random.default_rng(3).normal(size=(40, 5)).astype(np.float32))
    other = normalize(points + 0.4 * np.random.default_rng(4).normal(size=(40, 5)).astype(np.float32))

    def nearest(space, row):
        order = np.argsort(-(space @ space[row]), kind="stable")
        return {int(at) for at in order if at != row} & {int(at) for at in [at for at in order if at != row][:10]}

    expected = [len(nearest(points, row) & nearest(other, row)) / 10 for row in range(40)]
    found = share_found(*(nearest_texts(space, space, itself=range(40)) for space in (other, points)))
    np.testing.assert_allclose(found, expected)


def test_the_share_and_its_interval():
    full = np.array([1.0, 1, 1, 0] * 50)
    bridged = full.copy()
    bridged[:40:4] = 0
    kept = share_kept(bridged, full, seed=0)
    assert kept.share == pytest.approx(140 / 150)
    # Resampling queries and taking the ratio, the plain way.
    draws = np.random.default_rng(0).integers(200, size=(4000, 200))
    low, high = np.quantile(bridged[draws].mean(axis=1) / full[draws].mean(axis=1), [0.025, 0.975])
    assert (kept.low, kept.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    with pytest.raises(DataError, match="there is nothing that could be kept"):
        share_kept(np.zeros(3), np.zeros(3), seed=0)


@pytest.mark.parametrize(
    ("kept", "code", "words"),
    [
        (Kept(0.97, 0.96, 0.98), "bridge", "The bridge does for a full re-embedding (about $3): it keeps 97.0%"),
        (Kept(0.8, 0.7, 0.9), "re-embed", "Embed the index again (about $3): the bridge keeps 80.0% [70.0%, 90.0%]"),
        (Kept(0.95, 0.9, 1.0), "too-little-data", "which may be 95% or not. Give more queries."),
    ],
)
def test_verdicts(kept, code, words):
    found = decide(kept, {"old": 0.4, "bridged": 0.5, "full": 0.6}, 100, "about $3")
    assert found[0] == code
    assert words in found[1]
    _, said = decide(kept, {"old": 0.55, "bridged": 0.5, "full": 0.6}, 100, "about $3")
    assert "The old encoder by itself finds 0.550, the bridge 0.500:" in said


def test_what_embedding_again_costs_is_scaled_to_the_index(priced):
    found = migrate("hashing", priced(), WORDS, effort="fast", index_size=2400)
    assert found.record["re-embedding"]["cost"] == {"texts": 2400, "tokens": 24_000, "usd": 2400.0}


def test_a_bridge_to_another_space_is_refused(new):
    bridge = migrate("hashing", new, WORDS, effort="fast").bridge
    check_target_space(bridge, HashingEncoder().spec)
    with pytest.raises(ArtifactError, match=re.escape("b leads to hashing/trigrams-64 (64 dimensions); the")):
        check_target_space(bridge, EncoderSpec("openai", "v1", dimension=64), "b")


def test_samples_are_read_and_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\n two \n")
    assert read_sample(path) == ["one", "two"]
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"body": "two"}\n')
    with pytest.raises(DataError, match=re.escape(f'{path}:2: found the keys body and no "text". Expected a text')):
        read_sample(path)
    with pytest.raises(DataError, match=re.escape("The sample holds 3 different texts. Expected 100 or more")):
        migrate("hashing", "hashing", ["a", "b", "c", "c"])
    with pytest.raises(ConfigError) as caught:
        migrate("hashing", "hashing", ["a"], direction="up", effort="none", index_size=0)
    assert len(caught.value.problems) == 3
