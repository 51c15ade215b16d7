import re

import numpy as np
import pytest

from embertune.adapters import (
    Chain,
    DocumentAdapter,
    IdentityAdapter,
    LinearAdapter,
    MLPAdapter,
    OrthogonalAdapter,
    TruncationAdapter,
    WhiteningAdapter,
    check_pairs,
    load_adapter,
)
from embertune.adapters.gate import Gate
from embertune.adapters.solvers.sampling import LOSSES
from embertune.core.vectors import normalize
from embertune.errors import ConfigError, DataError
from embertune.testing import check_adapter


def space(n=80, d=10, seed=0):
    """Queries that are their documents turned a little: a linear map leads back."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(np.eye(d) + 0.25 * rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(n, d)).astype(np.float32))
    return normalize((documents @ rotation).astype(np.float32)), documents


def training(**extras):
    queries, documents = space()
    pairs = np.column_stack([np.arange(80)] * 2)
    return check_pairs(queries, documents, pairs, **extras)


def hits(adapter, queries, documents):
    found = adapter.transform(queries) @ adapter.transform(documents, "document").T
    return int((found.argmax(axis=1) == np.arange(len(documents))).sum())


def labels():
    """The right document has 10, the nearest other one 0: over the temperature of .05 a cosine of half."""
    queries, documents = space()
    cosines = queries @ documents.T
    cosines[np.arange(80), np.arange(80)] = -2
    own, other = np.column_stack([np.arange(80)] * 2), np.column_stack([np.arange(80), cosines.argmax(axis=1)])
    return np.concatenate([own, other]), np.repeat([10.0, 0.0], 80)


SETTINGS = {"pull": 1e-4, "max_epochs": 40, "batch_size": 16}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "adapter",
    [
        LinearAdapter(negatives="judged", learning_rate=0.02, **SETTINGS),
        LinearAdapter("both", negatives="judged", learning_rate=0.02, **SETTINGS),
        LinearAdapter(rank=8, negatives="judged", learning_rate=0.02, **SETTINGS),
        MLPAdapter(hidden=64, negatives="judged", learning_rate=0.01, **SETTINGS),
    ],
)
def test_every_loss_teaches_every_family(adapter, loss):
    queries, documents = space()
    fitted = type(adapter)(**{**adapter.get_params(), "loss": loss}).fit_training(training(labels=labels()))
    before = hits(IdentityAdapter(), queries, documents)
    assert hits(fitted, queries, documents) > before
    assert len(fitted.losses_) == fitted.best_epoch_ == 40
    assert fitted.losses_[-1] < fitted.losses_[0]


def test_a_step_of_full_batches_equals_the_objective_of_l_bfgs():
    """With all pairs in one batch and all documents as candidates both minimise one function: gradients at 0 agree."""
    queries, documents = space()
    batches = LinearAdapter(negatives="in-batch", batch_size=80, max_epochs=1, pull=0.3).fit(queries, documents)
    whole = LinearAdapter(pull=0.3, max_steps=1).fit(queries, documents)
    objective = whole._objective(training(), None)
    value, _ = objective.value_and_gradient(np.zeros(100, dtype=np.float32), 0.3)
    assert batches.losses_[0] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("family", [LinearAdapter, MLPAdapter])
def test_the_best_epoch_is_kept_and_no_array_is_shared(family):
    queries, documents = space()
    seen = []

    def validate(adapter):
        seen.append((adapter, {name: array.copy() for name, array in adapter.tensors().items()}))
        return [0.1, 0.2, 0.5, 0.4, 0.5, 0.3, 0.9][len(seen) - 1]

    adapter = family(loss="triplet", patience=3).fit(queries, documents, validate=validate)
    assert adapter.scores_ == (0.1, 0.2, 0.5, 0.4, 0.5, 0.3)
    assert (adapter.best_epoch_, len(adapter.losses_)) == (2, 5)
    for name, array in adapter.tensors().items():
        np.testing.assert_array_equal(array, seen[2][1][name])
        assert any(not np.array_equal(seen[2][1][key], seen[3][1][key]) for key in seen[2][1])
        assert name in seen[0][1]
    for handed, then in seen:
        for name, array in handed.tensors().items():
            np.testing.assert_array_equal(array, then[name])


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "triplet"},
        {"loss": "triplet_euclidean", "side": "both", "dropout": 0.2},
        {"loss": "mse", "negatives": "random", "side": "both", "maps": "shared"},
        {"loss": "cosent", "rank": 5},
        {"negatives": "in-batch", "form": "diagonal", "batch_size": 7},
    ],
)
def test_linear_maps_of_mini_batches_keep_the_contract(params):
    check_adapter(LinearAdapter(**{"max_epochs": 3, **params}))


@pytest.mark.parametrize("params", [{"loss": "triplet"}, {"loss": "cosent", "side": "both"}])
def test_networks_of_other_losses_keep_the_contract(params):
    check_adapter(MLPAdapter(hidden=16, max_epochs=3, **params))


def test_the_default_stays_l_bfgs_and_wants_nothing():
    queries, documents = space()
    adapter = LinearAdapter(pull=0.01).fit(queries, documents, validate=lambda adapter: 1 / 0)
    assert adapter.best_epoch_ is None
    assert adapter.wants == frozenset()
    assert LinearAdapter(loss="cosent").wants == {"labels", "validation"}
    assert MLPAdapter(negatives="hard").wants == {"hard negatives", "validation"}
    assert Chain([WhiteningAdapter(), MLPAdapter(negatives="passages")]).wants == {"passages", "validation"}


def test_what_may_answer_a_query_is_not_pushed_away_by_l_bfgs_either():
    queries, documents = space()
    twins = np.concatenate([documents, documents[:40]])
    pairs = np.column_stack([np.arange(80)] * 2)
    ignored = np.column_stack([np.arange(40), np.arange(80, 120)])
    alone = LinearAdapter(pull=0.01).fit_training(check_pairs(queries, documents, pairs))
    masked = LinearAdapter(pull=0.01)._objective(check_pairs(queries, twins, pairs, ignored=ignored), None)
    free = LinearAdapter(pull=0.01)._objective(check_pairs(queries, twins, pairs), None)
    # At the right map a twin that counts as a negative alone costs log 2.
    point = alone.coef_.ravel()
    assert free.value_and_gradient(point, 0.0)[0] > masked.value_and_gradient(point, 0.0)[0] + 0.3


def test_saved_parameters_come_back(tmp_path):
    queries, documents = space()
    adapter = LinearAdapter(loss="triplet", margin=0.5, max_epochs=2).fit(queries, documents)
    loaded = load_adapter(adapter.save(tmp_path / "a"))
    assert loaded.get_params() == adapter.get_params()
    np.testing.assert_array_equal(loaded.coef_, adapter.coef_)


@pytest.mark.parametrize(
    "adapter",
    [
        LinearAdapter(), LinearAdapter(loss="triplet", max_epochs=1), MLPAdapter(hidden=4, max_epochs=1),
        OrthogonalAdapter(), WhiteningAdapter(), TruncationAdapter(4), DocumentAdapter("mean"),
        Chain([LinearAdapter()]),
    ],
    ids=lambda adapter: adapter.type,
)  # fmt: skip
def test_a_fit_forgets_the_gate_and_the_strength_of_an_earlier_one(adapter):
    queries, documents = space()
    adapter = adapter.scaled(0.25)
    if adapter.type != "document":
        adapter = adapter._with(gate=Gate.fit(queries))
    adapter.encoder = {"model": "another"}
    adapter.fit(queries, documents)
    assert (adapter.strength, adapter.gate, adapter.encoder) == (1.0, None, None)


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        (
            LinearAdapter(loss="hinge"),
            "loss must be 'info_nce' or 'triplet' or 'triplet_euclidean' or 'cosent' or 'mse' or 'margin_mse' or "
            "'mean_margin', got 'hinge'",
        ),
        (
            MLPAdapter(negatives="easy"),
            "negatives must be 'all' or 'in-batch' or 'random' or 'hard' or 'judged'",
        ),
        (LinearAdapter(loss="triplet", margin=-1), "margin must be 0 or more, got -1"),
        (LinearAdapter(dropout=1), "dropout must be from 0 to below 1, got 1"),
        (MLPAdapter(num_negatives=0), "num_negatives must be at least 1, got 0"),
        (LinearAdapter(learning_rate=float("nan")), "learning_rate must be positive, got nan"),
        (
            LinearAdapter("both", maps="shared-then-query", loss="triplet"),
            "maps must be 'separate' or 'shared' with mini-batches, got 'shared-then-query'",
        ),
        (
            MLPAdapter(loss="margin_mse", negatives="random"),
            "negatives must be 'all' or 'judged' with loss='margin_mse', which needs a score for each, got 'random'",
        ),
    ],
)
def test_impossible_parameters(adapter, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        adapter.fit(*space())


@pytest.mark.parametrize(
    ("extras", "says"),
    [
        ({"negatives": [(0, 99)]}, "Negatives point at query 0 and document 99, but there are 80 queries and 80"),
        ({"ignored": [(0, 1, 2)]}, "The ignored are not positions (first: (0, 1, 2)). Expected whole numbers"),
        ({"labels": ([(0, 1)], [1.0, 2.0])}, "There are 1 labelled pairs and 2 finite numbers for them. Give one for"),
        ({"labels": ([(0, 1)], [np.nan])}, "There are 1 labelled pairs and 0 finite numbers for them."),
        ({"passages": np.ones((2, 3))}, "The passages have 3 dimensions and the queries 10."),
    ],
)
def test_extras_that_do_not_fit_are_explained(extras, says):
    with pytest.raises(DataError, match=re.escape(says)):
        training(**extras)


def test_extras_without_pairs_are_refused_and_repeated_labels_end_with_the_last():
    with pytest.raises(DataError, match=re.escape("negatives came without `pairs`, where equal documents are one")):
        check_pairs(np.eye(2), np.eye(2), negatives=[(0, 1)])
    found = check_pairs(np.eye(2), np.eye(2), [(0, 0)], labels=([(1, 0), (0, 1), (1, 0)], [1, 2, 3])).labels
    assert (found.positions.tolist(), found.values.tolist()) == ([[0, 1], [1, 0]], [2.0, 3.0])
