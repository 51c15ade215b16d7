"""The tab Tune: what is trained how, and the runs that wait, run and ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embertune._optional import require
from embertune.errors import DataError
from embertune.training.config import EFFORTS
from embertune.ui import tuning
from embertune.ui.bench import Bench
from embertune.ui.fields import Field
from embertune.ui.finetuning import WHOLE, model_fields
from embertune.ui.notices import explained
from embertune.ui.watch import JobPanel

__all__ = ["build"]

_ENCODERS = (
    "static",
    "sentence-transformers/all-MiniLM-L6-v2",
    "model2vec/minishlab/potion-base-8M",
    "fastembed/BAAI/bge-small-en-v1.5",
    "openai/text-embedding-3-small",
    "cohere/embed-v4.0",
    "voyage/voyage-3.5",
    "gemini/gemini-embedding-001",
)
_SPLITS = {"the data's own, else by query": "", "by query": "by-query", "by document": "by-document", "given": "given"}
_SIDES = {
    "as the effort sets it": "",
    "queries alone": "query",
    "queries and documents": "both",
    "what dev says": "auto",
}


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            form = _Form(gr)
        with gr.Column(scale=1, min_width=320):
            panel = JobPanel(bench, ["tune", "finetune"], name="tune", has_curve=True)

    def submit(*values: Any) -> str:
        settings = form.settings(values)
        if not settings["data"]:
            raise DataError("There is no data set yet. Load one in the tab Data, or the demo.")
        name = f"{bench.workspace.data(settings['data']).name} on {settings['encoder']}"

        def plan(key: str) -> tuple[list[str], str]:
            return tuning.arguments(bench.workspace, settings, key), f"runs/{key}/record.json"

        bench.workspace.keep_settings(encoder=settings["encoder"], effort=settings["effort"])
        kind = "finetune" if settings["adapter"] == WHOLE else "tune"
        return bench.jobs.submit(kind, name, plan, settings=settings).id

    form.start.click(explained(submit), form.inputs, [panel.job])
    _follow_data(gr, bench, form)
    bench.form.change(
        explained(lambda settings: form.filled(bench, settings)), [bench.form], form.inputs, show_progress="hidden"
    )
    for trigger in (panel.job.change, bench.changed.change):
        trigger(explained(lambda key: _verdict(bench, key)), [panel.job], [panel.result], show_progress="hidden")
    panel.job.change(lambda key: key, [panel.job], [bench.run], show_progress="hidden")


def _verdict(bench: Bench, key: str) -> str:
    """Say what came of a run, once it is there."""
    from embertune.reports.markup import element
    from embertune.reports.tables import text_table

    if not key or bench.jobs.get(key).state != "done":
        return ""
    record = bench.workspace.run(key).record
    against = record.get("contest", {}).get("sentence")
    return element(
        "section",
        element("p", record["verdict"]["sentence"], class_=f"verdict {record['verdict']['code']}"),
        element("p", record["verdict"]["reason"]),
        *([element("p", against)] if against else []),
        element(
            "details",
            element("summary", "All metrics"),
            element("pre", text_table(record), tabindex="0", aria_label="Table of the metrics"),
        ),
        class_="result",
    )


def _follow_data(gr: Any, bench: Bench, form: _Form) -> None:
    def choices(key: str) -> Any:
        entries = bench.workspace.datasets()
        named = [
            (f"{entry.name} · version {one.number} · {one.created}", f"{entry.id}@{one.number}")
            for entry in entries
            for one in reversed(entry.versions)
        ]
        mine = next((value for _, value in named if value.startswith(f"{key}@")), named[0][1] if named else None)
        return gr.Dropdown(choices=named, value=mine)

    for trigger in (bench.page.load, bench.data.change, bench.changed.change):
        trigger(explained(choices), [bench.data], [form.data], show_progress="hidden")

    def last() -> tuple[Any, ...]:
        kept = bench.workspace.settings()
        effort = kept.get("effort")
        return kept.get("encoder") or "static", effort if effort in EFFORTS else "normal"

    bench.page.load(last, None, [form.encoder, form.effort], show_progress="hidden")


class _Form:
    """The controls, in the order of `inputs`."""

    def __init__(self, gr: Any) -> None:
        self._gr = gr
        self.data = gr.Dropdown(label="Data set", choices=[], elem_id="tune-data", interactive=True)
        self.encoder = gr.Dropdown(
            list(_ENCODERS), value="static", allow_custom_value=True, elem_id="tune-encoder", label="Encoder",
            info="static is offline and needs no key. Any other may be typed: PROVIDER/MODEL, or a model's folder.",
        )  # fmt: skip
        self.adapter = gr.Dropdown(
            tuning.choices(), value=tuning.SEARCHED, label="What is trained", elem_id="tune-adapter",
            info="An adapter behind the encoder: the search tries linear maps on dev and is rarely beaten."
            + (" Or the encoder's own weights: minutes to hours." if WHOLE in tuning.choices() else ""),
        )  # fmt: skip
        self.effort = gr.Radio(
            list(EFFORTS), value="normal", label="Effort", elem_id="tune-effort", info="How hard the search tries."
        )
        self.start = gr.Button("Start tuning", variant="primary", elem_id="tune-start")
        with gr.Accordion("More: every setting", open=False, elem_id="tune-more"):
            self._build_more(gr)
        self.adapter.change(
            self._arranged, [self.adapter], [self.effort, self.side, self.strict, self._search, self._model],
            show_progress="hidden",
        )  # fmt: skip
        self.adapter.input(
            lambda family: gr.Dataframe(value=tuning.family_rows(family), visible=bool(tuning.family_rows(family))),
            [self.adapter], [self.parameters], show_progress="hidden",
        )  # fmt: skip
        self.effort.change(
            lambda effort: [gr.Textbox(placeholder=tuning.default_of(field, effort)) for field in self._fields],
            [self.effort], self._boxes, show_progress="hidden",
        )  # fmt: skip

    def _build_more(self, gr: Any) -> None:
        self.split = gr.Dropdown(list(_SPLITS), value=next(iter(_SPLITS)), label="Split", elem_id="tune-split")
        self.side = gr.Dropdown(
            list(_SIDES), value=next(iter(_SIDES)), label="Which embeddings are adapted", elem_id="tune-side",
            info="Where documents are adapted, their stored vectors are to be written anew.",
        )  # fmt: skip
        self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="tune-seed")
        self.strict = gr.Checkbox(label="Refuse data with near-copies of queries across train and test",
                                  elem_id="tune-strict")  # fmt: skip
        self._fields = tuning.hyperparameters()
        self._model_fields = model_fields() if WHOLE in tuning.choices() else []
        with gr.Column() as self._search:
            gr.Markdown("Settings of the search; an empty field is as the effort sets it. Lists are typed `[1, 0.1]`.")
            self._boxes = [_box(gr, field, tuning.default_of(field, "normal"), "tune-set-") for field in self._fields]
            self.parameters = gr.Dataframe(
                headers=["parameter", "value"], datatype="str", type="array", interactive=True, static_columns=[0],
                label="Parameters of the adapter that is named above",
                column_count=2, buttons=[], elem_id="tune-parameters", value=[], visible=False,
            )  # fmt: skip
        with gr.Column(visible=False) as self._model:
            gr.Markdown("Settings of fine-tuning; an empty field is as its grey text says, `null` is nothing.")
            self._model_boxes = [
                _box(gr, field, tuning.written(field.default), "tune-model-") for field in self._model_fields
            ]

    def _arranged(self, family: str) -> tuple[Any, ...]:
        """Show what the choice of what is trained leaves to be chosen."""
        gr, is_whole = self._gr, family == WHOLE
        controls = (component(visible=not is_whole) for component in (gr.Radio, gr.Dropdown, gr.Checkbox))
        return *controls, gr.Column(visible=not is_whole), gr.Column(visible=is_whole)

    @property
    def inputs(self) -> list[Any]:
        """The controls."""
        return [
            self.data, self.encoder, self.adapter, self.effort, self.split, self.side, self.seed, self.strict,
            self.parameters, *self._boxes, *self._model_boxes,
        ]  # fmt: skip

    def settings(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Give the choices, as `tuning.DEFAULTS` has them."""
        data, encoder, adapter, effort, split, side, seed, strict, parameters, *typed = values
        key, _, version = str(data or "").partition("@")
        is_whole, count = adapter == WHOLE, len(self._fields)
        fields, texts = (self._model_fields, typed[count:]) if is_whole else (self._fields, typed[:count])
        tuned = {field.name: text.strip() for field, text in zip(fields, texts, strict=True) if (text or "").strip()}
        return {
            "data": key, "version": int(version or 0), "encoder": str(encoder or ""), "adapter": adapter,
            "effort": "" if is_whole else effort, "split": _SPLITS[split], "side": _SIDES[side],
            "seed": int(seed or 0), "strict": strict,
            "tuning": tuned, "parameters": {} if is_whole else tuning.changed_rows(adapter, parameters),
        }  # fmt: skip

    def filled(self, bench: Bench, settings: Mapping[str, Any]) -> tuple[Any, ...]:
        """Give the values of the controls for choices that were made before."""
        gr = self._gr
        if not settings:
            return tuple(gr.skip() for _ in self.inputs)
        told = {**tuning.DEFAULTS, **settings}
        if told["adapter"] not in tuning.choices():
            told |= {"adapter": tuning.SEARCHED, "tuning": {}}
        known = {f"{entry.id}@{one.number}" for entry in bench.workspace.datasets() for one in entry.versions}
        data = f"{told.get('data')}@{told.get('version')}"
        rows = [[name, told["parameters"].get(name, value)] for name, value in tuning.family_rows(told["adapter"])]
        return (
            data if data in known else gr.skip(), told["encoder"], told["adapter"], told["effort"] or "normal",
            _key_of(_SPLITS, told["split"]), _key_of(_SIDES, told["side"]), told["seed"], told["strict"],
            gr.Dataframe(value=rows, visible=bool(rows)),
            *(told["tuning"].get(field.name, "") if told["adapter"] != WHOLE else "" for field in self._fields),
            *(told["tuning"].get(field.name, "") if told["adapter"] == WHOLE else "" for field in self._model_fields),
        )  # fmt: skip


def _box(gr: Any, field: Field, default: str, prefix: str) -> Any:
    return gr.Textbox(
        label=field.name, info=field.meaning, placeholder=default, max_lines=1,
        elem_id=prefix + field.name.replace(".", "-"),
    )  # fmt: skip


def _key_of(choices: Mapping[str, str], value: str) -> str:
    return next((name for name, one in choices.items() if one == value), next(iter(choices)))
