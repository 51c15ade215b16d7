"""Look over an installation: what works, what is broken, what could be added."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import install_line
from embertune.adapters.artifact import load_adapter
from embertune.core.paths import as_path
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.cache import default_cache
from embertune.encoders.canaries import check_canaries
from embertune.encoders.from_spec import source_of
from embertune.encoders.registry import load_encoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, EmbertuneError

__all__ = ["Check", "Examination", "doctor"]

_EXTRAS = {
    "api": "litellm",
    "parquet": "pyarrow",
    "sentence-transformers": "sentence-transformers",
    "model2vec": "model2vec",
    "fastembed": "fastembed",
    "serve": "uvicorn",
}
_BASE = ("embertune", "numpy", "safetensors", "click", "platformdirs", "plotly", "threadpoolctl", "wordllama")


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: "ok", "broken", "moved" for an encoder whose arithmetic has changed, or "absent" for what is optional.
        found: What was seen; for what is absent, how to add it.
    """

    name: str
    state: str
    found: str


@dataclass(frozen=True)
class Examination:
    """Everything that was looked at.

    Attributes:
        checks: In order.
    """

    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is broken."""
        return all(check.state != "broken" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return {"sound": self.is_sound, "checks": [asdict(check) for check in self.checks]}

    def __str__(self) -> str:
        """Give a line per check."""
        width = max(len(check.name) for check in self.checks)
        lines = [f"{check.state:<7} {check.name:<{width}}  {check.found}" for check in self.checks]
        return "\n".join([*lines, "", "Sound." if self.is_sound else "Something is broken: see above."])


def doctor(adapters: Sequence[str | Path] = (), *, encoder: Encoder | str | None = None) -> Examination:
    """Check Python, packages, arithmetic, the cache, the embedded encoder, and the encoders of saved adapters.

    Args:
        adapters: Folders. Of each the encoder is asked, past the cache, for the 32 short texts whose vectors were kept,
            to see whether model, prompt or normalisation have changed under it.
        encoder: Who embeds for them, or what `load_encoder` reads; None: whom each adapter names.

    Returns:
        The findings; nothing is changed, and but for those texts nothing leaves the machine.

    Example:
        >>> doctor().checks[0].name
        'python'
    """
    checks = [Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")]
    checks += [_package(name) for name in _BASE]
    checks.append(_try("arithmetic", _arithmetic))
    checks.append(_try("embedded encoder", _embedded))
    checks.append(_try("cache", _cache))
    for extra, package in _EXTRAS.items():
        check = _package(package)
        absent = Check(f"extra {extra}", "absent", install_line(extra))
        checks.append(absent if check.state == "broken" else Check(f"extra {extra}", "ok", check.found))
    checks += [_canaries(as_path(folder), encoder) for folder in adapters]
    return Examination(tuple(checks))


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", f"{name} {version(name)}")
    except PackageNotFoundError:
        return Check(name, "broken", f"not installed: pip install {name}")


def _try(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    # A doctor reports whatever goes wrong and looks at the next thing.
    except Exception as error:
        return Check(name, "broken", f"{type(error).__name__}: {error}")


def _canaries(folder: Path, encoder: Encoder | str | None) -> Check:
    """Look whether an adapter's encoder still is the one that it was trained on."""
    name = f"adapter {folder.name}"
    try:
        adapter = load_adapter(folder)
        if adapter.canaries is None:
            return Check(name, "absent", "it was saved without canaries (old, or of precomputed vectors): tune again")
        loaded = _encoder_of(adapter.encoder, encoder)
        drift = check_canaries(loaded, adapter.canaries)
        check_adapter_fits(adapter, loaded.spec, name=f"The adapter in {folder}")
    except EmbertuneError as error:
        return Check(name, "broken", str(error))
    state = {"same": "ok", "moved": "moved", "changed": "broken"}[drift.state]
    advice = ". Embed the index again and tune again, or find the old model" if drift.state == "changed" else ""
    return Check(name, state, f"{loaded.spec}: {drift.reason}{advice}")


def _encoder_of(described: Mapping[str, Any] | None, named: Encoder | str | None) -> Encoder:
    """Give the encoder that was named, else the one that an adapter describes; prompts are the adapter's."""
    if named is not None and (described is None or not isinstance(named, str)):
        return load_encoder(named)
    if described is None:
        raise ConfigError("The adapter does not say who made its vectors. Name the encoder: --encoder PROVIDER/MODEL")
    spec = EncoderSpec.from_dict(described)
    if named is None:
        source, options = source_of(spec)
        return load_encoder(source, **options)
    given = {"query_prompt": spec.query_prompt, "document_prompt": spec.document_prompt}
    options = {name: prompt for name, prompt in given.items() if prompt}
    return load_encoder(named, **options, **({} if spec.normalized else {"normalize": False}))


def _arithmetic() -> str:
    matrix = np.ones((1024, 1024), dtype=np.float32)
    started = time.perf_counter()
    for _ in range(4):
        matrix @ matrix
    rate = 4 * 2 * 1024**3 / (time.perf_counter() - started) / 1e9
    return f"{rate:.0f} GFLOP/s of float32 matrix multiply on {os.cpu_count()} cores"


def _embedded() -> str:
    vectors = load_encoder("static", cache=False).encode_query(["how do I check this?"])
    return f"static gives {vectors.shape[1]} dimensions, offline"


def _cache() -> str:
    cache = default_cache()
    return "switched off by EMBERTUNE_CACHE=off" if cache is None else str(cache)
