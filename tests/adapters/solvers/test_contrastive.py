import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from embertune.adapters.solvers.contrastive import InfoNCE, principal_directions
from embertune.core.threads import threads_for
from embertune.core.vectors import normalize


def problem(seed=0, n=7, m=9, d=5, sides=("query",), candidates=None, temperature=0.1, rank=None, **form):
    rng = np.random.default_rng(seed)
    queries = normalize(rng.normal(size=(n, d)).astype(np.float32))
    documents = normalize(rng.normal(size=(m, d)).astype(np.float32))
    pairs = np.array([(i, j) for i in range(n) for j in sorted(rng.choice(m, rng.integers(1, 4), replace=False))])
    chosen = np.arange(m) if candidates is None else np.asarray(candidates)
    basis = None if rank is None else principal_directions(queries, documents, rank)
    return InfoNCE(
        queries=queries, documents=documents, pairs=pairs, candidates=chosen, basis=basis, temperature=temperature,
        sides=sides, **form,
    )  # fmt: skip


def plain_loss(objective, maps):
    """The formula of the docstring, pair by pair, in float64."""
    queries, documents = objective.queries.astype(float), objective.documents.astype(float)
    if "query" in maps:
        queries = queries + queries @ maps["query"].astype(float)
    if "document" in maps:
        documents = documents + documents @ maps["document"].astype(float)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    documents /= np.linalg.norm(documents, axis=1, keepdims=True)
    scores = queries @ documents.T / objective.temperature
    losses = []
    for i, j in objective.pairs:
        positives = set(objective.pairs[objective.pairs[:, 0] == i, 1])
        if objective.ignored is not None:
            positives |= set(objective.ignored[objective.ignored[:, 0] == i, 1])
        negatives = [c for c in objective.candidates if c not in positives]
        losses.append(-scores[i, j] + np.log(np.exp(scores[i, j]) + sum(np.exp(scores[i, c]) for c in negatives)))
    return float(np.mean(losses))


START = (0.3 * np.random.default_rng(9).normal(size=(5, 5))).astype(np.float32)
FORMS = [
    ("query", {}), ("document", {}), ("query document", {}), ("query document", {"shared": True}),
    ("query document", {"diagonal": True}), ("query document", {"diagonal": True, "shared": True}),
    ("query", {"start": START}), ("query document", {"ignored": np.array([[0, 3], [0, 8], [2, 0], [6, 1]])}),
]  # fmt: skip


@pytest.mark.parametrize(("sides", "form"), FORMS)
@pytest.mark.parametrize("candidates", [None, [0, 2, 3, 8]])
@pytest.mark.parametrize("rank", [None, 3])
def test_value_equals_the_formula_and_gradient_equals_finite_differences(sides, form, candidates, rank):
    sides, form = tuple(sides.split()), dict(form)
    if "start" in form and rank:
        form["start"] = form["start"][:rank, :rank]
    objective = problem(sides=sides, candidates=candidates, rank=rank, **form)
    rng = np.random.default_rng(1)
    flat = (0.3 * rng.normal(size=np.prod(objective.shape))).astype(np.float32)
    pull = 0.07

    def reference(point):
        basis = np.eye(5) if objective.basis is None else objective.basis.astype(float)
        parts = list(point.reshape(objective.shape))
        inner = zip(sides, [np.diag(part) if part.ndim == 1 else part for part in parts] * 2, strict=False)
        inner = {side: part + form.get("start", 0) for side, part in inner}
        maps = {side: basis @ part @ basis.T for side, part in inner.items()}
        return plain_loss(objective, maps) + pull / 2 * float(point @ point)

    value, gradient = objective.value_and_gradient(flat, pull)
    assert value == pytest.approx(reference(flat.astype(float)), rel=1e-5)
    for at in rng.choice(len(flat), min(12, len(flat)), replace=False):
        step = np.zeros(len(flat))
        step[at] = 1e-5
        slope = (reference(flat + step) - reference(flat - step)) / 2e-5
        assert gradient[at] == pytest.approx(slope, abs=2e-4)


