"""Lists to choose from that several tabs have, kept level with what lies on disk."""

from __future__ import annotations

from typing import Any

from embertune._optional import require
from embertune.ui.bench import Bench
from embertune.ui.notices import explained

__all__ = ["finished_run", "run_choices"]


def run_choices(bench: Bench) -> list[tuple[str, str]]:
    """Give (what it is called, id) of every finished run, newest first."""
    return [(f"{run.record['name']} · {run.record['verdict']['code']} · {run.record['created'][:16].replace('T', ' ')}",
             run.id) for run in bench.workspace.runs()]  # fmt: skip


def finished_run(bench: Bench, name: str) -> Any:
    """Make a list of the finished runs; what is chosen in it is chosen for the other tabs, too.

    Args:
        bench: The workbench; a run that another tab chose is taken up here once it is finished.
        name: The id of the list.

    Returns:
        A gr.State: the id of the run to be shown; the newest where none was chosen, "" where there is none.
    """
    gr = require("gradio", extra="ui", purpose="The workbench")
    shown = gr.State("")
    choice = gr.Dropdown(label="Run", choices=[], elem_id=name, interactive=True)

    def refresh(wanted: str, before: str) -> tuple[Any, Any]:
        choices = run_choices(bench)
        known = [key for _, key in choices]
        run = next((key for key in (wanted, before, *known) if key in known), "")
        return run, gr.Dropdown(choices=choices, value=run or None)

    for trigger in (bench.page.load, bench.changed.change, bench.run.change):
        trigger(explained(refresh), [bench.run, shown], [shown, choice], show_progress="hidden")
    choice.input(lambda run: run or "", [choice], [bench.run], show_progress="hidden")
    return shown
