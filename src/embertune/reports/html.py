"""A record as one self-contained page, readable offline, in print and without JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from embertune.core.files import write_whole
from embertune.reports.captions import captions
from embertune.reports.examples import Texts, wins_and_losses
from embertune.reports.figures import draw_figures
from embertune.reports.markup import Markup, element
from embertune.reports.palette import dark_for_light
from embertune.reports.record import Record
from embertune.reports.sections import comparison, data_notes, groups, heading, others, reproduction, tried
from embertune.reports.words import typeset

__all__ = ["Texts", "html_report", "write_html"]


def write_html(record: Mapping[str, Any], path: str | Path, *, texts: Texts | None = None) -> Path:
    """Write the report of an experiment as one HTML file that asks for nothing from the network.

    Args:
        record: A `Record`, or its values.
        path: The file; its folder must exist.
        texts: Texts of queries and documents, which a record does not hold.

    Returns:
        The path.

    Raises:
        ArtifactError: The record is incomplete.
        StorageError: The disk refused; what stood there is unchanged.

    Example:
        >>> import tempfile
        >>> from embertune.reports.record import example_record
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_html(example_record(), f"{folder}/report.html").name
        'report.html'
    """
    return write_whole(path, html_report(record, texts=texts))


def html_report(record: Mapping[str, Any], *, texts: Texts | None = None) -> str:
    """Give the page that `write_html` writes.

    Args:
        record: A `Record`, or its values.
        texts: Texts of queries and documents, which a record does not hold.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> "<h1>Do not ship this yet" in html_report(example_record())
        True
    """
    from plotly.offline import get_plotlyjs  # 5 MB of text, read only when a page is made

    record = Record.of(record)
    drawn = draw_figures(record)
    parts = _sections(record, drawn, texts)
    links = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in parts]
    body = [
        element("header", *heading(record), element("nav", element("ul", *links), aria_label="Contents")),
        element("main", *(_section(*part) for part in parts)),
        element(
            "footer",
            element("p", f"Written by Embertune {record['versions'].get('embertune', '')}.".replace(" .", ".")),
        ),
    ]
    folder = files("embertune.reports")
    return Template(folder.joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{record['name']}: {record['verdict']['code']} · Embertune"),
        style=folder.joinpath("report.css").read_text(encoding="utf-8"),
        body="\n".join(body),
        figures=_script_json({"figures": drawn, "dark": dark_for_light()}),
        plotly=get_plotlyjs(),
    )


def _sections(record: Record, drawn: Mapping[str, Any], texts: Texts | None) -> list[tuple[str, str, list[Markup]]]:
    """Give id, title and content of every section that has content, in the order of reading."""
    said = {name: typeset(caption) for name, caption in captions(record).items()}

    def plot(name: str) -> list[Markup]:
        if name in drawn:
            return [_figure(name, said[name])]
        return [element("p", said[name])] if said[name] else []

    parts = [
        ("comparison", "Base, baselines and tuned", comparison(record)),
        ("groups", "Seen and unseen documents", groups(record)),
        ("others", "Queries that it is not for", others(record)),
        ("intervals", "How sure the changes are", plot("intervals")),
        ("strength", "Quality along the strength", plot("strength")),
        ("training", "Along training", plot("training")),
        ("cosines", "Cosines of relevant and irrelevant pairs", plot("cosines")),
        ("queries", "Every test query", plot("queries")),
        ("examples", "Wins and losses", wins_and_losses(record, texts)),
        ("tried", "What was tried", [*plot("candidates"), *tried(record)]),
        ("data", "Data and leakage", data_notes(record)),
        ("reproduce", "To reproduce", reproduction(record)),
    ]
    return [part for part in parts if part[2]]


def _section(name: str, title: str, content: list[Markup]) -> Markup:
    return element("section", element("h2", title), *content, id=name)


def _figure(name: str, caption: str) -> Markup:
    place = element("div", id=f"plot-{name}", class_="plot", role="img", aria_label=caption)
    return element("figure", place, element("figcaption", caption))


def _script_json(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
