import re
import sys
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from embertune import Dataset, LinearAdapter, MLPAdapter, TruncationAdapter, TuneConfig, tune
from embertune.adapters.base import check_pairs
from embertune.adapters.device import get, on_device, put, resolve_device
from embertune.adapters.pairs import Labels
from embertune.adapters.solvers.contrastive import InfoNCE, principal_directions
from embertune.adapters.solvers.projection import ProjectionNCE
from embertune.errors import ConfigError, MissingExtraError

WORDS = [f"{kind}{number}" for kind in ("cat", "dog", "owl", "fox") for number in range(30)]
HOMES = Dataset.from_pairs([(f"where is {word}?", f"the home of {word} is here") for word in WORDS])


def pairs_of(seed=0, n=120, m=150, d=12):
    """Queries that are bent away from their documents, some with several, and some documents that may be answers."""
    random = np.random.default_rng(seed)
    documents = random.normal(size=(m, d)).astype(np.float32)
    pairs = np.array([(i, j) for i in range(n) for j in sorted(random.choice(m, random.integers(1, 4), replace=False))])
    queries = np.stack([documents[pairs[pairs[:, 0] == i, 1]].mean(axis=0)[::-1] for i in range(n)])
    queries += 0.3 * random.normal(size=(n, d)).astype(np.float32)
    ignored = np.array([(0, 3), (5, 8), (5, 9), (77, 140)])
    return replace(check_pairs(queries, documents, pairs), ignored=ignored)


def test_numpy_arrays_stay_what_they_are_on_the_cpu():
    rows = np.eye(3, dtype=np.float32)
    with on_device("cpu"):
        assert put(rows) is rows
        assert get(rows) is rows


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", None, 0, "torch"])
def test_an_unknown_device_is_refused_with_the_known_ones(name):
    text = re.escape(f"device must be 'cpu', 'cuda', 'cuda:1', 'mps' or 'auto', got {name!r}")
    with pytest.raises(ConfigError, match=text):
        resolve_device(name)
    with pytest.raises(ConfigError, match=text):
        TuneConfig(device=name)


@pytest.mark.parametrize("absent", ["torch", "array_api_compat"])
def test_without_torch_a_gpu_is_refused_with_the_line_that_installs_it(monkeypatch, absent):
    for name in ("torch", "array_api_compat"):
        monkeypatch.setitem(sys.modules, name, sys)
    monkeypatch.setitem(sys.modules, absent, None)  # a later import of it finds nothing
    with pytest.raises(MissingExtraError, match=rf"^device='cuda' needs `{absent}`\. Install it with: pip .*\[gpu\]'$"):
        resolve_device("cuda")
    assert resolve_device("auto") == "cpu"


def test_a_device_that_is_not_there_is_said_before_anything_is_embedded(monkeypatch, priced):
    monkeypatch.setitem(sys.modules, "torch", None)
    encoder = priced()
    with pytest.raises(MissingExtraError, match="device='cuda' needs `torch`"):
        tune(HOMES, encoder, device="cuda")
    assert encoder.asked == []


def test_a_device_is_said_once():
    with pytest.raises(ConfigError, match=re.escape("device is 'cpu' and TuneConfig.device is 'auto'. Say it once.")):
        tune(HOMES, "hashing", effort=TuneConfig(device="auto"), device="cpu")


def test_the_record_says_where_it_was_fitted():
    result = tune(HOMES, "hashing", effort=TuneConfig.of_effort("fast", device="cpu"))
    assert result.record["device"] == "cpu"
    assert "torch" not in result.record["versions"]


@pytest.mark.torch
def test_without_a_gpu_torch_is_named_with_its_version_and_what_to_type():
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    built = "" if torch.version.cuda or torch.version.hip else ", as it was built without CUDA"
    expected = (
        f"device is 'cuda', and torch {torch.__version__} finds no CUDA device{built}. Expected a device that torch "
        "can use. Type device='cpu' (--device cpu), or device='auto', which takes a GPU where there is one."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        tune(HOMES, "hashing", device="cuda")
    assert resolve_device("auto") == "cpu"


@pytest.mark.torch
@pytest.mark.gpu
def test_a_gpu_learns_the_map_of_numpy():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    _same_path(LinearAdapter("both", max_steps=8), "cuda", 1e-3)


FORMS = [
    {"side": "query"}, {"side": "query", "rank": 5}, {"side": "query", "form": "diagonal"},
    {"side": "both"}, {"side": "both", "rank": 5}, {"side": "both", "maps": "shared", "form": "diagonal"},
    {"side": "both", "maps": "shared", "rank": 5}, {"side": "both", "maps": "shared-then-query"},
    {"side": "both", "maps": "shared-then-query", "rank": 5},
]  # fmt: skip


def _same_path(adapter, device, tolerance):
    """Few steps: of many, the rounding of each adds up until one search along a line ends elsewhere."""
    training = pairs_of()
    ours = list(adapter.fit_path(training, [1.0, 0.1, 0.01]))
    with on_device(device):
        theirs = list(adapter.fit_path(training, [1.0, 0.1, 0.01]))
    for one, other in zip(ours, theirs, strict=True):
        assert len(one.losses_) == len(other.losses_) > 0
        np.testing.assert_allclose(other.losses_, one.losses_, rtol=tolerance / 20)
        for name, array in one.tensors().items():
            found = other.tensors()[name]
            assert type(found) is np.ndarray
            assert found.dtype == np.float32
            assert np.abs(found - array).max() <= tolerance * np.abs(array).max()


@pytest.mark.torch
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("max_candidates", [4096, 40])
def test_torch_learns_the_map_of_numpy_and_the_same_losses(form, max_candidates):
    pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    _same_path(LinearAdapter(**form, max_candidates=max_candidates, max_steps=8), "torch:cpu", 5e-4)


def _objective(kind):
    training = pairs_of()
    given = {
        "queries": put(training.queries), "documents": put(training.documents), "pairs": training.pairs,
        "candidates": np.arange(0, 150, 2), "temperature": 0.05, "sides": ("query", "document"),
        "ignored": training.ignored,
    }  # fmt: skip
    basis = principal_directions(training.queries, training.documents, 7)
    if kind == "projection":
        return ProjectionNCE(plain=put(basis), **given)
    return InfoNCE(basis=put(basis), **given) if kind == "low rank" else InfoNCE(**given)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["full", "low rank", "projection"])
