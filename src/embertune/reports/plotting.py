"""The look that all figures share."""

from __future__ import annotations

from typing import Any

from embertune.reports.palette import Palette

__all__ = ["layout_of", "panel_label", "title_of"]

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def layout_of(colors: Palette, *, height: int, panels: int = 1) -> dict[str, Any]:
    """Give the look that all figures share; panels stand one above the other over one x axis.

    Example:
        >>> from embertune.reports.palette import PALETTES
        >>> layout_of(PALETTES["light"], height=400, panels=2)["yaxis2"]["domain"]
        [0.0, 0.42]
    """
    axis = {
        "gridcolor": colors.grid,
        "linecolor": colors.grid,
        "zerolinecolor": colors.grid,
        "tickfont": {"color": colors.muted, "size": 12},
        "automargin": True,
        # A finger that scrolls the page must not drag the figure.
        "fixedrange": True,
    }
    layout: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 34, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13, "color": colors.ink},
        "hoverlabel": {
            "bgcolor": colors.ground,
            "bordercolor": colors.zero,
            "font": {"color": colors.ink, "family": _FONT},
        },
        "hovermode": "closest",
        "dragmode": False,
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "font": {"size": 13}},
        "xaxis": dict(axis),
        "annotations": [],
    }
    gap = 0.16
    share = (1 - gap * (panels - 1)) / panels
    for at in range(panels):
        top = 1 - at * (share + gap)
        layout["yaxis" if at == 0 else f"yaxis{at + 1}"] = {
            **axis,
            "domain": [max(round(top - share, 4), 0), round(top, 4)],
        }
    return layout


def panel_label(text: str, axis: str, colors: Palette) -> dict[str, Any]:
    """Name a panel above its left corner; `text` may hold Plotly's tags, so it is escaped by the caller.

    Example:
        >>> from embertune.reports.palette import PALETTES
        >>> panel_label("loss", "y2", PALETTES["light"])["yref"]
        'y2 domain'
    """
    return {
        "text": f"<b>{text}</b>",
        "xref": "paper",
        "x": 0,
        "xanchor": "left",
        "yref": f"{axis} domain",
        "y": 1,
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 13, "color": colors.muted},
    }


def title_of(text: str) -> dict[str, Any]:
    """Give the title of an axis.

    Example:
        >>> title_of("step")["text"]
        'step'
    """
    return {"text": text, "font": {"size": 13}, "standoff": 8}
