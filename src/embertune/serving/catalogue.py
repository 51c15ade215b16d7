"""Which models there are: each adapter's name, with or without a side, and the upstream itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from embertune.adapters.artifact import load_adapter
from embertune.adapters.base import Adapter, Side
from embertune.adapters.canaries import Canaries, Drift
from embertune.encoders.adapted import check_adapter_fits
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError, ConfigError
from embertune.serving.problems import ApiError, bad_request

__all__ = ["Catalogue", "Served", "Stamp", "Target", "load_served", "stamp_of"]

_SIDES: tuple[Side, Side] = ("query", "document")
_FILES = ("config.json", "adapter.safetensors")

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Served:
    """An adapter as it is served: this version of it, until the next one takes its place.

    Attributes:
        name: What clients call it.
        folder: Where it lies.
        adapter: What was loaded.
        created: When its folder was written, in seconds since 1970.
        stamp: Of its files, to notice the next version.
        drift: What its canaries said last; None where they were not looked at.
    """

    name: str
    folder: Path
    adapter: Adapter
    created: int
    stamp: Stamp
    drift: Drift | None = None

    @property
    def canaries(self) -> Canaries | None:
        """The vectors that its encoder gave in training."""
        return self.adapter.canaries


class Target(NamedTuple):
    """What a model name stands for.

    Attributes:
        served: Its name among the adapters; None for base vectors.
        side: Which side is embedded.
    """

    served: str | None
    side: Side


def load_served(name: str, folder: Path, spec: EncoderSpec) -> Served:
    """Load an adapter, and see that it fits the upstream.

    Args:
        name: What clients call it.
        folder: Where it lies.
        spec: Of the upstream.

    Raises:
        ArtifactError: It is damaged, or was trained on another encoder, or is exchanged again and again.
    """
    for _ in range(3):
        stamp = stamp_of(folder)
        adapter = load_adapter(folder)
        # Exchanged while it was read, its two files may be of two versions.
        if stamp is not None and stamp_of(folder) == stamp:
            check_adapter_fits(adapter, spec, name=f"The adapter {name} in {folder}")
            return Served(name, folder, adapter, created=stamp[0][1] // 1_000_000_000, stamp=stamp)
    raise ArtifactError(f"{folder} was written to three times while it was read. Serve a folder that stays.")


def stamp_of(folder: Path) -> Stamp | None:
    """Give what changes with every version; None where the folder is not there whole."""
    try:
        found = [(folder / name).stat() for name in _FILES]
    except OSError:
        return None
    return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in found)


class Catalogue:
    """The models of a server, by name.

    Args:
        served: The adapters.
        base: Names of the upstream's own model.
        same_sides: Whether the upstream embeds queries and documents alike.
        default: What the upstream's own names stand for; None for base vectors.

    Raises:
        ConfigError: A name is taken twice, or `default` is none of the models.
    """

    def __init__(
        self, served: Mapping[str, Served], base: tuple[str, ...], *, same_sides: bool, default: str | None = None
    ) -> None:
        self.served = dict(served)
        self.base, self.same_sides = base, same_sides
        taken = sorted(set(served) & set(base))
        if taken:
            raise ConfigError(
                f"{taken[0]!r} is the upstream's own name. Call the adapter otherwise: --adapter NAME=DIR"
            )
        self._default: Target | None = None
        if default is not None:
            name, _, side = default.partition("/")
            if name not in served or side not in _SIDES:
                known = ", ".join(f"{name}/{side}" for name in served for side in _SIDES)
                raise ConfigError(f"There is no model {default!r} to answer with. Known: {known}.")
            self._default = Target(name, "query" if side == "query" else "document")

    def names(self) -> Iterator[tuple[str, str | None]]:
        """Give every model's name, with the adapter behind it."""
        for name in self.served:
            yield from ((full, name) for full in (f"{name}/query", f"{name}/document", name))
        default = self._default.served if self._default else None
        for name in self.base:
            yield from ((full, None) for full in (f"{name}/query", f"{name}/document"))
            yield name, default

    def side_of(self, name: str) -> Side | None:
        """Give the side that a model's name tells; None where it tells none."""
        bare, told = _split(name)
        if told is None and bare in self.base and self._default is not None:
            return self._default.side
        return told

    def needs_side(self, name: str) -> bool:
        """Whether a model is asked for with input_type, because its name tells no side."""
        return self.side_of(name) is None and (name in self.served or not self.same_sides)

    def resolve(self, model: str, side: Side | None) -> Target:
        """Find what a request asks for.

        Args:
            model: As it was asked for.
            side: From input_type.

        Raises:
            ApiError: 404 where there is no such model, 400 where its side is not clear.
        """
        name, told = _split(model)
        if name not in self.served and name not in self.base:
            known = ", ".join(full for full, _ in self.names())
            raise ApiError(404, f"There is no model {model[:80]!r}. There are: {known}.", param="model",
                           code="model_not_found")  # fmt: skip
        if told is None and name in self.base and self._default is not None:
            name, told = self._default.served or name, self._default.side
        if told is not None and side is not None and told != side:
            raise bad_request(f"input_type asks for the {side} side, and the model {model!r} is the {told} side's. "
                              "Leave one of them out.", "input_type")  # fmt: skip
        known_side = told or side
        if known_side is None:
            if name in self.served or not self.same_sides:
                raise bad_request(
                    f"The model {model!r} embeds queries and documents differently. Ask for {name}/query or "
                    f"{name}/document, or add input_type: search_query or search_document.", "model",
                )  # fmt: skip
            known_side = "query"
        return Target(name if name in self.served else None, known_side)


def _split(model: str) -> tuple[str, Side | None]:
    for side in _SIDES:
        if model.endswith(f"/{side}"):
            return model.removesuffix(f"/{side}"), side
    return model, None
