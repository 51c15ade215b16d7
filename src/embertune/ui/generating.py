"""Queries for documents that nobody asked about: cut out of passages, or written by a language model in a budget."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.data.texts import shortened
from embertune.errors import ConfigError, DataError
from embertune.recipes.synthesize import estimate_synthesis
from embertune.ui.bench import Bench
from embertune.ui.notices import explained
from embertune.ui.uploads import gather
from embertune.ui.watch import JobPanel
from embertune.ui.workspace import new_id

__all__ = ["build_generator"]

_HERE, _UPLOAD = "The documents of this data set", "Documents to upload"
_CUT, _MODEL = "Cut out of the passages: offline and free", "A language model"

_MODELS = ("openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash", "ollama/llama3.1")


def build_generator(bench: Bench, shown: Any) -> None:
    """Lay out and wire what has queries written.

    Args:
        bench: The workbench.
        shown: gr.State of the data set and version that is looked at.
    """
    gr = require("gradio", extra="ui", purpose="The workbench")
    form, files, ask = _build_form(gr)
    cost = gr.HTML(elem_id="gen-cost")
    start = gr.Button("Write queries", variant="primary", elem_id="gen-start")
    panel = JobPanel(bench, ["synthesize"], name="gen", has_curve=False)

    def estimate(*values: Any) -> str:
        wanted = _Wanted(bench, *values)
        found = estimate_synthesis(wanted.documents(), wanted.model, per_chunk=wanted.number, chunk_size=wanted.size)
        return html.escape(f"About {found}. Nothing was sent yet.")

    def submit(*values: Any) -> tuple[Any, ...]:
        wanted = _Wanted(bench, *values)
        documents = wanted.documents()

        def plan(key: str) -> tuple[list[str], str]:
            return wanted.arguments(documents, key), f"jobs/{key}/out/synthesis.json"

        told = {"number": wanted.number, "size": wanted.size, "model": wanted.model}
        return bench.jobs.submit("synthesize", wanted.name(), plan, settings=told).id, None

    ask.click(explained(estimate), [shown, *form], [cost])
    start.click(explained(submit), [shown, *form], [panel.job, files])


def _build_form(gr: Any) -> tuple[list[Any], Any, Any]:
    """Lay out the choices; give them, and of them the files, and the button that asks for the price."""
    with gr.Row():
        source = gr.Radio([_HERE, _UPLOAD], value=_HERE, label="For which documents", elem_id="gen-source")
        writer = gr.Radio([_CUT, _MODEL], value=_CUT, label="Who writes", elem_id="gen-writer")
    files = gr.File(label="Drop documents: .txt, .md, .html, .pdf, .docx, .jsonl, or a .zip of them",
                    file_count="multiple", visible=False, height=150, elem_id="gen-files")  # fmt: skip
    with gr.Row():
        number = gr.Slider(1, 10, value=3, step=1, label="Queries for each passage", elem_id="gen-number")
        size = gr.Slider(50, 500, value=200, step=10, label="The most tokens in a passage", elem_id="gen-size")
    with gr.Row(visible=False) as paid:
        model = gr.Dropdown(
            list(_MODELS), value=_MODELS[0], allow_custom_value=True, elem_id="gen-model",
            label="Model, as LiteLLM names it; its key is read from the environment",
        )  # fmt: skip
        budget = gr.Number(1.0, minimum=0, label="Stop before so many dollars are spent", elem_id="gen-budget")
        ask = gr.Button("What would it cost?", elem_id="gen-estimate")
    source.change(lambda one: gr.File(visible=one == _UPLOAD), [source], [files], show_progress="hidden")
    writer.change(lambda one: gr.Row(visible=one == _MODEL), [writer], [paid], show_progress="hidden")
    return [source, files, writer, number, size, model, budget], files, ask


class _Wanted:
    """What the form asks for."""

    def __init__(self, bench: Bench, *values: Any) -> None:
        (key, version), source, files, writer, number, size, model, budget = values
        self._bench, self._key, self._version, self._files = bench, key, version, files
        self._is_upload = source == _UPLOAD
        self.model = str(model or "").strip() if writer == _MODEL else ""
        if writer == _MODEL and not self.model:
            raise ConfigError("No language model is named. Type one, such as openai/gpt-4o-mini, or cut queries out.")
        if writer == _MODEL and not budget:
            raise ConfigError("A budget of 0 dollars buys nothing. Type how much may be spent, such as 1.")
        self.number, self.size, self._budget = int(number), int(size), budget

    def name(self) -> str:
        if self._is_upload:
            return f"Queries for {shortened(Path(self._files[0]).stem, 30)}"
        return f"Queries for {self._bench.workspace.data(self._key).name}"

    def documents(self) -> Path:
        """Give where the documents are; an upload is kept, as the job may wait."""
        if self._is_upload:
            folder = self._bench.workspace.inside("uploads", new_id("documents"))
            folder.mkdir()
            return gather(self._files or [], folder)
        if not self._key:
            raise DataError("There is no data set yet. Load one, or upload documents.")
        return self._bench.workspace.data_folder(self._key, self._version) / "corpus.jsonl"

    def arguments(self, documents: Path, key: str) -> list[str]:
        """Give the command line of the job."""
        folder = self._bench.workspace.inside("jobs", key)
        paid = ["--llm", self.model, "--budget", str(self._budget)] if self.model else []
        return [
            "synthesize", str(documents), "--out", str(folder / "out"), "--per-chunk", str(self.number),
            "--chunk-size", str(self.size), *paid, "--json", "--progress-file", str(folder / "progress.jsonl"),
        ]  # fmt: skip
