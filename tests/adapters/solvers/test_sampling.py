import re

import numpy as np
import pytest

from embertune.adapters.pairs import Labels, TrainingPairs
from embertune.adapters.solvers.losses import cosent, cosine_mse, info_nce, triplet
from embertune.adapters.solvers.sampling import LOSSES, Sampler
from embertune.errors import DataError

N, M = 30, 24


def unit_rows(seed, count, dimension=6):
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def training(**extras):
    rng = np.random.default_rng(0)
    pairs = np.unique(np.column_stack([np.repeat(np.arange(N), 2), rng.integers(0, 16, 2 * N)]), axis=0)
    ignored = np.unique(np.column_stack([rng.integers(0, N, 60), rng.integers(0, M, 60)]), axis=0)
    return TrainingPairs(unit_rows(1, N), unit_rows(2, M), pairs, ignored=ignored, **extras)


def labels():
    """Queries 0 to 9 have three labelled documents; the first is their first positive."""
    pairs = training().pairs
    positions, values = [], []
    for query in range(10):
        own = pairs[pairs[:, 0] == query, 1]
        others = [at for at in range(16, M) if at != 17][:2]
        for document, value in zip([own[0], *others], (2.0, 0.5, -1.0), strict=True):
            positions.append((query, document))
            values.append(value)
    return Labels(np.array(positions), np.array(values))


def triplets_of(sampler, epochs=3):
    """The triplets of some epochs, by position among all."""
    found = []
    for number in range(epochs):
        for step in sampler.epoch(number):
            rows = step.loss.args[1]
            found += [(step.queries[q], *step.documents[list(rest)]) for q, *rest in rows.tolist()]
    return np.array(found)


@pytest.mark.parametrize("negatives", ["all", "in-batch", "random", "hard", "passages"])
def test_no_negative_answers_its_query_or_may_do_so(negatives):
    mined = np.unique(np.column_stack([np.repeat(np.arange(N), 8), np.tile(np.arange(8), N)]), axis=0)
    extras = {"hard": {"negatives": mined}, "passages": {"passages": unit_rows(3, 5)}}
    given = training(**extras.get(negatives, {}))
    sampler = Sampler(training=given, loss="triplet", negatives=negatives, batch_size=8)
    found = triplets_of(sampler)
    known = {*map(tuple, given.pairs.tolist()), *map(tuple, given.ignored.tolist())}
    pairs = set(map(tuple, given.pairs.tolist()))
    assert len(found) > 100
    for query, positive, negative in found.tolist():
        assert (query, positive) in pairs
        assert (query, negative) not in known
    if negatives == "passages":
        assert set(found[:, 2]) == set(range(M, M + 5))
        np.testing.assert_array_equal(sampler.documents[M:], given.passages)
    if negatives == "hard":
        assert set(found[:, 2]) <= set(range(8))
    if negatives == "in-batch":
        assert set(found[:, 2]) <= set(given.pairs[:, 1])


def test_judged_negatives_have_a_lower_label_and_are_no_positives():
    given = training(labels=labels())
    values = {tuple(p): v for p, v in zip(labels().positions.tolist(), labels().values.tolist(), strict=True)}
    for loss in ("triplet", "margin_mse", "mean_margin"):
        found = triplets_of(Sampler(training=given, loss=loss, negatives="judged", batch_size=8))
        assert len(found)
        for query, positive, negative in found.tolist():
            assert values[query, negative] < values.get((query, positive), np.inf)


def test_margins_are_the_lead_of_the_labels():
    given = training(labels=labels())
    values = {tuple(p): v for p, v in zip(labels().positions.tolist(), labels().values.tolist(), strict=True)}
    sampler = Sampler(training=given, loss="margin_mse", batch_size=8)
    seen = 0
    for step in sampler.epoch(0):
        rows, margins = step.loss.args[1], step.loss.args[2][0]
        for (q, p, n), margin in zip(rows.tolist(), margins.tolist(), strict=True):
            query, positive, negative = step.queries[q], step.documents[p], step.documents[n]
            assert margin == values[query, positive] - values[query, negative]
            seen += 1
    assert seen >= 20


def test_documents_that_only_have_a_label_are_drawn_by_nobody():
    given = training(labels=labels())
    brought = np.setdiff1d(labels().positions[:, 1], given.pairs[:, 1])
    assert len(brought)
    found = triplets_of(Sampler(training=given, loss="triplet", negatives="random"), epochs=8)
    assert not np.isin(found[:, 2], brought).any()
    for step in Sampler(training=given, loss="info_nce").epoch(0):
        assert not np.isin(step.documents, brought).any()


