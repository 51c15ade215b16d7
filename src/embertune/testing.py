"""The public conformance suite: whether an adapter of your own keeps the contract that ours keep."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NoReturn, get_args

import numpy as np
import numpy.typing as npt

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import ADAPTER_TYPES, Adapter, Side
from embertune.adapters.gate import Gate
from embertune.adapters.state import from_state, to_state
from embertune.core.random import generator
from embertune.core.vectors import Vectors, normalize
from embertune.errors import ConfigError, ConformanceError, DataError, NotFittedError

__all__ = ["check_adapter"]

_SIDES: tuple[Side, ...] = get_args(Side)
_CLOSE = 1e-5


def check_adapter(adapter: Adapter | type[Adapter], *, dimension: int = 16, seed: int = 0) -> None:
    """Check that an adapter keeps the contract: then it is selected, saved and served like those of Embertune.

    It is fitted several times on 40 made-up pairs, and stops at the first thing that is wrong.

    Args:
        adapter: An adapter, or a class that needs no arguments. What is checked are copies with its parameters.
        dimension: Of the made-up embeddings; more than a class that reduces dimensions leaves.
        seed: Of the made-up embeddings.

    Raises:
        ConformanceError: What was found, what was expected, and what to do.

    Example:
        >>> from embertune.adapters import LinearAdapter
        >>> check_adapter(LinearAdapter(side="both", rank=4))

        >>> class Loud(LinearAdapter):
        ...     type = "loud"
        ...     def _map(self, vectors, side):
        ...         return 2 * super()._map(vectors, side)
        >>> try:
        ...     check_adapter(Loud)
        ... except ConformanceError as error:
        ...     print(error)
        Loud gives 12 of 12 query embeddings of another length than 1, such as 2. Expected length 1. Scale them in _map.
        >>> _ = ADAPTER_TYPES.pop("loud")
    """
    case = _Case(_instance(adapter), dimension, seed)
    for check, promise in _CHECKS:
        try:
            check(case)
        except ConformanceError:
            raise
        except Exception as error:
            raise ConformanceError(
                f"{case.name} raised {type(error).__name__} ({error}). Expected that {promise}. "
                "The traceback above this one shows where."
            ) from error


def _instance(adapter: Any) -> Adapter:
    if isinstance(adapter, Adapter):
        return adapter
    name = adapter.__name__ if isinstance(adapter, type) else repr(adapter)
    if not isinstance(adapter, type) or not issubclass(adapter, Adapter):
        raise ConformanceError(
            f"{name} is no adapter. Expected an object or a class derived from embertune.BaseAdapter. "
            "Write: class MyAdapter(embertune.BaseAdapter)"
        )
    try:
        return adapter()
    except TypeError as error:
        raise ConformanceError(
            f"{name} cannot be made without arguments: {error}. Expected a class whose arguments all have a default, "
            f"or an object. Type: check_adapter({name}(...)), or write the methods that are missing"
        ) from None


class _Case:
    """The adapter under test, and made-up pairs to fit it on."""

    def __init__(self, adapter: Adapter, dimension: int, seed: int) -> None:
        self.adapter, self.dimension = adapter, dimension
        self.name = type(adapter).__name__
        draw = generator(seed, "check_adapter")
        turn = np.linalg.qr(draw.normal(size=(dimension, dimension)))[0]
        self.documents = normalize(draw.normal(size=(40, dimension)).astype(np.float32))
        noise = 0.2 * draw.normal(size=(40, dimension))
        self.queries = normalize((self.documents @ turn + noise).astype(np.float32))
        second = np.column_stack([np.arange(10), np.arange(30, 40)])
        self.pairs = np.concatenate([np.column_stack([np.arange(40)] * 2), second])
        self.vectors = normalize(draw.normal(size=(12, dimension)).astype(np.float32))

    def fresh(self) -> Adapter:
        """Give an unfitted copy."""
        return type(self.adapter)(**self.adapter.get_params())

    def fit(self, adapter: Adapter, start: int = 0) -> Adapter:
        """Fit on copies of the pairs, or on those from a query on."""
        pairs = self.pairs[self.pairs[:, 0] >= start]
        adapter.fit(self.queries.copy(), self.documents.copy(), pairs=pairs.copy())
        return adapter

    @cached_property
    def fitted(self) -> Adapter:
        """A fitted copy; checks leave it as it is."""
        return self.fit(self.fresh())

    def changed(self) -> Iterator[Side]:
        """Give the sides that the adapter changes."""
        return (side for side in _SIDES if self.fitted.changes(side))

    def fail(self, found: str, expected: str, fix: str) -> NoReturn:
        """Say what is wrong, with the class as the subject."""
        raise ConformanceError(f"{self.name} {found}. Expected {expected}. {fix}.")

    def refuses(self, what: str, action: Callable[[], Any], error: type[Exception], fix: str) -> None:
        """Fail unless the action raises the error."""
        wanted = f"an embertune.errors.{error.__name__}"
        try:
            action()
        except error:
            return
        except Exception as other:
            self.fail(f"answers {what} with {type(other).__name__}: {other}", wanted, fix)
        self.fail(f"takes {what} without a word", wanted, fix)


def _equal(one: Vectors, other: Vectors) -> bool:
    """Whether two arrays have the same type, shape and bits."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _off(one: Vectors, other: Vectors) -> float:
    """Give the largest difference; infinite where shapes differ or a value is not finite."""
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return np.inf
    return float(np.abs(one - other).max(initial=0))


