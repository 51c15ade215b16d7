"""The tab Data: what is learned from, and what is wrong with it."""

from __future__ import annotations

from typing import Any

from embertune._optional import require
from embertune.data.demo import demo_dataset
from embertune.ui.bench import Bench
from embertune.ui.notices import explained

__all__ = ["build"]


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    demo = gr.Button("Load the demo", elem_id="data-demo")
    shown = gr.Markdown("", elem_id="data-shown")

    def load(count: int) -> tuple[Any, ...]:
        entry = bench.workspace.add(demo_dataset(), "Python documentation (demo)", note="demo")
        return entry.id, count + 1

    def show(key: str) -> str:
        return "" if not key else bench.workspace.data(key).name

    demo.click(explained(load), [bench.changed], [bench.data, bench.changed])
    bench.data.change(explained(show), [bench.data], [shown])