@pytest.mark.parametrize("loss", ["info_nce", "triplet", "cosent", "mse"])
def test_a_step_is_the_loss_on_all_rows(loss):
    given = training(labels=labels()) if loss in ("cosent", "mse") else training()
    sampler = Sampler(training=given, loss=loss, batch_size=7, negatives="random", num_negatives=3, temperature=0.2)
    reference = {
        "info_nce": lambda q, d, *rest: info_nce(q, d, *rest, temperature=0.2),
        "triplet": lambda q, d, *rest: triplet(q, d, *rest, margin=0.2),
        "cosent": lambda q, d, *rest: cosent(q, d, *rest, temperature=0.2),
        "mse": cosine_mse,
    }[loss]
    for step in sampler.epoch(0):
        rows = step.loss.args[1]
        own = np.column_stack([step.queries[rows[:, 0]], *(step.documents[column] for column in rows.T[1:])])
        value, by_q, _ = step.loss(given.queries[step.queries], given.documents[step.documents])
        if loss == "info_nce":
            further = {"candidates": step.documents, "ignored": np.concatenate([given.pairs, given.ignored])}
            expected, all_q, _ = info_nce(given.queries, given.documents, own, temperature=0.2, **further)
        else:
            expected, all_q, _ = reference(given.queries, given.documents, own, *step.loss.args[2])
        assert value == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(by_q, all_q[step.queries], atol=1e-5)


def test_graded_pairs_come_with_their_labels_and_negatives_with_the_lowest():
    given = training(labels=labels())
    values = {tuple(p): v for p, v in zip(labels().positions.tolist(), labels().values.tolist(), strict=True)}
    seen = set()
    for step in Sampler(training=given, loss="cosent", negatives="random", batch_size=8).epoch(0):
        rows, grades = step.loss.args[1], step.loss.args[2][0]
        for (q, d), grade in zip(rows.tolist(), grades.tolist(), strict=True):
            pair = (int(step.queries[q]), int(step.documents[d]))
            assert grade == values.get(pair, -1.0)
            seen.add(pair)
    assert set(values) <= seen
    assert len(seen) > len(values)
    scaled = [step.loss.args[2][0] for step in Sampler(training=given, loss="mse").epoch(0)]
    assert max(map(max, scaled)) == 1.0
    assert min(map(min, scaled)) == -0.5


def test_without_labels_a_positive_counts_one_and_a_negative_nothing():
    for step in Sampler(training=training(), loss="mse", negatives="random", num_negatives=2).epoch(0):
        pairs = set(map(tuple, training().pairs.tolist()))
        rows, targets = step.loss.args[1], step.loss.args[2][0]
        for (q, d), target in zip(rows.tolist(), targets.tolist(), strict=True):
            assert target == float((step.queries[q], step.documents[d]) in pairs)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_seed_gives_one_epoch_and_epochs_differ(loss):
    given = training(labels=labels())

    def drawn(seed, number):
        steps = Sampler(training=given, loss=loss, negatives="all", batch_size=5, max_candidates=6, seed=seed)
        return [(step.queries.tolist(), step.documents.tolist()) for step in steps.epoch(number)]

    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "triplet", "negatives": "hard"}, "negatives='hard' learns from negatives that were mined, and none"),
        ({"negatives": "passages"}, "negatives='passages' learns from passages of another text, and there are none."),
        ({"loss": "margin_mse"}, "loss='margin_mse' learns from numbers for several documents of a query, and there"),
        ({"negatives": "judged"}, "negatives='judged' learns from numbers for several documents of a query"),
    ],
)
def test_what_is_not_there_is_said(settings, says):
    with pytest.raises(DataError, match=re.escape(says)):
        list(Sampler(training=training(), **settings).epoch(0))


def test_where_nothing_is_a_negative_it_is_said():
    rows = unit_rows(0, 3)
    alone = TrainingPairs(rows, rows[:1], np.array([[0, 0], [1, 0], [2, 0]]))
    with pytest.raises(DataError, match=re.escape("With loss='triplet' and negatives='random' none of 3 examples has")):
        list(Sampler(training=alone, loss="triplet", negatives="random").epoch(0))