def _first_difference(one: dict[str, npt.NDArray[Any]], other: dict[str, npt.NDArray[Any]]) -> str | None:
    names = sorted({*one, *other})
    return next((n for n in names if n not in one or n not in other or not _equal(one[n], other[n])), None)


def _check_type(case: _Case) -> None:
    known = ADAPTER_TYPES.get(getattr(case.adapter, "type", ""))
    if known is not type(case.adapter):
        found = "has no `type`" if known is None else f"has the type {case.adapter.type!r} of {known.__name__}"
        case.fail(found, "a name of its own", f'Write in the class: type = "{case.name.lower()}"')


def _check_constructor(case: _Case) -> None:
    params = case.adapter.get_params()
    copy = case.fresh().get_params()
    for name, value in params.items():
        if copy[name] is not value:
            case.fail(
                f"was given {name}={value!r} and stored {copy[name]!r}",
                "a constructor that only stores",
                f"Write self.{name} = {name}, and check it in fit",
            )
    case.refuses(
        "the unknown parameter no_such_parameter in set_params",
        lambda: case.fresh().set_params(no_such_parameter=1),
        ConfigError,
        "Leave set_params to the base class",
    )


def _check_fit(case: _Case) -> None:
    adapter = case.fresh()
    before = adapter.get_params()
    given = [case.queries.copy(), case.documents.copy(), case.pairs.copy()]
    result: Any = adapter.fit(given[0], given[1], pairs=given[2])
    if result is not adapter:
        case.fail(f"gives {type(result).__name__} from fit", "the adapter itself", "End fit with: return self")
    for name, array, original in zip(
        ("queries", "documents", "pairs"), given, (case.queries, case.documents, case.pairs), strict=True
    ):
        if not _equal(array, original):
            case.fail(f"changes the {name} that fit was given", "inputs as they were", "Work on a copy in fit")
    changed = [name for name, value in adapter.get_params().items() if value is not before[name]]
    if changed:
        case.fail(
            f"changes the parameter {changed[0]} in fit",
            "parameters as they were given",
            f"Store what was learned under a name that ends in _, such as {changed[0]}_",
        )


def _check_unfitted(case: _Case) -> None:
    if not case.fitted.tensors():
        return  # nothing is learned, so nothing is missing
    copy = type(case.adapter)(**case.fitted.get_params())
    fix = "Where nothing was learned yet write: raise self._not_fitted()"
    case.refuses("transform before fit", lambda: copy.transform(case.vectors), NotFittedError, fix)
    case.refuses("tensors before fit", copy.tensors, NotFittedError, fix)


def _check_repeats(case: _Case) -> None:
    listed = case.fresh().fit(case.queries.tolist(), case.documents.tolist(), pairs=case.pairs.tolist())
    for what, one, other, fix in (
        ("two fits on the same pairs", case.fit(case.fresh()), case.fitted, "Draw from a generator of a fixed seed"),
        ("lists and arrays of the same numbers", listed, case.fitted, "Start fit with embertune.adapters.check_pairs"),
        (
            "a first fit and a second one",
            case.fit(case.fit(case.fresh()), 20),
            case.fit(case.fresh(), 20),
            "Start every fit from nothing",
        ),
    ):
        name = _first_difference(one.tensors(), other.tensors())
        if name is not None:
            case.fail(f"learns a different {name!r} from {what}", "equal bits", fix)