def test_all_scores_equal_gives_the_logarithm_of_the_number_of_candidates():
    queries = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (6, 1))
    pairs = np.column_stack([np.arange(6), np.arange(6)])
    objective = InfoNCE(queries=queries, documents=queries, pairs=pairs, candidates=np.arange(6), temperature=0.05)
    value, _ = objective.value_and_gradient(np.zeros(4, dtype=np.float32), 0.0)
    assert value == pytest.approx(np.log(6), rel=1e-6)


def test_a_query_whose_every_candidate_is_a_positive_has_loss_zero():
    documents = np.eye(3, dtype=np.float32)
    pairs = np.array([(0, 0), (0, 1), (0, 2)])
    objective = InfoNCE(
        queries=documents[:1], documents=documents, pairs=pairs, candidates=np.arange(3), temperature=0.05,
        sides=("query", "document"),
    )  # fmt: skip
    value, gradient = objective.value_and_gradient(np.zeros(18, dtype=np.float32), 0.0)
    assert value == pytest.approx(0, abs=1e-6)
    assert np.abs(gradient).max() < 1e-6


def assert_blocks_change_nothing(measured, whole, cells):
    """Compare loss and gradient in one block, in several, and in several by two threads."""
    whole, blocked = measured(whole), measured(cells)
    assert blocked[0] == pytest.approx(whole[0], rel=1e-6)
    np.testing.assert_allclose(blocked[1], whole[1], atol=1e-5)
    with threadpool_limits(2, user_api="blas"), threads_for(2**40):
        loss, gradient = measured(cells)
    assert loss == blocked[0]
    np.testing.assert_array_equal(gradient, blocked[1])


def test_blocks_equal_the_whole_and_threads_change_no_bit(monkeypatch):
    import embertune.adapters.solvers.contrastive as module

    def measured(cells):
        monkeypatch.setattr(module, "_BLOCK_CELLS", cells)
        objective = problem(n=40, m=30, sides=("query", "document"))
        assert len(objective._parts) == -(-1200 // cells)
        flat = (0.2 * np.random.default_rng(2).normal(size=np.prod(objective.shape))).astype(np.float32)
        return objective.value_and_gradient(flat, 0.1)

    assert_blocks_change_nothing(measured, whole=1200, cells=90)


@pytest.mark.parametrize("form", [{}, {"diagonal": True}, {"shared": True}])
def test_blocks_of_rows_equal_the_whole_and_threads_change_no_bit(monkeypatch, form):
    import embertune.adapters.solvers.contrastive as module

    def measured(cells):
        monkeypatch.setattr(module, "_BLOCK_ROWS_CELLS", cells)
        objective = problem(n=40, m=30, sides=("query", "document"), rank=3, candidates=[0, 2, 3, 8], **form)
        assert len(objective._away[0]) > 30
        flat = (0.2 * np.random.default_rng(2).normal(size=np.prod(objective.shape))).astype(np.float32)
        return objective.value_and_gradient(flat, 0.1)

    assert_blocks_change_nothing(measured, whole=10**6, cells=21)


def test_a_full_basis_equals_none():
    whole, rotated = problem(sides=("query", "document")), problem(sides=("query", "document"), rank=5)
    inner = (0.2 * np.random.default_rng(4).normal(size=rotated.shape)).astype(np.float32)
    outer = np.stack([rotated.basis @ part @ rotated.basis.T for part in inner])
    assert rotated.value_and_gradient(inner.ravel(), 0.1)[0] == pytest.approx(
        whole.value_and_gradient(outer.ravel(), 0.1)[0], rel=1e-5
    )


@pytest.mark.torch
def test_loss_equals_multiple_negatives_ranking_of_sentence_transformers():
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rng = np.random.default_rng(3)
    queries, documents = (normalize(rng.normal(size=(8, 6)).astype(np.float32)) for _ in range(2))
    pairs = np.column_stack([np.arange(8), np.arange(8)])
    objective = InfoNCE(queries=queries, documents=documents, pairs=pairs, candidates=np.arange(8), temperature=0.05)
    value, _ = objective.value_and_gradient(np.zeros(36, dtype=np.float32), 0.0)
    loss = MultipleNegativesRankingLoss(SentenceTransformer(modules=[torch.nn.Identity()]), scale=20)
    expected = loss.compute_loss_from_embeddings([torch.tensor(queries), torch.tensor(documents)], None)
    assert value == pytest.approx(float(expected), rel=1e-5)
