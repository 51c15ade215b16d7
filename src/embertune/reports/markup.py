"""HTML elements from texts; whatever enters is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["Markup", "element", "facts", "scroll_table", "table"]


class Markup(str):
    """Text that is HTML already; every other text is escaped where it is put into an element.

    Example:
        >>> element("p", "a < b ", Markup("<b>c</b>"))
        '<p>a &lt; b <b>c</b></p>'
    """

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Markup:
    """Make an element.

    Args:
        tag: Its name.
        content: What is in it; escaped unless it is `Markup`.
        attributes: Its attributes; ``class_`` is written class, ``aria_label`` aria-label.

    Example:
        >>> element("td", "<script>", class_="up")
        '<td class="up">&lt;script&gt;</td>'
    """
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items() if value
    )
    inner = "".join(part if isinstance(part, Markup) else escape(part) for part in content)
    return Markup(f"<{tag}{named}>{inner}</{tag}>")


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", classes: Mapping[int, str] | None = None
) -> Markup:
    """Make a table whose first column names its rows.

    Args:
        header: Names of the columns.
        rows: Cells, escaped unless they are `Markup`.
        caption: What the table shows.
        classes: Classes of rows, by position.

    Example:
        >>> table(["id", "n"], [["q1", "3"]])[:36]
        '<table><thead><tr><th scope="col">id'
    """
    head = element("tr", *(element("th", name, scope="col") for name in header))
    body = [
        element(
            "tr",
            *(element("th", cell, scope="row") if at == 0 else element("td", cell) for at, cell in enumerate(row)),
            class_=(classes or {}).get(place, ""),
        )
        for place, row in enumerate(rows)
    ]
    named = [element("caption", caption)] if caption else []
    return element("table", *named, element("thead", head), element("tbody", *body))


def scroll_table(inner: Markup, label: str) -> Markup:
    """Let a wide table scroll by itself on a narrow screen, by keyboard too.

    Example:
        >>> scroll_table(Markup("<table></table>"), "Scores")
        '<div class="scroll" role="region" tabindex="0" aria-label="Scores"><table></table></div>'
    """
    return element("div", inner, class_="scroll", role="region", tabindex="0", aria_label=label)


def facts(rows: Iterable[tuple[str, str]]) -> Markup:
    """Make a two-column table of facts.

    Example:
        >>> facts([("seed", "0")])
        '<table class="words"><tbody><tr><th scope="row">seed</th><td>0</td></tr></tbody></table>'
    """
    body = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows]
    return element("table", element("tbody", *body), class_="words")
