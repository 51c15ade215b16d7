"""Write what is generated in the documentation: ``make docs``.

docs/cli.md is whole; in other pages only what stands between ``<!-- NAME:start -->`` and ``<!-- NAME:end -->``.
With ``--demo`` the demo is run as well, and what it printed goes into the README.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embertune.adapters.linear import LinearAdapter
from embertune.cli.reference import reference
from embertune.data import columns
from embertune.evaluation import verdict
from embertune.recipes import foreign, plan
from embertune.training import decisions, offsets, sparing, table
from embertune.training.config import EFFORTS, TuneConfig

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "embertune"
FLOORS = (
    ("0", ("errors",)),
    ("1", ("_optional", "core")),
    ("2", ("adapters", "data")),
    ("3", ("encoders",)),
    ("4", ("evaluation", "testing")),
    ("5", ("training", "reports")),
    ("6", ("recipes",)),
    ("7", ("integrations", "serving")),
    ("8", ("ui",)),
    ("9", ("cli",)),
    ("–", ("__init__", "__main__")),
)
NUMBERS = (
    (plan, "FEWEST_QUERIES", "Fewer queries with a relevant document are refused."),
    (plan, "_THREE_PARTS", "With fewer queries than this each is judged once, in folds, instead of a fifth of them."),
    (plan, "_OUTER_FOLDS", "How many folds those are."),
    (table, "_WIDTH", "A setting that trails the best on dev by z standard errors counts exp(-(z / this)² / 2)."),
    (table, "_NEGLIGIBLE", "Settings of less than this share of the best one's weight are dropped."),
    (table, "_ABOVE_CHANCE", "Labels that beat random answers by fewer standard errors are called random."),
    (table, "TOLERATED_LOSS", "What queries on documents without training queries may lose on dev where others move."),
    (offsets, "_WIDTH", "How far documents move is weighed as settings are, with this in place of 2."),
    (offsets, "_LEAD", "Documents move toward their training queries if that leads by more errors on dev."),
    (decisions, "_DOCUMENTS_LEAD", "With `side=\"auto\"` documents are mapped if that leads by more errors on dev."),
    (decisions, "_GATE_COST", "A gate is taken if the own queries lose no more than this share of their gain by it."),
    (verdict, "_FEWEST_QUERIES", "With fewer test queries than this the verdict is `too-little-data`."),
    (verdict, "_WORTHWHILE", "If even the upper end of the interval is below this the verdict is `no-gain`."),
    (verdict, "_GROUP_QUERIES", "A group (seen, unseen) of this many queries can veto by its mean alone."),
    (verdict, "_TOLERATED_LOSS", "The mean loss of such a group from which it vetoes."),
    (verdict, "_FOREIGN_LOSS", "Foreign queries that lose more than this on average veto."),
    (foreign, "_MOST_QUERIES", "Of more foreign queries so many are drawn."),
    (foreign, "_FEWEST_QUERIES", "Of twice as many foreign queries or more half are looked at, and half are judged."),
    (sparing, "_SPARED", "If those that are looked at lose more than this, gates close for their like."),
)  # fmt: skip


def pages() -> dict[Path, str]:
    """Give every page that has generated parts, as it should be."""
    filled = {
        "settings.md": {"settings": settings_table(), "adapter": adapter_table(), "numbers": numbers_table()},
        "architecture.md": {"files": files_table()},
        "guides/data.md": {"columns": columns_table()},
    }
    return {DOCS / "cli.md": reference(), **{DOCS / name: fill(DOCS / name, blocks) for name, blocks in filled.items()}}


def fill(path: Path, blocks: dict[str, str]) -> str:
    """Give a page with what stands between the markers of each block replaced."""
    page = path.read_text(encoding="utf-8")
    for name, content in blocks.items():
        start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
        before, found, rest = page.partition(start)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise SystemExit(f"{path}: the markers {start} and {end} were not found.")
        page = f"{before}{start}\n{content}\n{end}{after}"
    return page


def demo_output() -> str:
    """Run the demo and give what it printed, without the two tables of groups."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "embertune", "demo"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    blocks = done.stdout.strip().split("\n\n")
    verdict = "\n".join("\n".join(textwrap.wrap(line, 110)) for line in blocks[-1].splitlines())
    paths = done.stderr.strip().split("\n\n")[-1]
    shown = "\n\n".join([*blocks[:2], "…", verdict, paths])
    note = "<!-- not run: half a minute; a test computes its base column again -->"
    return f"{note}\n```console\n$ embertune demo\n{shown}\n```"


def settings_table() -> str:
    """Give the fields of TuneConfig with the value of each effort."""
    rows = []
    for name, meaning in field_docstrings(TuneConfig).items():
        fast, normal, thorough = (_short(getattr(EFFORTS[effort], name)) for effort in ("fast", "normal", "thorough"))
        rows.append((f"`{name}`", meaning, f"`{normal}`", _if_other(fast, normal), _if_other(thorough, normal)))
    return table(("setting", "meaning", "normal", "fast", "thorough"), rows)


def adapter_table() -> str:
    """Give the arguments of LinearAdapter."""
    arguments = re.search(r"Args:\n(.*?)\n\n", inspect.cleandoc(LinearAdapter.__doc__ or "") + "\n\n", re.DOTALL)
    assert arguments is not None
    meanings = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", arguments[1], re.MULTILINE))
    parameters = inspect.signature(LinearAdapter).parameters.values()
    rows = [(f"`{p.name}`", " ".join(meanings[p.name].split()), f"`{_short(p.default)}`") for p in parameters]
    return table(("argument", "meaning", "default"), rows)


def numbers_table() -> str:
    """Give the thresholds that are no settings."""
    return table(("number", "what it does"), [(f"{getattr(module, name):g}", text) for module, name, text in NUMBERS])


def columns_table() -> str:
    """Give the names of columns that are recognised."""
    rows = [(role, ", ".join(f"`{name}`" for name in names)) for role, names in columns._NAMES.items()]
    negatives = "`negative`, `negatives`, `neg`, `hard_negative`, …, also numbered: `negative_1`, `negative_2`"
    return table(("role", "names"), [*rows, ("negative", negatives)])


def files_table() -> str:
    """Give every module with the first sentence of its docstring, floor by floor."""
    rows = []
    for floor, layers in FLOORS:
        for layer in layers:
            for path in sorted([*SOURCE.glob(f"{layer}.py"), *(SOURCE / layer).rglob("*.py")]):
                lines = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
                name = path.relative_to(SOURCE).as_posix()
                rows.append((floor, f"`{name}`", " ".join(lines.split())))
    return table(("floor", "file", "what it owns"), rows)


def field_docstrings(config: type) -> dict[str, str]:
    """Give the string under each field of a dataclass."""
    (definition,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            assert isinstance(field.target, ast.Name)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_short, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _if_other(value: str, normal: str) -> str:
    return "" if value == normal else f"`{value}`"


if __name__ == "__main__":
    if "--demo" in sys.argv:
        readme = DOCS.parent / "README.md"
        readme.write_text(fill(readme, {"demo": demo_output()}), encoding="utf-8")
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
