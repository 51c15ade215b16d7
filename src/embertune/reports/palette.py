"""The colours of figures, on light and on dark ground."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["PALETTES", "Palette", "Theme", "dark_for_light"]

Theme = Literal["light", "dark"]


@dataclass(frozen=True)
class Palette:
    """Colours by meaning.

    Blue against orange is told apart under every common colour blindness (Okabe & Ito 2008), and
    every figure says the same by position, symbol or words.

    Attributes:
        ink: Text and marks of "all queries".
        muted: Text beside the axes.
        grid: Grid lines.
        zero: The line of no change.
        ground: Behind hover labels, and inside open symbols.
        gain: Gains, the tuned system, relevant pairs, seen documents.
        loss: Losses and unseen documents.
        plain: The base, irrelevant pairs, candidates not chosen.
        gain_area: Filling under a line of `gain`.
        plain_area: Filling under a line of `plain`.

    Example:
        >>> PALETTES["light"].gain
        '#0b63a8'
    """

    ink: str
    muted: str
    grid: str
    zero: str
    ground: str
    gain: str
    loss: str
    plain: str
    gain_area: str
    plain_area: str


PALETTES: dict[Theme, Palette] = {
    "light": Palette(
        ink="#1d2126",
        muted="#565e68",
        grid="#e4e7eb",
        zero="#7d8691",
        ground="#fffffe",
        gain="#0b63a8",
        loss="#c04a00",
        plain="#79828d",
        gain_area="rgba(11,99,168,0.22)",
        plain_area="rgba(121,130,141,0.25)",
    ),
    "dark": Palette(
        ink="#e7e9ec",
        muted="#a5aeb9",
        grid="#2c323a",
        zero="#78828e",
        ground="#1a1e24",
        gain="#62b4f5",
        loss="#ff9152",
        plain="#98a2ae",
        gain_area="rgba(98,180,245,0.25)",
        plain_area="rgba(152,162,174,0.22)",
    ),
}


def dark_for_light() -> dict[str, str]:
    """Give the dark colour that stands for each light one; light colours are all different.

    Example:
        >>> dark_for_light()["#0b63a8"]
        '#62b4f5'
    """
    return dict(zip(asdict(PALETTES["light"]).values(), asdict(PALETTES["dark"]).values(), strict=True))