def _check_tensors(case: _Case) -> None:
    for name, array in case.fitted.tensors().items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            fix = "Give float32, or integers"
            case.fail(f"gives {found} as the tensor {name!r}", "an array that safetensors can hold", fix)
        if name.startswith("gate."):
            case.fail(f"calls a tensor {name!r}", "another name, as gate. is the gate's", "Rename it")
        if not np.isfinite(array).all():
            case.fail(f"learns NaN or infinite values in {name!r}", "finite numbers", "Guard the division or the root")


def _check_output(case: _Case) -> None:
    adapter, count = case.fitted, len(case.vectors)
    if adapter.dimension not in (None, case.dimension):
        found = f"was fitted on {case.dimension} dimensions and says {adapter.dimension}"
        case.fail(found, "the dimension that it takes", "Give it in the property dimension")
    width = adapter.output_dimension or case.dimension
    for side in _SIDES:
        given = case.vectors.copy()
        mapped = adapter.transform(given, side)
        if not _equal(given, case.vectors):
            case.fail(f"changes the {side} embeddings it was given", "inputs as they were", "Work on a copy in _map")
        if not adapter.changes(side):
            if not _equal(mapped, case.vectors):
                fix = "Leave transform to the base class, or let changes tell the truth"
                case.fail(f"says that it leaves {side} embeddings alone and changes them", "equal bits", fix)
            continue
        if mapped.shape != (count, width) or mapped.dtype != np.float32:
            fix = "Give its width in output_dimension, and float32 from _map"
            found = f"gives {mapped.dtype} of shape {mapped.shape} for {count} {side} embeddings"
            case.fail(found, f"float32 of shape {count, width}", fix)
        _check_rows(case, mapped, side)
        nothing = adapter.transform(case.vectors[:0], side)
        if nothing.shape != (0, width):
            case.fail(f"makes shape {nothing.shape} of no {side} embeddings", f"{0, width}", "Allow no rows in _map")


def _check_rows(case: _Case, mapped: Vectors, side: str) -> None:
    bad = int((~np.isfinite(mapped)).any(axis=1).sum())
    if bad:
        case.fail(f"gives NaN or infinite values in {bad} of {len(mapped)} {side} embeddings", "finite numbers",
                  "Guard the division or the root in _map")  # fmt: skip
    lengths = np.linalg.norm(mapped, axis=1)
    wrong = lengths[np.abs(lengths - 1) > 1e-4]
    if len(wrong):
        case.fail(
            f"gives {len(wrong)} of {len(mapped)} {side} embeddings of another length than 1, such as {wrong[0]:.3g}",
            "length 1",
            "Scale them in _map",
        )


def _check_rows_alone(case: _Case) -> None:
    for side in _SIDES:
        whole = case.fitted.transform(case.vectors, side)
        alone = np.concatenate([case.fitted.transform(row[None], side) for row in case.vectors])
        # What is not changed keeps its length.
        longer = (8 if case.fitted.changes(side) else 1) * case.vectors
        batch, length = "Take nothing from the batch in _map, such as its mean", "Scale rows to length 1 first in _map"
        for what, other, fix in (
            ("alone than in a batch", alone, batch),
            ("as a list than as an array", case.fitted.transform(case.vectors.tolist(), side), batch),
            ("in float64 than in float32", case.fitted.transform(case.vectors.astype(np.float64), side), batch),
            ("of length 8 than of length 1", case.fitted.transform(longer, side), length),
        ):
            off = _off(whole, other)
            if not off <= _CLOSE:
                case.fail(f"maps {side} embeddings to others {what} (by {off:.2g})", f"at most {_CLOSE:g}", fix)


def _check_refusals(case: _Case) -> None:
    wide = np.pad(case.vectors, ((0, 0), (0, 1)), constant_values=0.5)
    spoilt = case.vectors.copy()
    spoilt[1, 0] = np.nan
    fit, fitted = case.fresh().fit, case.fitted
    passage: Any = "passage"
    leave, check = "Leave transform to the base class and map in _map", "Start fit with embertune.adapters.check_pairs"
    for what, action, error, fix in (
        ("the side 'passage' in transform", lambda: fitted.transform(case.vectors, passage), ConfigError, leave),
        ("NaN in transform", lambda: fitted.transform(spoilt), DataError, leave),
        ("a single axis in transform", lambda: fitted.transform(case.vectors[0]), DataError, leave),
        ("NaN in fit", lambda: fit(spoilt, case.vectors), DataError, check),
        ("queries and documents of different dimension in fit", lambda: fit(case.vectors, wide), DataError, check),
    ):
        case.refuses(what, action, error, fix)
    if fitted.dimension is not None:
        case.refuses("another dimension in transform", lambda: fitted.transform(wide), DataError, leave)


