import json
import re

import numpy as np
import pytest

from embertune.adapters.solvers.distillation import margin_mse
from embertune.core.vectors import normalize
from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.data.margins import Margins
from embertune.errors import DataError

ROWS = [("why", "so", "no", 7.5), ("who", "no", "so", -2.0), ("why", "so", "perhaps", 2.0)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_positions_point_at_the_texts_of_the_rows():
    taught = Margins.from_rows(ROWS)
    queries, documents = list(taught.dataset.queries.values()), [each.text for each in taught.dataset.corpus.values()]
    read = [(queries[q], documents[p], documents[n]) for q, p, n in taught.triplets]
    assert [(*row, margin) for row, margin in zip(read, taught.margins, strict=True)] == ROWS
    assert len(taught) == 3


def test_margins_are_what_the_loss_takes():
    """Vectors whose leads are the margins have no loss."""
    taught = Margins.from_rows([("a", "x", "y", 0.6), ("a", "x", "z", 1.0)])
    queries = np.array([[1.0, 0.0]], dtype=np.float32)
    documents = normalize(np.array([[1.0, 0.0], [0.4, 0.84**0.5], [0.0, 1.0]], dtype=np.float32))
    assert margin_mse(queries, documents, taught.triplets, taught.margins)[0] == pytest.approx(0, abs=1e-12)
    assert margin_mse(queries, documents, taught.triplets, taught.margins + 0.5)[0] == pytest.approx(0.25, abs=1e-6)


def test_scores_differ_by_the_margins():
    rng = np.random.default_rng(0)
    told = rng.normal(size=(3, 6))
    rows = [
        (f"q{q}", f"d{p}", f"d{n}", told[q, p] - told[q, n])
        for q in range(3) for p in (0, 1) for n in (2, 3, 4, 5)
    ]  # fmt: skip
    taught = Margins.from_rows(rows)
    for query, scores in taught.scores().items():
        own = {document: told[int(query[1:]) - 1, int(taught.dataset.corpus[document].text[1:])] for document in scores}
        assert len(scores) == 6
        shifts = [scores[document] - own[document] for document in scores]
        np.testing.assert_allclose(shifts, shifts[0], atol=1e-12)


@pytest.mark.parametrize(
    "rows",
    [
        [{"query": q, "positive": p, "negative": n, "margin": m} for q, p, n, m in ROWS],
        [{"anchor": q, "positive": p, "negative": n, "scores": [m + 1, 1]} for q, p, n, m in ROWS],
        [
            {"query": "why", "positive": "so", "negatives": ["no", "perhaps"], "margin": [7.5, 2]},
            {"query": "who", "positive": "no", "negatives": ["so"], "margin": [-2]},
        ],
        [
            {"query": "why", "positive": "so", "negative_1": "no", "negative_2": "perhaps", "scores": [9, 1.5, 7]},
            {"query": "who", "positive": "no", "negative_1": "so", "negative_2": None, "scores": [1, 3]},
        ],
    ],
)
def test_every_way_of_writing_margins_is_read(rows, tmp_path):
    path = write(tmp_path / "taught.jsonl", rows)
    taught = Margins.read(path)
    expected = Margins.from_rows(ROWS)

    def told(margins):
        queries, documents = list(margins.dataset.queries.values()), list(margins.dataset.corpus.values())
        return {
            (queries[q], documents[p].text, documents[n].text, margin)
            for (q, p, n), margin in zip(margins.triplets, margins.margins, strict=True)
        }

    assert told(taught) == told(expected)
    assert taught.dataset.name == "taught"
    # As a plain data set the same file gives the labels, without the teacher.
    assert load_dataset(path).qrels == taught.dataset.qrels


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"query": "a", "positive": "x"},
            "taught.jsonl has no column for the negative. Expected negative, or negative_1",
        ),
        (
            {"query": "a", "positive": "x", "negative": "y"},
            "taught.jsonl:1: found the keys query, positive, negative, and no margin. Expected `margin`, a number, or "
            "`scores`, a list with that of the positive first. Write such a file: embertune pseudo-label DATA",
        ),
        (
            {"query": "a", "positive": "x", "negative": "y", "margin": "high"},
            "taught.jsonl:1: margin holds 'high'. Expected a finite number.",
        ),
        (
            {"query": "a", "positive": "x", "negative": "y", "scores": [1, 2, 3]},
            "taught.jsonl:1: found 2 margins for 1 negatives. Expected one for each.",
        ),
        ({"query": "", "positive": "x", "negative": "y", "margin": 1}, "Row 1 has an empty text."),
    ],
)
def test_what_has_no_margin_is_refused(row, message, tmp_path):
    with pytest.raises(DataError, match=re.escape(message)):
        Margins.read(write(tmp_path / "taught.jsonl", [row]))


def test_rows_of_another_shape_are_refused():
    with pytest.raises(DataError, match=re.escape("Row 1 is ('a', 'x', 'y'). Expected 4 values")):
        Margins.from_rows([("a", "x", "y")])
    with pytest.raises(DataError, match=re.escape("Row 1: the margin holds nan. Expected a finite number.")):
        Margins.from_rows([("a", "x", "y", float("nan"))])


def test_scores_find_their_texts_in_the_data_they_are_of():
    corpus = {"a": Document("It is old.", "Bridge"), "b": Document("It is long."), "c": Document("No.")}
    data = Dataset(corpus, {"x": "how long?", "y": "how old?"}, {"x": {"b": 1.0}, "y": {"a": 1.0}}, name="bridges")
    rows = [("how old?", corpus["a"].content, "No.", 4.0), ("how old?", "It is old.", "It is long.", 3.0)]
    assert Margins.from_rows(rows).scores_of(data) == {"y": {"a": 0.0, "c": -4.0, "b": -3.0}}


def test_scores_of_other_data_are_refused():
    data = Dataset.from_pairs([("how old?", "It is old.")], name="bridges")
    text = "1 query and 2 documents of other are not in bridges (such as 'how tall?'). Expected the scores of this data"
    with pytest.raises(DataError, match=re.escape(text)):
        Margins.from_rows([("how tall?", "Tall.", "Small.", 1.0)], name="other").scores_of(data)
