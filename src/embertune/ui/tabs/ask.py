"""The tab Ask: one question to several encoders side by side; thumbs become labelled pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from embertune._optional import require
from embertune.reports.markup import element
from embertune.ui.asking import MOST, Asker, column_head, dataset_of, earlier_page, passage_item, readers_of
from embertune.ui.bench import Bench
from embertune.ui.notices import explained

__all__ = ["build"]

_THUMBS = (("▲", 1, "helps"), ("▼", 0, "does not help"))


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    turns = gr.State([])
    with gr.Row():
        data = gr.Dropdown(label="Corpus", choices=[], elem_id="ask-data", interactive=True, min_width=280)
        readers = gr.Dropdown(
            label="Ask", choices=[], multiselect=True, max_choices=MOST, allow_custom_value=True, elem_id="ask-readers",
            info=f"Up to {MOST}. Any other encoder may be typed: PROVIDER/MODEL.", scale=2, min_width=280,
        )  # fmt: skip
    with gr.Row():
        model = gr.Textbox(
            label="Language model that writes the answer", placeholder="none; such as openai/gpt-4o-mini",
            info="Without one the answer is sentences of the passages. Keys are read from the environment.",
            elem_id="ask-model", scale=2, min_width=280, max_lines=1,
        )  # fmt: skip
        count = gr.Slider(1, 10, value=5, step=1, label="Passages", elem_id="ask-count", min_width=280)
    _follow(gr, bench, data, readers, model)
    _build_question(gr, bench, [readers, data, count, model, turns])

    @gr.render(inputs=[turns], triggers=[turns.change])  # type: ignore[untyped-decorator]
    def shown(turns: list[Any]) -> None:
        if turns:
            _draw(gr, bench, turns[-1], len(turns))
            gr.HTML(earlier_page(turns[:-1]), elem_id="ask-earlier")


def _build_question(gr: Any, bench: Bench, settings: list[Any]) -> None:
    """Lay out the question and what asks it; `settings` are readers, corpus, number of passages, model and turns."""
    asker, progress, turns = Asker(bench), gr.Progress(), settings[-1]
    question = gr.Textbox(label="Question", placeholder="Ask the corpus", elem_id="ask-question", max_lines=4)
    with gr.Row():
        send = gr.Button("Ask", variant="primary", elem_id="ask-send")
        clear = gr.Button("Start anew", elem_id="ask-clear")

    def ask(
        question: str, readers: list[str], data: str, count: int, model: str, turns: list[Any], told: Any = progress
    ) -> tuple[Any, ...]:
        def show(stage: str, done: int, total: int | None = None, note: str = "") -> None:
            told((done, total) if total else None, desc=f"{stage} {note}".strip())

        bench.workspace.keep_settings(ask_model=(model or "").strip())
        turn = asker.ask(
            question, readers or [], dataset_of(bench, data), count=int(count), model=model or "", earlier=turns,
            progress=show,
        )  # fmt: skip
        return [*turns, turn], ""

    # Where progress is drawn; the answers come below.
    waits = gr.HTML(elem_id="ask-waits")
    for trigger in (send.click, question.submit):
        trigger(explained(ask), [question, *settings], [turns, waits])
    clear.click(lambda: [], None, [turns], show_progress="hidden")


def _follow(gr: Any, bench: Bench, data: Any, readers: Any, model: Any) -> None:
    """Keep the lists level with what lies on disk, and begin with the run that is looked at: before and after."""

    def refresh(chosen: str, run: str, before: list[str]) -> tuple[Any, Any]:
        entries = bench.workspace.datasets()
        known = [entry.id for entry in entries]
        key = chosen if chosen in known else (known[0] if known else None)
        choices = readers_of(bench)
        values = [value for _, value in choices]
        mine = [value for value in values if value.endswith(f":{run}")] or [v for v in values if ":" in v][:2]
        frozen = [value for value in values if value.startswith("frozen:")][:1]
        wanted = [value for value in before or [] if value in values] or list(dict.fromkeys([*frozen, *mine]))[:MOST]
        names = [(entry.name, entry.id) for entry in entries]
        return gr.Dropdown(choices=names, value=key), gr.Dropdown(choices=choices, value=wanted)

    for trigger in (bench.page.load, bench.changed.change, bench.data.change):
        trigger(explained(refresh), [bench.data, bench.run, readers], [data, readers], show_progress="hidden")
    bench.run.change(
        explained(lambda chosen, run: refresh(chosen, run, [])), [bench.data, bench.run], [data, readers],
        show_progress="hidden",
    )  # fmt: skip
    bench.page.load(lambda: bench.workspace.settings().get("ask_model") or "", None, [model], show_progress="hidden")


def _draw(gr: Any, bench: Bench, turn: Mapping[str, Any], number: int) -> None:
    gr.HTML(element("h2", turn["question"]), elem_id="ask-asked")
    with gr.Row(equal_height=False):
        for at, column in enumerate(turn["columns"]):
            with gr.Column(min_width=300):
                _draw_column(gr, bench, turn, column, f"ask-{number}-{at}")


def _draw_column(gr: Any, bench: Bench, turn: Mapping[str, Any], column: Mapping[str, Any], name: str) -> None:
    gr.HTML(column_head(column))
    if column["answer"]:
        cited = column["cited"] or range(len(column["passages"]))
        _thumbs(gr, bench, turn, [column["passages"][at]["text"] for at in cited], "the answer", f"{name}-answer")
    for at, found in enumerate(column["passages"]):
        gr.HTML(passage_item(column, at, turn["columns"][0]))
        _thumbs(gr, bench, turn, [found["text"]], f"passage {at + 1}", f"{name}-{at}")


def _thumbs(gr: Any, bench: Bench, turn: Mapping[str, Any], texts: list[str], what: str, name: str) -> None:
    """Two buttons; the one that was pressed last counts."""
    with gr.Row(elem_classes="thumbs"):
        buttons = [
            gr.Button(f"{thumb} {what} {verb}", size="sm", elem_id=f"{name}-{vote}") for thumb, vote, verb in _THUMBS
        ]
    for (_, vote, _), button in zip(_THUMBS, buttons, strict=True):
        button.click(_voter(gr, bench, turn["question"], texts, vote), None, buttons, show_progress="hidden")


def _voter(gr: Any, bench: Bench, question: str, texts: list[str], vote: int) -> Callable[..., Any]:
    def keep(request: Any) -> Any:
        user = request.username or request.session_hash or ""
        bench.workspace.add_vote(
            {"query": question, "passages": texts, "vote": vote, "time": round(time.time(), 3), "user": user}
        )
        return [gr.Button(variant="primary" if given == vote else "secondary") for _, given, _ in _THUMBS]

    explaining = explained(keep)

    def told(request: Any) -> Any:
        return explaining(request)

    told.__annotations__ = {"request": gr.Request}
    return told