def _check_strength(case: _Case) -> None:
    fitted = case.fitted
    for side in _SIDES:
        full = fitted.transform(case.vectors, side)
        if not _equal(fitted.scaled(0.5).scaled(1).transform(case.vectors, side), full):
            case.fail(f"is not as trained at strength 1 on the {side} side", "equal bits", "Leave scaled as it is")
        if side not in case.changed():
            continue
        _check_rows(case, fitted.scaled(0.5).transform(case.vectors, side), side)
        frozen = fitted._frozen(normalize(case.vectors), side)
        shut = _gated(fitted, Gate(case.queries, 2.0, 3.0))
        for what, dialled in (("at strength 0", fitted.scaled(0)), ("behind a shut gate", shut)):
            off = 0.0 if dialled is None else _off(dialled.transform(case.vectors, side), frozen)
            if not off <= _CLOSE:
                fix = "Leave transform to the base class, which reads strength and gates"
                case.fail(f"gives other {side} embeddings {what} (by {off:.2g})", "the frozen encoder's", fix)
    if fitted.strength != 1 or fitted.gate is not None or fitted.document_gate is not None:
        case.fail("was changed by scaled or gated", "a copy from them", "Leave both as they are")


def _gated(adapter: Adapter, gate: Gate) -> Adapter | None:
    """Put one gate before every side that changes; None where the adapter refuses gates, as one of offsets does."""
    try:
        return adapter.gated(gate, documents=gate if adapter.changes("document") else None)
    except ConfigError:
        return None


def _check_saved(case: _Case) -> None:
    scaled = case.fitted.scaled(0.5)
    adapter = _gated(scaled, Gate.fit(case.queries)) or scaled
    adapter.encoder = {"provider": "test", "model": "made-up", "dimension": case.dimension}
    try:
        text = json.dumps(adapter.to_config())
    except TypeError as error:
        case.fail(f"gives a configuration that JSON cannot hold ({error})", "texts, numbers, lists", "Write to_config")
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_adapter(adapter.save(f"{folder}/adapter"))
    if type(loaded) is not type(adapter):
        fix = f'Write in the class: type = "{case.name.lower()}"'
        case.fail(f"is loaded as a {type(loaded).__name__}", f"a {case.name}", fix)
    if json.dumps(loaded.to_config()) != text:
        fix = "Build it with cls(**params) in from_tensors"
        case.fail(f"is loaded with the parameters {json.dumps(loaded.to_config())}", text, fix)
    for side in _SIDES:
        if not _equal(loaded.transform(case.vectors, side), adapter.transform(case.vectors, side)):
            fix = "Give all that _map needs in tensors, and take it back in from_tensors"
            case.fail(f"gives other {side} embeddings once saved and loaded", "equal bits", fix)


def _check_damage(case: _Case) -> None:
    config, tensors = to_state(case.fitted)
    for name, array in tensors.items():
        spoilt = {"without": {key: value for key, value in tensors.items() if key != name}}
        if array.dtype.kind == "f":
            spoilt["with NaN in"] = {**tensors, name: np.full_like(array, np.nan)}
        for what, arrays in spoilt.items():
            try:
                from_state(config, arrays)
            except (KeyError, OSError, TypeError, ValueError):
                continue
            fix = "Check shapes and np.isfinite in from_tensors, and raise an embertune.errors.DataError"
            case.fail(f"is loaded {what} the tensor {name!r}", "an error", fix)


_CHECKS = (
    (_check_type, "its class has a `type` of its own, by which artefacts name it"),
    (_check_constructor, "the constructor stores its arguments, as they are and under their names"),
    (_check_fit, "fit learns from queries, documents and pairs, and gives the adapter itself"),
    (_check_unfitted, "an unfitted copy says that it is not fitted"),
    (_check_tensors, "tensors gives arrays of numbers by name"),
    (_check_repeats, "the same pairs give the same arrays, whatever was fitted before and however they are typed"),
    (_check_output, "transform gives finite rows of length 1, and leaves a side alone that it does not change"),
    (_check_rows_alone, "an embedding comes out the same alone, in a batch, at any length, as a list and in float64"),
    (_check_refusals, "wrong input is refused with a text that teaches"),
    (_check_strength, "scaled turns it from the frozen encoder to as trained, and gated gives the frozen encoder back"),
    (_check_saved, "it comes back from the disk as it was"),
    (_check_damage, "a damaged artefact is not loaded"),
)
