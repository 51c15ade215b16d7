"""Floor 5: what is written about an experiment: record, tables, figures, page and card."""

from __future__ import annotations

from embertune.reports.card import model_card
from embertune.reports.examples import Texts
from embertune.reports.figures import draw_figures
from embertune.reports.html import write_html
from embertune.reports.record import Record
from embertune.reports.tables import latex_table, markdown_table, text_table

__all__ = [
    "Record",
    "Texts",
    "draw_figures",
    "latex_table",
    "markdown_table",
    "model_card",
    "text_table",
    "write_html",
]
