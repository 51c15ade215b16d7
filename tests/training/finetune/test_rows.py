import re

import pytest

from embertune.data.dataset import Dataset
from embertune.errors import DataError
from embertune.training.finetune.config import FinetuneConfig, LossConfig, MiningSettings
from embertune.training.finetune.rows import make_rows

TRIPLETS = Dataset.from_triplets([("why", "so", "no"), ("who", "Anna", "Bert"), ("who", "Anna Smith", "Carl")])
PAIRS = Dataset.from_pairs([("why", "so"), ("who", "Anna"), ("who", "Anna Smith"), ("how", "thus")])
SCORED = Dataset.from_scored_pairs([("why", "so", 1.0), ("why", "no", 0.0), ("who", "Anna", 0.7)])


def settings(loss="mnrl", number=1, **more):
    return FinetuneConfig(loss=LossConfig(name=loss, **more), mining=MiningSettings(num_negatives=number))


def test_pairs_become_rows_with_mined_negatives():
    mined = {"why": ["Anna", "thus"], "who": ["so"], "how": ["so", "Anna"]}
    rows = make_rows(PAIRS, mined, settings())
    assert rows.columns == {
        "query": ["why", "who", "who", "how"],
        "positive": ["so", "Anna", "Anna Smith", "thus"],
        "negative_1": ["Anna", "so", "so", "so"],
    }
    assert rows.query_ids == ["q1", "q2", "q2", "q3"]
    assert rows.labels is None
    assert rows.notes == ()


def test_without_mining_pairs_are_rows_alone():
    assert list(make_rows(PAIRS, {}, settings(number=0)).columns) == ["query", "positive"]


def test_negatives_of_the_data_come_first_and_are_taken_without_mining():
    assert make_rows(TRIPLETS, {"why": ["Carl"]}, settings()).columns["negative_1"] == ["no", "Bert", "Bert"]
    assert make_rows(TRIPLETS, {}, settings(number=0)).columns["negative_1"] == ["no", "Bert", "Bert"]


def test_a_positive_is_never_a_negative_even_of_another_pair_of_its_query():
    rows = make_rows(PAIRS, {"who": ["Anna Smith", "Anna", "thus"], "why": ["so"]}, settings(number=2))
    own = {"why": {"so"}, "who": {"Anna", "Anna Smith"}, "how": {"thus"}}
    for query, *negatives in zip(*(rows.columns[name] for name in ("query", "negative_1", "negative_2")), strict=True):
        assert not own[query] & set(negatives)
        assert len(set(negatives)) == 2
    assert rows.notes == (
        "6 of 8 hard negatives were not to be had; answers of other queries, drawn at random, took their places.",
    )
    assert make_rows(PAIRS, {}, settings(number=2)).fingerprint == make_rows(PAIRS, {}, settings(number=2)).fingerprint


def test_too_few_documents_are_refused():
    with pytest.raises(
        DataError, match=re.escape("for 2 negatives of the query 'q1' (found 1). Ask for fewer: mining")
    ):
        make_rows(Dataset.from_pairs([("a", "x"), ("b", "y")]), {}, settings(number=2))


def test_triplets_have_one_negative_in_a_row():
    rows = make_rows(TRIPLETS, {"why": ["Carl"]}, settings("triplet", 2))
    assert list(zip(*rows.columns.values(), strict=True)) == [
        ("why", "so", "no"),
        ("why", "so", "Carl"),
        ("who", "Anna", "Bert"),
        ("who", "Anna", "Carl"),
        ("who", "Anna Smith", "Bert"),
        ("who", "Anna Smith", "Carl"),
    ]


def test_scored_pairs_are_rows_of_cosent_with_mined_negatives_as_zero():
    rows = make_rows(SCORED, {"who": ["no", "so"]}, settings("cosent"))
    assert rows.columns == {"query": ["why", "why", "who", "who"], "document": ["so", "no", "Anna", "no"]}
    assert rows.labels == [1.0, 0.0, 0.7, 0.0]


def test_scored_pairs_are_pairs_to_other_losses():
    rows = make_rows(SCORED, {}, settings(number=0))
    assert next(zip(*rows.columns.values(), strict=True)) == ("why", "so", "no")


def test_grades_that_are_all_equal_teach_cosent_nothing():
    with pytest.raises(DataError, match=re.escape("all have the grade 1; cosent learns from their order. Mine neg")):
        make_rows(PAIRS, {}, settings("cosent"))


@pytest.mark.parametrize(("loss", "labels"), [("margin_mse", [[1.0, 2.0], [3.0, 4.0]]), ("mean_margin", [1.5, 3.5])])
def test_a_teacher_says_how_far_positives_lead(loss, labels):
    data = Dataset.from_triplets([("why", "so", ["no", "nope"]), ("who", "Anna", ["Bert", "Carl"])])
    scores = {"so": 5, "no": 4, "nope": 3, "Anna": 7, "Bert": 4, "Carl": 3}
    asked = []

    def teacher(pairs):
        asked.extend(pairs)
        return [scores[document] for _, document in pairs]

    assert make_rows(data, {}, settings(loss, 2), teacher=teacher).labels == labels
    assert asked[:3] == [("why", "so"), ("why", "no"), ("why", "nope")]
