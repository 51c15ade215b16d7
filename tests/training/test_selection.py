import numpy as np
import pytest

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.core.vectors import normalize
from embertune.evaluation.judgments import Judgments
from embertune.training.config import TuneConfig
from embertune.training.pool import Pool
from embertune.training.selection import choose

CONFIG = TuneConfig(side="query", folds=2, pulls=(1.0, 0.1, 0.01), temperatures=(0.05,))


def pool_of(n=80, d=16, noise=0.3, seed=0):
    """Queries are their documents seen through a rotation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(np.eye(d) + 0.3 * rng.normal(size=(d, d)))
    documents = normalize(rng.normal(size=(2 * n, d)).astype(np.float32))
    queries = normalize((documents[:n] @ rotation + noise * rng.normal(size=(n, d)) / np.sqrt(d)).astype(np.float32))
    return Pool(queries, documents, judgments_of({f"q{i}": {f"d{i}": 1} for i in range(n)}, n))


def judgments_of(qrels, n):
    return Judgments.from_qrels(qrels, [f"q{i}" for i in range(n)], [f"d{i}" for i in range(2 * n)])


def halves(n):
    order = np.random.default_rng(0).permutation(n)
    first, second = np.sort(order[: n // 2]), np.sort(order[n // 2 :])
    return [(first, second), (second, first)]


def quarters(n):
    parts = np.array_split(np.random.default_rng(1).permutation(n), 4)
    return [(np.sort(np.concatenate(parts[:at] + parts[at + 1 :])), np.sort(parts[at])) for at in range(4)]


def test_learns_where_there_is_something_to_learn():
    choice = choose(pool_of(), halves(80), CONFIG, seed=0)
    assert isinstance(choice.adapter, LinearAdapter)
    heaviest = max(choice.candidates, key=lambda candidate: candidate.weight)
    assert heaviest.params == {"pull": choice.adapter.pull}
    assert heaviest.dev > choice.candidates[0].dev + 0.05
    assert choice.candidates[0].params == {}
    assert not choice.note


def test_weights_are_those_of_the_formula_and_the_map_is_the_mean_so_weighted():
    pool, folds = pool_of(noise=2), quarters(80)
    config = TuneConfig(
        side="query", folds=4, pulls=(0.3, 0.1, 0.03), temperatures=(0.05, 0.1), max_steps=40, search_steps=40
    )  # fmt: skip
    choice = choose(pool, folds, config, seed=0)

    def path(rows):
        training = pool.training(rows)
        makers = [LinearAdapter(temperature=each) for each in config.temperatures]
        return [IdentityAdapter(), *(fitted for maker in makers for fitted in maker.fit_path(training, config.pulls))]

    scores = np.zeros((7, 80))
    for fit, dev in folds:
        for level, adapter in enumerate(path(fit)):
            scores[level, dev] = pool.score([adapter], dev, "ndcg@10")[0, 0]
    behind = scores[scores.mean(axis=1).argmax()] - scores
    errors = behind.std(axis=1, ddof=1) / np.sqrt(80)
    trailing = behind.mean(axis=1) / np.where(errors > 0, errors, 1)
    weights = np.exp(-((trailing / 2) ** 2) / 2)
    assert weights[1:].min() > 0.1 > weights[0]  # nothing is dropped on the way, and no adapter does not count
    weights[0] = 0
    weights /= weights.sum()
    np.testing.assert_allclose([one.dev for one in choice.candidates], scores.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose([one.weight for one in choice.candidates], weights, atol=1e-12)
    maps = [adapter.coef_ for adapter in path(np.arange(80))[1:]]
    mean = sum(weight * each for weight, each in zip(weights[1:], maps, strict=True))
    np.testing.assert_allclose(choice.adapter.coef_, mean, atol=1e-6)


def test_the_identity_is_chosen_where_nothing_can_be_better():
    perfect = pool_of()
    answers = Pool(perfect.documents[:80], perfect.documents, perfect.judgments)
    choice = choose(answers, halves(80), CONFIG, seed=0)
    assert isinstance(choice.adapter, IdentityAdapter)
    assert [candidate.weight for candidate in choice.candidates] == [1, 0, 0, 0]
    assert choice.candidates[0].dev == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_are_called_random_and_teach_nothing(seed):
    pool = pool_of(200)
    order = np.random.default_rng(seed).permutation(200)
    shuffled = Pool(pool.queries, pool.documents, judgments_of({f"q{i}": {f"d{order[i]}": 1} for i in range(200)}, 200))
    choice = choose(shuffled, halves(200), CONFIG, seed=seed)
    assert isinstance(choice.adapter, IdentityAdapter)
    assert choice.note.startswith("The labels look random: on dev the answers of other queries score 0.0")
    assert choice.note.endswith("Check that queries and documents were paired by the right ids.")


def test_labels_that_only_an_adapter_can_explain_are_not_called_random():
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(800, 16)).astype(np.float32))
    rotation, _ = np.linalg.qr(rng.normal(size=(16, 16)))
    queries = (documents[:400] @ rotation).astype(np.float32)
    pool = Pool(queries, documents, judgments_of({f"q{i}": {f"d{i}": 1} for i in range(400)}, 400))
    choice = choose(pool, halves(400), CONFIG, seed=0)
    assert choice.candidates[0].dev < 0.03
    assert max(candidate.dev for candidate in choice.candidates) > 0.3
    assert isinstance(choice.adapter, LinearAdapter)


def test_strengths_that_fall_clearly_behind_are_not_fitted_further(monkeypatch):
    """Learning by heart from labels of which a third are wrong."""
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(400, 32)).astype(np.float32))
    queries = normalize((documents[:200] + 1.5 * rng.normal(size=(200, 32)) / np.sqrt(32)).astype(np.float32))
    answers, wrong = np.arange(200), rng.random(200) < 0.3
    answers[wrong] = rng.permutation(answers[wrong])
    pool = Pool(queries, documents, judgments_of({f"q{i}": {f"d{answers[i]}": 1} for i in range(200)}, 200))
    fitted, fit_path = [], LinearAdapter.fit_path
    monkeypatch.setattr(
        LinearAdapter, "fit_path", lambda self, *args, **kw: fitted.append(len(args[1])) or fit_path(self, *args, **kw)
    )
    config = TuneConfig(side="query", folds=4, pulls=(1.0, 1e-4), temperatures=(0.1,))
    choice = choose(pool, quarters(200), config, seed=0)
    assert fitted == [2, 2, 1, 1, 1]
    strong, weak = choice.candidates[1:]
    assert weak.weight == 0
    assert weak.dev < strong.dev - 0.2


def test_best_checkpoint_is_a_copy():
    pool = pool_of()
    choice = choose(pool, halves(80), CONFIG, seed=0)
    before = choice.adapter.tensors()["query"].copy()
    maker = LinearAdapter(pull=choice.adapter.pull, rank=None)
    list(maker.fit_path(pool.training(np.arange(80)), [0.5, 0.001]))
    assert choice.adapter.tensors()["query"].tobytes() == before.tobytes()


def test_one_seed_one_choice():
    first, second = (choose(pool_of(), halves(80), CONFIG, seed=3) for _ in range(2))
    assert first.candidates == second.candidates
    assert first.adapter.tensors()["query"].tobytes() == second.adapter.tensors()["query"].tobytes()


def test_a_dev_part_is_used_as_it_is():
    dev = np.arange(40, 80)
    choice = choose(pool_of(), [(np.arange(40), dev)], CONFIG, seed=0)
    assert isinstance(choice.adapter, LinearAdapter)


def test_training_takes_negatives_from_training_positives_alone():
    training = pool_of().training(np.array([3, 5, 7]))
    assert training.queries.shape == (3, 16)
    assert training.documents.shape == (3, 16)
    assert training.pairs.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_the_curve_runs_from_the_identity_through_every_strength_that_counts():
    choice = choose(pool_of(), halves(80), CONFIG, seed=0)
    assert choice.curve[0] == {"step": 0, "loss": None, "dev": choice.candidates[0].dev}
    read = [point["dev"] for point in choice.curve if point["dev"] is not None]
    counted = [at for at, candidate in enumerate(choice.candidates) if at and candidate.weight]
    along = choice.candidates[counted[0] : counted[-1] + 1]
    assert read == [candidate.dev for candidate in (choice.candidates[0], *along)]
    assert [point["step"] for point in choice.curve] == list(range(len(choice.curve)))


def test_rankings_are_those_of_exact_search():
    pool, rows = pool_of(n=10), np.array([2, 4])
    scores = pool.score([IdentityAdapter()], rows, "hit_rate@1")[0, 0]
    best = (pool.queries[rows] @ pool.documents.T).argmax(axis=1)
    assert scores.tolist() == [float(best[0] == 2), float(best[1] == 4)]


def test_documents_are_mapped_where_dev_says_so():
    pool = nuisance_pool()
    alone, both = (
        choose(pool, quarters(200), TuneConfig(folds=4, pulls=(0.1, 0.01), side=side), seed=0)
        for side in ("query", "both")
    )
    assert not alone.adapter.changes("document")
    assert both.adapter.changes("document")
    share = sum(candidate.weight for candidate in both.candidates if candidate.params.get("side") == "both")
    assert share > 0.9
    best = [max(candidate.dev for candidate in choice.candidates) for choice in (alone, both)]
    assert best[1] > best[0] + 0.02


def nuisance_pool():
    """Half of the dimensions say nothing of the answer, on both sides."""
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(400, 24)).astype(np.float32)
    queries = documents[:200] + 0.2 * rng.normal(size=(200, 24)).astype(np.float32)
    queries[:, 12:] = 2 * rng.normal(size=(200, 12))
    documents[:, 12:] *= 2
    return Pool(
        normalize(queries), normalize(documents), judgments_of({f"q{i}": {f"d{i}": 1} for i in range(200)}, 200)
    )


def test_auto_moves_documents_where_that_pays_and_says_why():
    config = TuneConfig(folds=4, pulls=(0.1, 0.01), side="auto")
    pays = choose(nuisance_pool(), quarters(200), config, seed=0)
    assert pays.adapter.changes("document")
    assert pays.reasons[0].startswith("Documents are mapped, too: on dev, maps of both sides score +0.")
    stays = choose(pool_of(), quarters(80), config, seed=0)
    assert not stays.adapter.changes("document")
    assert stays.reasons[0].startswith("There is no map of documents: on dev, maps of both sides score ")


def test_auto_that_leaves_documents_be_is_the_choice_of_the_query_side():
    auto, query = (
        choose(pool_of(), quarters(80), TuneConfig(folds=4, pulls=(0.1, 0.01), side=side), seed=0)
        for side in ("auto", "query")
    )
    np.testing.assert_array_equal(auto.adapter.coef_, query.adapter.coef_)


@pytest.mark.parametrize(("gate", "is_gated"), [("yes", True), ("no", False)])
def test_a_gate_as_it_was_asked_for(gate, is_gated):
    config = TuneConfig(side="query", folds=4, pulls=(0.1, 0.01), gate=gate)
    adapter = choose(pool_of(), quarters(80), config, seed=0).adapter
    assert (adapter.gate is not None) == is_gated


def test_documents_unlike_the_corpus_stay_where_they_were_when_documents_are_mapped():
    plain = nuisance_pool()
    queries, documents = (normalize(np.pad(rows, ((0, 0), (0, 1)), constant_values=1)) for rows in
                          (plain.queries, plain.documents))  # fmt: skip
    config = TuneConfig(folds=4, pulls=(0.1, 0.01), side="both", offsets="no")
    choice = choose(Pool(queries, documents, plain.judgments), quarters(200), config, seed=0)
    assert any("and documents unlike the corpus get the frozen encoder back" in reason for reason in choice.reasons)
    assert np.isclose(choice.adapter.document_gate.weights(documents), 1).mean() > 0.85
    others = documents * np.r_[np.ones(documents.shape[1] - 1), -1].astype(np.float32)
    np.testing.assert_allclose(choice.adapter.transform(others, "document"), others, atol=1e-6)
    assert np.abs(choice.adapter.gated(None).transform(others, "document") - others).max() > 0.01


def test_a_gate_is_taken_where_own_queries_keep_their_gain_by_it():
    """All queries lean to one direction, which hides their answers; others do not."""
    rng = np.random.default_rng(0)
    documents = normalize(rng.normal(size=(400, 16)).astype(np.float32))
    documents[:, 0] = np.abs(rng.normal(size=400))
    documents = normalize(documents)
    queries = documents[:200].copy()
    queries[:, 0] += 0.8
    pool = Pool(normalize(queries), documents, judgments_of({f"q{i}": {f"d{i}": 1} for i in range(200)}, 200))
    choice = choose(pool, quarters(200), TuneConfig(side="query", folds=4, pulls=(0.1, 0.01)), seed=0)
    assert choice.reasons[-1].startswith("Queries unlike the training queries get the frozen encoder back: on dev, own")
    others = rng.normal(size=(20, 16)).astype(np.float32)
    others[:, 0] = -1
    np.testing.assert_allclose(choice.adapter.transform(others), normalize(others), atol=1e-5)


def test_there_is_no_gate_where_it_would_cost_what_was_gained():
    """What dev asks is unlike what was trained on, and gains all the same."""
    rng = np.random.default_rng(0)
    documents = rng.normal(size=(400, 16)).astype(np.float32)
    documents[:100, 0] += 3
    documents[100:200, 0] -= 3
    rotation, _ = np.linalg.qr(np.eye(16) + 0.2 * rng.normal(size=(16, 16)))
    queries = normalize((documents[:200] @ rotation).astype(np.float32))
    pool = Pool(queries, normalize(documents), judgments_of({f"q{i}": {f"d{i}": 1} for i in range(200)}, 200))
    folds = [(np.arange(100), np.arange(100, 200)), (np.arange(100, 200), np.arange(100))]
    choice = choose(pool, folds, TuneConfig(side="query", folds=2, pulls=(0.1, 0.01)), seed=0)
    assert choice.adapter.changes("query")
    assert choice.adapter.gate is None
    assert choice.reasons[-1].startswith("There is no gate for queries unlike the training queries: on dev, ")


def test_perfect_labels_are_not_called_random_where_folds_hold_one_query():
    pool = pool_of(20, 32)
    answers = Pool(pool.documents[:20], pool.documents, pool.judgments)
    folds = [(np.delete(np.arange(20), at), np.array([at])) for at in range(20)]
    choice = choose(answers, folds, TuneConfig(side="query", folds=20, pulls=(1.0,)), seed=0)
    assert not choice.note
