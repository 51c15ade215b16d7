"""The workbench as a Gradio app: one page, one tab per story."""

from __future__ import annotations

from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from embertune.ui.bench import Bench
from embertune.ui.jobs import Jobs
from embertune.ui.loading import load_gradio
from embertune.ui.workspace import Workspace

__all__ = ["create_app", "look"]

# Id, name; each is a module of embertune.ui.tabs with a function build(bench).
TABS = (("data", "Data"), ("tune", "Tune"), ("runs", "Runs"), ("look", "Look"), ("ask", "Ask"), ("use", "Use"))


def create_app(folder: str | Path | Workspace) -> Any:
    """Make the workbench of a folder.

    Jobs that wait there are started, and those that an earlier workbench started are found again, once this is made.

    Args:
        folder: Where data sets and runs are kept; made if absent.

    Returns:
        A ``gradio.Blocks``; serve it with `embertune.ui.serve.serve`, or with its own ``launch``.

    Raises:
        MissingExtraError: Gradio is not installed.
        StorageError: The folder cannot be made.
    """
    gr = load_gradio()
    workspace = folder if isinstance(folder, Workspace) else Workspace(folder)
    jobs = Jobs(workspace)
    blocks = gr.Blocks(title="Embertune", analytics_enabled=False, fill_width=True)
    with blocks as app:
        # Read out, not shown: the tabs stand where a title would.
        gr.HTML('<h1 class="unseen">Embertune</h1>', elem_id="title", padding=False)
        states = (gr.State(""), gr.State(""), gr.State({}), gr.State(0))
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            bench = Bench(workspace, jobs, *states, app, tabs)
            for key, name in TABS:
                with gr.Tab(name, id=key, elem_id=f"tab-{key}"):
                    import_module(f"embertune.ui.tabs.{key}").build(bench)
    app.queue(default_concurrency_limit=8)
    jobs.start()
    return app


def look() -> dict[str, Any]:
    """Give the page's looks, as arguments of ``launch``: nothing of it is fetched from anywhere else.

    Raises:
        MissingExtraError: Gradio is not installed.
    """
    gr = load_gradio()
    plain = ["system-ui", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
    theme = gr.themes.Default(primary_hue="orange", neutral_hue="slate", font=plain, font_mono=mono)
    folder = files("embertune.ui")
    css = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "looking.css"))
    return {"theme": theme, "css": css, "footer_links": []}