def test_gradients_of_torch_are_those_of_numpy_in_several_blocks_too(kind, monkeypatch):
    torch = pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    monkeypatch.setattr("embertune.adapters.solvers.contrastive._BLOCK_CELLS", 2000)
    ours = _objective(kind)
    flat = (0.1 * np.random.default_rng(1).normal(size=np.prod(ours.shape))).astype(np.float32)
    value, gradient = ours.value_and_gradient(flat, 0.1)
    with on_device("torch:cpu"):
        theirs = _objective(kind)
        found, slope = theirs.value_and_gradient(put(flat), 0.1)
    assert isinstance(slope, torch.Tensor)
    assert found == pytest.approx(value, rel=1e-6)
    assert np.abs(get(slope) - gradient).max() <= 1e-5 * np.abs(gradient).max()


@pytest.mark.torch
def test_torch_learns_the_reduction_of_numpy():
    pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    training = pairs_of()
    ours = TruncationAdapter(5, max_candidates=60, max_steps=8).fit_training(training)
    with on_device("torch:cpu"):
        theirs = TruncationAdapter(5, max_candidates=60, max_steps=8).fit_training(training)
    np.testing.assert_allclose(theirs.losses_, ours.losses_, rtol=1e-5)
    np.testing.assert_allclose(theirs.matrix, ours.matrix, atol=1e-4)


BATCHES = [
    {"loss": "info_nce"}, {"loss": "info_nce", "negatives": "in-batch"}, {"loss": "triplet", "negatives": "random"},
    {"loss": "triplet_euclidean"}, {"loss": "cosent"}, {"loss": "mse"}, {"loss": "margin_mse"}, {"loss": "mean_margin"},
]  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("batches", BATCHES, ids=str)
@pytest.mark.parametrize("family", ["mlp", "linear", "diagonal", "low rank"])
def test_torch_trains_by_mini_batches_as_numpy_does(family, batches):
    pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    if batches == {"loss": "info_nce"} and family != "mlp":
        pytest.skip("that is no mini-batch of linear maps")
    random = np.random.default_rng(2)
    asked = np.unique(random.integers(0, (120, 150), (500, 2)), axis=0)
    training = replace(pairs_of(), labels=Labels(asked, random.random(len(asked))))
    steps = {"max_epochs": 3, "batch_size": 32, "dropout": 0.1} | batches
    if family == "mlp":
        adapter = MLPAdapter("both", hidden=20, max_candidates=60, **steps)
    else:
        forms = {"linear": {}, "diagonal": {"form": "diagonal"}, "low rank": {"rank": 5, "maps": "shared"}}
        adapter = LinearAdapter("both", **forms[family], **steps)
    scored = {"cpu": [], "torch:cpu": []}
    fitted = []
    for device, scores in scored.items():
        fitted.append(deepcopy(adapter))
        with on_device(device):
            fitted[-1].fit_training(training, validate=partial(_noted, scores))
    np.testing.assert_allclose(fitted[1].losses_, fitted[0].losses_, rtol=1e-6)
    np.testing.assert_allclose(scored["torch:cpu"], scored["cpu"], rtol=1e-5)
    for name, array in fitted[0].tensors().items():
        found = fitted[1].tensors()[name]
        assert type(found) is np.ndarray
        assert np.abs(found - array).max() <= 1e-5 * np.abs(array).max()


def _noted(scores, adapter):
    """Note what validation is given, by a sum; every epoch is better than the one before."""
    scores.append(float(sum(np.abs(array).sum() for array in adapter.tensors().values())))
    return len(scores)


@pytest.mark.torch
def test_what_tune_saves_and_measures_is_the_same_with_torch(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("array_api_compat")
    ours, theirs = (tune(HOMES, "hashing", effort="fast", device=device) for device in ("cpu", "torch:cpu"))
    assert theirs.record["device"] == "torch:cpu"
    assert "torch" in theirs.record["versions"]
    dev = [[tried["dev"] for tried in each.record["selection"]["candidates"]] for each in (ours, theirs)]
    np.testing.assert_allclose(dev[1], dev[0], atol=1e-9)
    assert theirs.record["tuned"] == pytest.approx(ours.record["tuned"], abs=1e-9)
    trained = [each.candidate or each.adapter for each in (ours, theirs)]
    vectors = np.random.default_rng(0).normal(size=(20, trained[0].dimension or 8)).astype(np.float32)
    np.testing.assert_allclose(trained[1].transform(vectors), trained[0].transform(vectors), atol=1e-5)
    files = [
        sorted(path.name for path in each.save(tmp_path / str(at)).iterdir()) for at, each in enumerate((ours, theirs))
    ]
    assert files[0] == files[1]
