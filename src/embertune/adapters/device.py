"""Where the large products of training run: numpy, or a GPU through torch, by one namespace of arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

from embertune.errors import ConfigError, MissingExtraError

__all__ = ["Array", "beside", "get", "is_device", "namespace", "on_device", "put", "resolve_device"]

Array = Any
"""Of numpy, or of the library whose arrays were put in."""

# "torch:cpu" is torch without a GPU: slower than numpy, and there to test by.
_DEVICE = re.compile(r"cpu|auto|mps|cuda(:\d+)?|torch:cpu")

_current: ContextVar[str | None] = ContextVar("device", default=None)


def is_device(name: Any) -> bool:
    """Tell whether a device may be called that, on some machine.

    Example:
        >>> [is_device(name) for name in ("cpu", "cuda", "cuda:1", "auto", "gpu", 0)]
        [True, True, True, True, False, False]
    """
    return isinstance(name, str) and _DEVICE.fullmatch(name) is not None


def resolve_device(name: str) -> str:
    """Say which device a name is on this machine, or what it lacks.

    Args:
        name: "cpu", which is numpy; "cuda", "cuda:1" or "mps", by torch; "auto": "cuda" where it is, else "cpu". That
            is no "mps", which nobody has measured.

    Returns:
        The name, "auto" replaced.

    Raises:
        ConfigError: There is no such device.
        MissingExtraError: torch or array-api-compat is not installed.

    Example:
        >>> resolve_device("cpu")
        'cpu'
    """
    if not is_device(name):
        raise ConfigError(f"device must be 'cpu', 'cuda', 'cuda:1', 'mps' or 'auto', got {name!r}")
    if name == "cpu":
        return name
    try:
        torch = _library("torch", name)
        _library("array_api_compat", name)
    except MissingExtraError:
        if name == "auto":
            return "cpu"
        raise
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if lacking := _lacking(name, torch):
        raise ConfigError(
            f"device is {name!r}, and torch {torch.__version__} {lacking}. Expected a device that torch can use. "
            "Type device='cpu' (--device cpu), or device='auto', which takes a GPU where there is one."
        )
    return name


def _library(module: str, device: str) -> Any:
    # adapters are loaded with the package, and without a device nothing of this is needed
    from embertune._optional import require

    return require(module, extra="gpu", purpose=f"device={device!r}")


def _lacking(name: str, torch: Any) -> str:
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        built = "" if torch.version.cuda or torch.version.hip else ", as it was built without CUDA"
        if not count:
            return f"finds no CUDA device{built}"
        return "" if int(name[5:] or 0) < count else f"finds {count} CUDA device(s), counted from 0"
    return "finds no MPS device" if name == "mps" and not torch.backends.mps.is_available() else ""


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """Fit adapters on a device: those that run there put their arrays on it, and get back what they learned.

    Args:
        name: See `resolve_device`.

    Raises:
        ConfigError: There is no such device.
        MissingExtraError: torch or array-api-compat is not installed.

    Example:
        >>> from embertune import LinearAdapter
        >>> with on_device("auto"):
        ...     adapter = LinearAdapter().fit(np.eye(3), np.eye(3)[::-1])
        >>> type(adapter.coef_).__name__
        'ndarray'
    """
    found = resolve_device(name)
    token = _current.set(None if found == "cpu" else found.removeprefix("torch:"))
    try:
        yield
    finally:
        _current.reset(token)


def put(array: npt.NDArray[Any]) -> Array:
    """Give an array on the device of `on_device`, or the very array where that is none.

    Example:
        >>> rows = np.eye(2)
        >>> put(rows) is rows
        True
    """
    device = _current.get()
    if device is None:
        return array
    wrapped = _library("array_api_compat.torch", device)
    # torch warns of arrays that cannot be written, such as memory maps, unless it copies them
    return wrapped.asarray(array, device=device, copy=True)


def get(array: Array) -> npt.NDArray[Any]:
    """Give an array of any device as one of numpy.

    Example:
        >>> get(np.ones(2))
        array([1., 1.])
    """
    return array if isinstance(array, np.ndarray) else np.asarray(array.cpu())


def namespace(array: Array) -> Any:
    """Give the functions for an array: numpy, or what array-api-compat makes of its library.

    The Array API standard has no einsum, bincount, logaddexp of rows or writing at positions; numpy, torch and CuPy
    have them by the same names, and objectives use them.

    Example:
        >>> namespace(np.ones(2)).__name__
        'numpy'
    """
    if isinstance(array, np.ndarray):
        return np
    return _library("array_api_compat", str(array.device)).array_namespace(array)


def beside(array: Array, other: npt.NDArray[Any]) -> Array:
    """Give an array of numpy where some array is: the very one, if that is numpy's.

    Example:
        >>> positions = np.arange(3)
        >>> beside(np.eye(3), positions) is positions
        True
    """
    if isinstance(array, np.ndarray) or not isinstance(other, np.ndarray):
        return other
    return namespace(array).asarray(other, device=array.device, copy=True)
