"""What every tab of the workbench is handed: the folder, the queue, and what one browser has chosen."""

from __future__ import annotations

from typing import Any, NamedTuple

from embertune.ui.jobs import Jobs
from embertune.ui.workspace import Workspace

__all__ = ["Bench"]


class Bench(NamedTuple):
    """Handed to ``build(bench)`` of every tab.

    The components are those of gradio, and their values belong to one browser, so two of them do not mix their runs.
    Listen to ``state.change`` to follow a choice that another tab made.
    """

    workspace: Workspace
    jobs: Jobs
    data: Any
    """gr.State: id of the data set that is looked at; "" for none."""
    run: Any
    """gr.State: id of the run that is looked at; "" for none."""
    form: Any
    """gr.State: settings to be loaded into the form of Tune; {} for none."""
    changed: Any
    """gr.State: a count that rises when a data set, job or run came or went; who changes one, raises it."""
    page: Any
    """The gr.Blocks; ``page.load`` is when a browser opens it."""
    tabs: Any
    """gr.Tabs; ``gr.Tabs(selected="tune")`` as an output opens another tab."""
