"""New labels for an adapter in use: what is gained, and what may not be lost."""

import json
import re

import numpy as np
import pytest

from embertune import Dataset, LinearAdapter, load_adapter, load_encoder, update
from embertune.errors import ArtifactError, DataError
from embertune.recipes.update import Change, decide_update

GAIN, NONE = Change(90, 0.5, 0.6, 0.05, 0.15), Change(90, 0.5, 0.51, -0.02, 0.04)


def topic(name, others, count=60, parts=False):
    """Questions whose answers are called otherwise: what belongs together has to be learned."""
    rows = [
        (f"{name} {others[n % len(others)]} {n}", f"ZZ{others[::-1][n % len(others)]}{n} {n}") for n in range(count)
    ]
    data = Dataset.from_pairs(rows)
    if not parts:
        return data
    told = {query: "test" if at % 3 == 0 else "train" for at, query in enumerate(data.queries)}
    return Dataset(data.corpus, data.queries, data.qrels, parts=told)


WORDS = ["alder", "birch", "cedar", "hazel", "larch", "maple", "rowan", "thorn"]


@pytest.fixture
def shipped():
    data = topic("tree", WORDS)
    encoder = load_encoder("hashing")
    asked, answers = list(data.queries.values()), [document.content for document in data.corpus.values()]
    adapter = LinearAdapter(pull=0.1).fit(encoder.encode_query(asked), encoder.encode_document(answers))
    adapter.encoder = encoder.spec.to_dict()
    return adapter


def test_new_labels_are_learned_and_old_ones_kept(shipped, tmp_path):
    found = update(shipped, topic("bird", WORDS[::-1], count=120), "hashing", old_data=topic("tree", WORDS, parts=True))
    assert found.record["new"]["after"] > found.record["new"]["before"]
    assert found.code in ("update", "no-gain")
    assert [one["pull"] for one in found.record["tried"]] == [1.0, 0.3, 0.1, 0.03]
    loaded = load_adapter(found.save(tmp_path / "more"))
    record = json.loads(loaded.attachments["record.json"])
    assert (record["kind"], record["old"]["queries"]) == ("update", 20)
    vectors = load_encoder("hashing").encode_query(["bird larch 3"])
    assert loaded.transform(vectors).tobytes() == found.adapter.transform(vectors).tobytes()


def test_what_is_refused_serves_the_adapter_in_use(shipped):
    """Labels that are drawn at random teach nothing."""
    random = np.random.default_rng(0)
    letters = ["".join(row) for row in random.choice(list("abcdefghijklmnop"), size=(120, 12))]
    data = Dataset.from_pairs(list(zip(letters[:60], letters[60:], strict=True)))
    found = update(shipped, data, "hashing")
    assert found.code != "update"
    vectors = load_encoder("hashing").encode_query(letters)
    assert found.adapter.transform(vectors).tobytes() == shipped.transform(vectors).tobytes()
    assert shipped.attachments == {}


def test_without_old_data_canaries_tell_what_stays(shipped):
    from embertune.encoders.canaries import embed_canaries

    assert update(shipped, topic("bird", WORDS), "hashing").record["anchors"] is None
    shipped.canaries = embed_canaries(load_encoder("hashing"))
    anchors = update(shipped, topic("bird", WORDS), "hashing").record["anchors"]
    assert (anchors["what"], anchors["queries"]) == ("canaries", 16)
    assert 0 <= anchors["kept"] <= 1


@pytest.mark.parametrize(
    ("gain", "loss", "anchors", "code", "words"),
    [
        (GAIN, Change(90, 0.6, 0.594, -0.011, -0.001), None, "loses-old-gains", "Refused: old queries lose 0.006."),
        (GAIN, Change(90, 0.6, 0.59, -0.03, 0.01), None, "update", "new queries gain 0.100, old ones -0.010."),
        (GAIN, Change(90, 0.6, 0.596, -0.006, -0.002), None, "update", "old ones -0.004."),
        (GAIN, None, {"what": "canaries", "queries": 16, "kept": 0.8}, "loses-old-gains", "only 80.0% of the nearest"),
        (GAIN, None, {"what": "canaries", "queries": 16, "kept": 0.95}, "update", "anchors stay."),
        (GAIN, None, None, "update", "what old queries lose was not measured."),
        (NONE, None, None, "no-gain", "No gain is proven on the new queries. Keep the adapter in use: ndcg@10 0.500"),
    ],
)
def test_verdicts(gain, loss, anchors, code, words):
    found = decide_update(gain, loss, anchors)
    assert found[0] == code
    assert words in found[1]


def test_errors(shipped):
    with pytest.raises(ArtifactError, match=re.escape("was trained on hashing/trigrams-64 (64 dimensions)")):
        update(shipped, topic("bird", WORDS), load_encoder("hashing", dimension=32))
    with pytest.raises(DataError, match=re.escape("are tested, so none is left to learn from.")):
        update(shipped, topic("bird", WORDS), "hashing", old_data=topic("tree", WORDS))
