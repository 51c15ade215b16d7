"""Jobs on a page: which wait and run, how far one is, its curve on dev, and a button that ends it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from embertune._optional import require
from embertune.reports.markup import Markup, element, scroll_table, table
from embertune.ui.bench import Bench
from embertune.ui.jobs import Event, Job
from embertune.ui.notices import explained
from embertune.ui.reading import curve, standing

__all__ = ["JobPanel", "figure_of", "page_of", "queue_of"]

_STATES = {
    "queued": "waits",
    "running": "runs",
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}
_SHOWN = 8
_COLOURS = {"without adapter": "#7d8691", "best so far": "#2b84cc", "after each epoch, on held-out queries": "#d9742b"}


class JobPanel:
    """The jobs of some kinds, and one of them closely.

    Args:
        bench: The workbench.
        kinds: Which jobs.
        name: Start of the ids of its elements.
        has_curve: Whether the metric on dev is drawn.
    """

    def __init__(self, bench: Bench, kinds: Sequence[str], *, name: str, has_curve: bool) -> None:
        gr = require("gradio", extra="ui", purpose="The workbench")
        self._gr, self._bench, self._kinds, self._has_curve = gr, bench, tuple(kinds), has_curve
        self.job = gr.State("")
        self.choice = gr.Dropdown(
            label="Job", choices=[], value=None, elem_id=f"{name}-job", interactive=True, visible=False
        )
        self._page = gr.HTML(elem_id=f"{name}-standing")
        with gr.Row(visible=False) as self._buttons:
            self._cancel = gr.Button("Cancel this job", variant="stop", elem_id=f"{name}-cancel", interactive=False)
            self._forget = gr.Button("Remove from the list", elem_id=f"{name}-forget", interactive=False)
        self.result = gr.HTML(elem_id=f"{name}-result")
        self._plot = gr.Plot(label="Metric on dev", elem_id=f"{name}-curve", visible=False, buttons=[])
        self._queue = gr.HTML(elem_id=f"{name}-queue")
        self._seen = gr.State({})
        self._wire()

    @property
    def _outputs(self) -> list[Any]:
        return [
            self.job, self.choice, self._page, self._buttons, self._cancel, self._forget, self._plot, self._queue,
            self._seen, self._bench.changed,
        ]  # fmt: skip

    def _jobs(self) -> list[Job]:
        return [job for job in self._bench.jobs.all() if job.kind in self._kinds]

    def _wire(self) -> None:
        gr, outputs = self._gr, self._outputs
        inputs = [self.job, self._seen, self._bench.changed]
        timer = gr.Timer(1.0)
        for trigger in (timer.tick, self._bench.page.load, self.job.change):
            trigger(explained(self._tick), inputs, outputs, show_progress="hidden", trigger_mode="once")
        self.choice.input(lambda key: key or "", [self.choice], [self.job], show_progress="hidden")
        self._cancel.click(explained(self._end), [self.job], [self._page], show_progress="hidden")
        self._forget.click(explained(self._remove), [self.job], [self.job], show_progress="hidden")

    def _end(self, key: str) -> Markup:
        return page_of(self._bench.jobs.cancel(key), self._bench.jobs.events(key), "", self._bench.jobs.problem)

    def _remove(self, key: str) -> str:
        self._bench.jobs.remove(key)
        return ""

    def _tick(self, key: str, seen: dict[str, Any], changed: int) -> tuple[Any, ...]:
        """Give what differs from what this browser has seen; nothing is sent where nothing does."""
        gr, jobs = self._gr, self._jobs()
        known = {job.id: job for job in jobs}
        key = key if key in known else (jobs[0].id if jobs else "")
        job = known.get(key)
        events = self._bench.jobs.events(key) if job else []
        states = {each.id: each.state for each in jobs}
        now = {"states": states, "job": key, "points": len(curve(events)) if self._has_curve else 0}
        choices = [(f"{each.name} · {_STATES[each.state]} · {_clock(each)}", each.id) for each in jobs]
        is_new = seen.get("states") != states or seen.get("job") != key
        plot = gr.skip()
        if is_new or seen.get("points") != now["points"]:
            plot = gr.Plot(value=figure_of(events), visible=True) if now["points"] else gr.Plot(visible=False)
        came = any(state == "done" and seen.get("states", {}).get(one) != "done" for one, state in states.items())
        error = self._bench.jobs.error(key) if job and job.state == "failed" else ""
        return (
            key,
            gr.Dropdown(choices=choices, value=key or None, visible=bool(jobs)) if is_new else gr.skip(),
            page_of(job, events, error, self._bench.jobs.problem),
            gr.Row(visible=bool(jobs)) if is_new else gr.skip(),
            gr.Button(interactive=bool(job and not job.is_over)) if is_new else gr.skip(),
            gr.Button(interactive=bool(job and job.is_over and job.state != "done")) if is_new else gr.skip(),
            plot,
            queue_of(jobs) if is_new else gr.skip(),
            now,
            changed + 1 if came and seen else gr.skip(),
        )


def page_of(job: Job | None, events: Sequence[Event], error: str, problem: str) -> Markup:
    """Say how far a job is.

    Args:
        job: Which; None for none.
        events: What it told.
        error: Why it failed, if it did.
        problem: Why jobs cannot be started, if that is so.
    """
    if job is None:
        return element("p", "No job yet.", class_="standing")
    trouble = [element("p", problem, class_="trouble", role="alert")] if problem else []
    if job.state == "failed":
        return element("div", *trouble, element("p", error, class_="trouble", role="alert"), class_="standing")
    if job.state != "running":
        said = {"queued": "Waits for the jobs before it.", "done": "Done.", "cancelled": "Cancelled."}[job.state]
        return element("div", *trouble, element("p", said), class_="standing")
    found = standing(events, time.time())
    percent = None if found.share is None else round(100 * found.share)
    left = f" · about {_seconds(found.seconds_left)} left" if found.seconds_left and found.seconds_left >= 1 else ""
    bar = element("div", element("div", "", style=f"width:{percent or 0}%"), class_="bar", role="progressbar",
                  aria_label="Progress of the job", aria_valuenow=str(percent or 0), aria_valuemin="0",
                  aria_valuemax="100")  # fmt: skip
    said = found.stage + (f" · {percent} %" if percent is not None else "") + left
    return element("div", *trouble, bar, element("p", said), element("p", found.note, class_="more"), class_="standing")


def queue_of(jobs: Sequence[Job]) -> Markup:
    """List what waits and runs, and what ended last."""
    if not jobs:
        return Markup("")
    rows = [[job.name, _STATES[job.state], _clock(job)] for job in jobs[:_SHOWN]]
    return scroll_table(table(["Job", "State", "Asked for"], rows, caption="Queue, newest first"), "Queue")


def figure_of(events: Sequence[Event]) -> Any:
    """Draw the metric on dev along the way; where the work is in parts, such as one for each seed, with gaps."""
    from plotly import graph_objects

    points = curve(events)
    figure = graph_objects.Figure()
    for line, colour in _COLOURS.items():
        mine = [point for point in points if point.line == line]
        steps: list[float | None] = []
        scores: list[float | None] = []
        for at, point in enumerate(mine):
            if at and point.part != mine[at - 1].part:
                steps, scores = [*steps, None], [*scores, None]
            steps, scores = [*steps, point.step], [*scores, point.score]
        if mine:
            figure.add_scatter(x=steps, y=scores, name=line, mode="lines+markers", line={"color": colour, "width": 2})
    for point, before in zip(points[1:], points, strict=False):
        if point.part != before.part:
            figure.add_vline(x=point.step - 0.5, line={"dash": "dot", "color": "#7d8691", "width": 1})
    return figure.update_layout(
        height=300, margin={"l": 60, "r": 10, "t": 60, "b": 50}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", uirevision="curve",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "readings of dev", "gridcolor": "#8884", "dtick": max(1, round(len(points) / 16))},
        yaxis={"title": "metric", "gridcolor": "#8884", "tickformat": ".3f"},
    )  # fmt: skip


def _clock(job: Job) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.created))


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
