"""What a run keeps of every query: checked against the search and the SVD that it must agree with."""

import re

import numpy as np
import pytest

from embertune.core.vectors import normalize
from embertune.errors import ArtifactError, DataError
from embertune.recipes.details import Details, principal_plane
from embertune.recipes.look import Look
from embertune.recipes.tune import tune


@pytest.fixture(scope="module")
def tuned(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=quick)


def test_the_plane_is_that_of_the_singular_vectors():
    for shape in ((40, 12), (12, 40)):
        vectors = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        wide = normalize(vectors).astype(np.float64)
        wide -= wide.mean(axis=0)
        left, values, _ = np.linalg.svd(wide, full_matrices=False)
        plane, shares = principal_plane(vectors)
        assert np.allclose(np.abs(plane), np.abs(left[:, :2] * values[:2]), atol=1e-6)
        assert np.allclose(shares, (values**2 / (values**2).sum())[:2], atol=1e-3)
        assert (plane[np.abs(plane).argmax(axis=0), [0, 1]] > 0).all()


def test_equal_points_are_one_point():
    plane, shares = principal_plane(np.ones((3, 5), dtype=np.float32))
    assert np.allclose(plane, 0)
    assert shares == [0.0, 0.0]


def test_ranks_and_cosines_are_those_of_a_full_search(tuned, learnable):
    data = learnable.data
    queries = dict(zip(data.queries, learnable.queries, strict=True))
    documents = normalize(learnable.documents)
    after = tuned.candidate.transform(documents, "document")
    for row in tuned.details.queries[:10]:
        vector = normalize(queries[row["id"]][None])
        changed = tuned.candidate.transform(vector, "query")
        for side, scores in ((2, documents @ vector[0]), (4, after @ changed[0])):
            order = np.argsort(-scores, kind="stable")
            ids = [list(data.corpus)[at] for at in order]
            for told in row["documents"]:
                assert told[side] in (None, ids.index(told[0]) + 1)
                assert told[side + 1] == pytest.approx(scores[list(data.corpus).index(told[0])], abs=1e-4)
            assert set(ids[:10]) <= {told[0] for told in row["documents"]}
        assert {told[0] for told in row["documents"] if told[1]} == set(data.positives(row["id"]))


def test_near_queries_are_none_of_test_and_the_nearest(tuned, learnable):
    tested = {row["id"] for row in tuned.details.queries}
    others = [query for query in learnable.data.queries if query not in tested]
    at = {query: row for row, query in enumerate(learnable.data.queries)}
    vectors = normalize(learnable.queries)
    for row in tuned.details.queries[:10]:
        cosines = vectors[[at[query] for query in others]] @ vectors[at[row["id"]]]
        assert [cosine for _, cosine in row["near"]] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-4)
        assert not {query for query, _ in row["near"]} & tested


def test_every_test_query_has_its_row_and_folds_keep_apart(toy, quick):
    few = toy(60, 40)
    result = tune(few.data, few.encoder, effort=quick)
    assert [row["id"] for row in result.details.queries] == [row["id"] for row in result.record["queries"]]
    assert len(result.details.queries) == 60
    assert all(row["id"] not in dict(row["near"]) for row in result.details.queries)


def test_what_is_written_is_read(tuned, tmp_path, learnable):
    folder = tuned.save(tmp_path / "mine")
    found = Details.read(folder)
    assert [*map(dict, found.queries)] == [
        {**row, "near": [list(one) for one in row["near"]]} for row in tuned.details.queries
    ]
    assert found.chart == tuned.details.chart
    (folder / "map.json").unlink()
    with pytest.raises(ArtifactError, match=re.escape("has no rankings.jsonl and map.json, so what each query found")):
        Look.open(folder, learnable.data)


def test_a_look_orders_by_gain_and_agrees_with_the_record(tuned, tmp_path, learnable):
    look = Look.open(tuned.save(tmp_path / "mine"), learnable.data)
    gains = [row.gain for row in look.rows]
    assert gains == sorted(gains, reverse=True)
    view = look.view(look.rows[0].id)
    assert [hit.rank for hit in view.base] == [hit.rank for hit in view.tuned] == list(range(1, 11))
    assert view.base[0].text == learnable.data.corpus[view.base[0].id].content
    before = {hit.id: hit for hit in view.base}
    for hit in view.tuned:
        if hit.id in before:
            assert (hit.other_rank, hit.other_score) == (before[hit.id].rank, before[hit.id].score)
    assert view.answers
    assert all(hit.is_relevant for hit in view.answers)
    with pytest.raises(DataError, match=re.escape("'../x' is no test query of this run")):
        look.view("../x")


def test_without_the_data_ids_stand_for_texts(tuned, tmp_path):
    view = (look := Look.open(tuned.save(tmp_path / "mine"))).view(look.rows[-1].id)
    assert view.row.text == view.row.id
    assert all(hit.text == hit.id for hit in view.base)


def test_the_map_is_a_sample_of_what_is_large(toy, quick, monkeypatch):
    monkeypatch.setattr("embertune.recipes.details._MAP_QUERIES", 7)
    monkeypatch.setattr("embertune.recipes.details._MAP_DOCUMENTS", 20)
    large = toy(120, 60)
    chart = tune(large.data, large.encoder, effort=quick).details.chart
    assert (len(chart["queries"]["ids"]), len(chart["documents"]["ids"])) == (7, 20)
    for part in ("queries", "documents"):
        assert len(chart[part]["base"]) == len(chart[part]["tuned"]) == len(chart[part]["ids"])
    answers = {document for query in chart["queries"]["ids"] for document in large.data.positives(query)}
    assert answers <= set(chart["documents"]["ids"])
