"""Every adapter keeps the contract: ours, a stranger's, and a broken one is told what is wrong with it."""

import re
import types

import numpy as np
import pytest

from embertune import BaseAdapter as Adapter
from embertune import errors
from embertune.adapters import (
    BridgeAdapter,
    Chain,
    IdentityAdapter,
    LinearAdapter,
    OrthogonalAdapter,
    TruncationAdapter,
    WhiteningAdapter,
    check_pairs,
)
from embertune.adapters.base import ADAPTER_TYPES
from embertune.core.vectors import normalize
from embertune.errors import ConformanceError, DataError
from embertune.testing import check_adapter

OURS = [found for found in ADAPTER_TYPES.values() if found.__module__.startswith("embertune.")]
# Those that cannot be made, or fitted in sixteen dimensions, without arguments.
MADE = {TruncationAdapter: TruncationAdapter(5), Chain: Chain([TruncationAdapter(5), LinearAdapter()])}
VARIANTS = [
    *(LinearAdapter("both", maps=maps, rank=rank) for maps in ("separate", "shared", "shared-then-query")
      for rank in (None, 4)),
    LinearAdapter(form="diagonal"), LinearAdapter("both", form="diagonal"), LinearAdapter(max_candidates=12, seed=3),
    OrthogonalAdapter(1e-6), WhiteningAdapter(1, shrinkage=0.5), WhiteningAdapter(0, centre=False),
    BridgeAdapter("procrustes"), BridgeAdapter("mlp", hidden=9, max_epochs=2), BridgeAdapter(rank=3, pull=0.1),
    TruncationAdapter(16), TruncationAdapter(1, start="first", max_steps=0),
    Chain([IdentityAdapter()]), Chain([Chain([OrthogonalAdapter(0.1)]), WhiteningAdapter(), LinearAdapter(rank=3)]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def types_as_they_were():
    """Classes of these tests are not known to others."""
    before = dict(ADAPTER_TYPES)
    yield
    ADAPTER_TYPES.clear()
    ADAPTER_TYPES.update(before)


@pytest.mark.parametrize("adapter", OURS, ids=lambda found: found.__name__)
def test_every_class_of_ours_keeps_the_contract(adapter):
    check_adapter(MADE.get(adapter, adapter))


@pytest.mark.parametrize("adapter", VARIANTS, ids=repr)
def test_every_variant_keeps_the_contract(adapter):
    check_adapter(adapter)


@pytest.mark.parametrize(("dimension", "seed"), [(6, 1), (33, 2)])
def test_the_made_up_embeddings_can_be_others(dimension, seed):
    check_adapter(LinearAdapter("both", rank=4), dimension=dimension, seed=seed)
    check_adapter(WhiteningAdapter, dimension=dimension, seed=seed)


class Shift(Adapter):
    """A class of a user's own: it moves queries by the mean step from a query to its answer."""

    type = "shift-of-a-stranger"

    def __init__(self, weight=1.0):
        self.weight = weight

    @property
    def dimension(self):
        return len(self.tensors()["step"])

    def fit(self, queries, documents, *, pairs=None):
        training = check_pairs(queries, documents, pairs)
        query, document = training.pairs.T
        self.step_ = (training.documents[document] - training.queries[query]).mean(axis=0)
        return self

    def changes(self, side):
        return side == "query"

    def tensors(self):
        if not hasattr(self, "step_"):
            raise self._not_fitted()
        return {"step": self.step_}

    @classmethod
    def from_tensors(cls, tensors, params):
        adapter = cls(**params)
        if tensors["step"].ndim != 1 or not np.isfinite(tensors["step"]).all():
            raise DataError("the step is not a vector of finite numbers")
        adapter.step_ = tensors["step"]
        return adapter

    def _map(self, vectors, side):
        moved = normalize(vectors) + np.float32(self.weight) * self.step_
        return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def broken(**changes):
    """That class with other methods."""
    return types.new_class("Broken", (Shift,), exec_body=lambda body: body.update({"type": "broken", **changes}))


def test_a_strangers_class_keeps_the_contract_and_is_left_unfitted():
    check_adapter(Shift)
    adapter = Shift(weight=0.5)
    check_adapter(adapter)
    assert not hasattr(adapter, "step_")


def _fit_without_return(self, queries, documents, *, pairs=None):
    Shift.fit(self, queries, documents, pairs=pairs)


def _fit_in_place(self, queries, documents, *, pairs=None):
    if isinstance(queries, np.ndarray):
        queries -= queries.mean(axis=0)
    return Shift.fit(self, queries, documents, pairs=pairs)


def _fit_at_random(self, queries, documents, *, pairs=None):
    Shift.fit(self, queries, documents, pairs=pairs)
    self.step_ = self.step_ + np.random.default_rng().normal(size=len(self.step_)).astype(np.float32)
    return self


def _fit_on_top(self, queries, documents, *, pairs=None):
    before = getattr(self, "step_", 0)
    Shift.fit(self, queries, documents, pairs=pairs)
    self.step_ = self.step_ + before
    return self


def _fit_and_forget_pairs(self, queries, documents, *, pairs=None):
    self.step_ = np.zeros(len(queries[0]), dtype=np.float32)
    return self


def _fit_into_a_parameter(self, queries, documents, *, pairs=None):
    self.weight = 2.0 * self.weight
    return Shift.fit(self, queries, documents, pairs=pairs)


def _init_that_converts(self, weight=1.0):
    self.weight = 2 * weight


def _init_without_default(self, weight):
    self.weight = weight


def _centred(self, vectors, side):
    return Shift._map(self, vectors - vectors.sum(axis=0) / max(1, len(vectors)), side)


def _as_long_as_it_came(self, vectors, side):
    return normalize(vectors + np.float32(self.weight) * self.step_)


def _own_transform(self, vectors, side="query"):
    self.tensors()
    return self._map(np.asarray(vectors, dtype=np.float32), side)


def _deaf_transform(self, vectors, side="query"):
    """Checks its input as the base class does, but reads neither strength nor gate."""
    if self.strength in (0, 0.5) or self.gate is not None:
        return self._with(strength=1.0, gate=None).transform(vectors, side)
    return Adapter.transform(self, vectors, side)


@classmethod
def _trusting(cls, tensors, params):
    adapter = cls(**params)
    adapter.step_ = tensors["step"]
    return adapter


@classmethod
def _forgetful(cls, tensors, params):
    adapter = Shift.from_tensors.__func__(cls, tensors, params)
    adapter.step_ = adapter.step_.round(2)
    return adapter


def _unfitted_zero(self):
    return {"step": getattr(self, "step_", np.zeros(16, dtype=np.float32))}


BROKEN = {
    "no argument default": (
        {"__init__": _init_without_default},
        "Broken cannot be made without arguments: ",
    ),
    "a constructor that converts": (
        {"__init__": _init_that_converts},
        "Broken was given weight=2.0 and stored 4.0. Expected a constructor that only stores. Write self.weight = weig",
    ),
    "fit without return": (
        {"fit": _fit_without_return},
        "Broken gives NoneType from fit. Expected the adapter itself. End fit with: return self.",
    ),
    "fit in place": (
        {"fit": _fit_in_place},
        "Broken changes the queries that fit was given. Expected inputs as they were. Work on a copy in fit.",
    ),
    "fit into a parameter": (
        {"fit": _fit_into_a_parameter},
        "Broken changes the parameter weight in fit. Expected parameters as they were given. Store what was learned",
    ),
    "fit that raises": (
        {"fit": lambda self, queries, documents, *, pairs=None: 1 / 0},
        "Broken raised ZeroDivisionError (division by zero). Expected that fit learns from queries, documents and pai",
    ),
    "no word before fit": (
        {"tensors": _unfitted_zero, "dimension": 16, "step_": np.zeros(16, dtype=np.float32)},
        "Broken takes transform before fit without a word. Expected an embertune.errors.NotFittedError.",
    ),
    "a slip before fit": (
        {"dimension": 16},
        "Broken answers transform before fit with AttributeError: ",
    ),
    "chance": (
        {"fit": _fit_at_random},
        "Broken learns a different 'step' from two fits on the same pairs. Expected equal bits. Draw from a generator",
    ),
    "a second fit on top": (
        {"fit": _fit_on_top},
        "Broken learns a different 'step' from a first fit and a second one. Expected equal bits. Start every fit from",
    ),
    "no tensor": (
        {"tensors": lambda self: {"step": Shift.tensors(self)["step"].tolist()}},
        "Broken gives list as the tensor 'step'. Expected an array that safetensors can hold. Give float32, or",
    ),
    "a tensor of objects": (
        {"tensors": lambda self: {"step": Shift.tensors(self)["step"].astype(object)}},
        "Broken gives object as the tensor 'step'.",
    ),
    "a tensor of the gate's name": (
        {"tensors": lambda self: {"gate.queries": Shift.tensors(self)["step"]},
         "dimension": property(lambda self: len(Shift.tensors(self)["step"]))},
        "Broken calls a tensor 'gate.queries'. Expected another name, as gate. is the gate's. Rename it.",
    ),
    "another dimension": (
        {"dimension": property(lambda self: 83 + Shift.dimension.fget(self))},
        "Broken was fitted on 16 dimensions and says 99. Expected the dimension that it takes.",
    ),
    "rows of another length": (
        {"_map": lambda self, vectors, side: vectors * 3},
        "Broken gives 12 of 12 query embeddings of another length than 1, such as 3. Expected length 1. Scale them in",
    ),
    "rows that are not finite": (
        {"_map": lambda self, vectors, side: np.where(vectors > 0, vectors, np.float32(np.nan))},
        "Broken gives NaN or infinite values in 12 of 12 query embeddings. Expected finite numbers. Guard the division",
    ),
    "fewer dimensions than it says": (
        {"_map": lambda self, vectors, side: vectors[:, :4]},
        "Broken gives float32 of shape (12, 4) for 12 query embeddings. Expected float32 of shape (12, 16). Give its w",
    ),
    "float64": (
        {"_map": lambda self, vectors, side: vectors.astype(np.float64)},
        "Broken gives float64 of shape (12, 16) for 12 query embeddings. Expected float32 of shape (12, 16).",
    ),
    "a side that changes in secret": (
        {"transform": lambda self, vectors, side="query": Adapter.transform(self, vectors, "query")},
        "Broken says that it leaves document embeddings alone and changes them. Expected equal bits.",
    ),
    "a map that looks at the batch": (
        {"_map": _centred},
        "Broken maps query embeddings to others alone than in a batch (by ",
    ),
    "a map that looks at the length": (
        {"_map": _as_long_as_it_came},
        "Broken maps query embeddings to others of length 8 than of length 1 (by ",
    ),
    "unchecked input": (
        {"transform": _own_transform, "changes": lambda self, side: True},
        "Broken takes the side 'passage' in transform without a word. Expected an embertune.errors.ConfigError. Leave",
    ),
    "unchecked pairs": (
        {"fit": _fit_and_forget_pairs},
        "Broken takes NaN in fit without a word. Expected an embertune.errors.DataError. Start fit with embertune.ada",
    ),
    "no strength": (
        {"transform": _deaf_transform},
        "Broken gives other query embeddings at strength 0 (by ",
    ),
    "a configuration that is not JSON": (
        {"to_config": lambda self: {"weight": np.float32(self.weight)}},
        "Broken gives a configuration that JSON cannot hold (Object of type float32 is not JSON serializable). Expect",
    ),
    "parameters that get lost": (
        {"to_config": lambda self: {"weight": 2 * self.weight}},
        'Broken is loaded with the parameters {"weight": 4.0}. Expected {"weight": 2.0}. Build it with cls(**params)',
    ),
    "state that gets lost": (
        {"from_tensors": _forgetful},
        "Broken gives other query embeddings once saved and loaded. Expected equal bits. Give all that _map needs in",
    ),
    "damage that goes unseen": (
        {"from_tensors": _trusting},
        "Broken is loaded with NaN in the tensor 'step'. Expected an error. Check shapes and np.isfinite in",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_class_is_told_what_was_found_what_was_expected_and_what_to_do(name):
    changes, says = BROKEN[name]
    with pytest.raises(ConformanceError, match=f"^{re.escape(says)}") as caught:
        check_adapter(broken(**changes))
    assert "Expected " in str(caught.value)
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, errors.EmbertuneError)


def test_a_class_without_a_type_of_its_own():
    heir = types.new_class("Heir", (Shift,))
    says = "Heir has the type 'shift-of-a-stranger' of Shift. Expected a name of its own. Write in the class: type = "
    with pytest.raises(ConformanceError, match=re.escape(says)):
        check_adapter(heir)


def test_a_class_without_any_type():
    class Nameless(Adapter):
        pass

    nameless = type("Nameless", (Nameless,), {name: vars(Shift)[name] for name in (
        "__init__", "dimension", "fit", "changes", "tensors", "from_tensors", "_map")})  # fmt: skip
    says = 'Nameless has no `type`. Expected a name of its own. Write in the class: type = "nameless".'
    with pytest.raises(ConformanceError, match=re.escape(says)):
        check_adapter(nameless)


def test_a_class_that_lacks_methods_is_told_which():
    class Half(Adapter):
        type = "half"

    with pytest.raises(ConformanceError, match=r"^Half cannot be made without arguments: .* class Half .*_map"):
        check_adapter(Half)


@pytest.mark.parametrize(("given", "says"), [(3, "3 is no adapter. "), (dict, "dict is no adapter. ")])
def test_what_is_no_adapter(given, says):
    with pytest.raises(ConformanceError, match=re.escape(says)):
        check_adapter(given)
