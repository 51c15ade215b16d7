"""The tab Use: code to copy for one adapter, the adapter as a file, and a local server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.errors import ConfigError, DataError, StorageError
from embertune.reports.markup import Markup, element
from embertune.ui.bench import Bench
from embertune.ui.choices import finished_run
from embertune.ui.finetuning import is_model
from embertune.ui.jobs import SERVER, Job
from embertune.ui.notices import explained
from embertune.ui.snippets import KINDS, MODEL, snippet
from embertune.ui.snippets_model import MODEL_KINDS, served_adapter

__all__ = ["build"]

_PORT = 8000
# What a server takes to load its encoder; until then it is told as starting.
_POLL = 2.0


def build(bench: Bench) -> None:
    """Lay the tab out and wire it."""
    gr = require("gradio", extra="ui", purpose="The workbench")
    run = finished_run(bench, "use-run")
    note = gr.HTML(elem_id="use-note")
    run.change(explained(lambda run: _note(bench, run)), [run], [note], show_progress="hidden")
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            kind = gr.Radio(list(KINDS), value="LangChain", label="Code for", elem_id="use-kind")
            code = gr.Code(label="Code to copy", language="python", interactive=False, elem_id="use-code", lines=5,
                           wrap_lines=True)  # fmt: skip
        with gr.Column(scale=1, min_width=320):
            pack = gr.Button("Pack the adapter as .zip", elem_id="use-pack")
            save = gr.DownloadButton("Download the .zip", elem_id="use-save", visible=False)
            port = _build_server(gr, bench, run)

    def show(run: str, kind: str, port: float) -> str:
        if not run:
            return ""
        entry, place = bench.workspace.run(run), _exports(bench, run)
        if is_model(entry):
            return MODEL_KINDS[kind](entry.folder, place, int(port or _PORT)).strip() + "\n"
        return snippet(kind, entry.folder, place, port=int(port or _PORT))

    for trigger in (run.change, kind.change, port.change):
        trigger(explained(show), [run, kind, port], [code], show_progress="hidden")
    pack.click(explained(lambda run: _pack(gr, bench, run)), [run], [save])
    run.change(lambda: gr.DownloadButton(visible=False), None, [save], show_progress="hidden")


def _exports(bench: Bench, run: str) -> Path:
    return bench.workspace.folder / "exports" / run


def _note(bench: Bench, run: str) -> Markup:
    if not run:
        return element("p", "No run yet. Tune one in the tab Tune, then use it here.", class_="quiet")
    entry = bench.workspace.run(run)
    verdict = entry.record["verdict"]
    if verdict["code"] == "ship":
        return element("p", verdict["sentence"], class_="verdict ship")
    if is_model(entry):
        return element(
            "p", f"{verdict['sentence']} This code loads the fine-tuned model all the same.", class_="verdict"
        )
    has_candidate = (entry.folder / "candidate").is_dir()
    return element(
        "p",
        f"{verdict['sentence']} What this code loads is the identity, which changes nothing"
        + (f"; what was trained lies in {entry.folder / 'candidate'}." if has_candidate else "."),
        class_="verdict",
    )


def _pack(gr: Any, bench: Bench, run: str) -> Any:
    if not run:
        raise DataError("There is no run to pack. Start one in the tab Tune.")
    source = bench.workspace.run(run).folder
    try:
        # Where Gradio may hand files out from; it makes a copy of its own of anything else.
        place = Path(tempfile.mkdtemp(prefix="embertune-"))
        packed = shutil.make_archive(str(place / run), "zip", source.parent, source.name)
    except OSError as error:
        raise StorageError(f"The .zip could not be written: {error.strerror or error}. Free some space.") from None
    return gr.DownloadButton(value=packed, visible=True)


def _build_server(gr: Any, bench: Bench, run: Any) -> Any:
    gr.Markdown("## Local server", elem_id="use-server-title")
    port = gr.Number(_PORT, label="Port", precision=0, minimum=1, maximum=65535, elem_id="use-port")
    with gr.Row():
        start = gr.Button("Start the server", variant="primary", elem_id="use-start")
        stop = gr.Button("Stop the server", variant="stop", elem_id="use-stop")
    told = gr.HTML(_standing(bench), elem_id="use-server")

    def begin(run: str, port: float) -> Markup:
        if not run:
            raise DataError("There is no run to serve. Start one in the tab Tune.")
        for job in _servers(bench):
            if not job.is_over and job.settings["port"] == int(port):
                raise ConfigError(f"A server of this workbench has port {int(port)}. Stop it, or name another port.")
        entry = bench.workspace.run(run)
        upstream = [f"--upstream={entry.folder}"] if is_model(entry) else []
        adapter = served_adapter(_exports(bench, run)) if is_model(entry) else entry.folder
        arguments = ["serve", f"--adapter={MODEL}={adapter}", *upstream, f"--port={int(port)}", "--quiet"]
        # It makes nothing, so there is no path that tells it is done.
        settings = {"run": run, "port": int(port)}
        bench.jobs.submit(SERVER, f"server of {run}", lambda key: (arguments, f"jobs/{key}/nothing"), settings=settings)
        return _standing(bench)

    def end(port: float) -> Markup:
        for job in _servers(bench):
            if not job.is_over and job.settings["port"] == int(port):
                bench.jobs.cancel(job.id)
        return _standing(bench)

    start.click(explained(begin), [run, port], [told])
    stop.click(explained(end), [port], [told])
    gr.Timer(_POLL).tick(explained(lambda: _standing(bench)), None, [told], show_progress="hidden")
    return port


def _servers(bench: Bench) -> list[Job]:
    return [job for job in bench.jobs.all() if job.kind == SERVER]


def _standing(bench: Bench) -> Markup:
    """Say which servers run, and why the last one does not, if it ended by itself."""
    servers = _servers(bench)
    running = [job for job in servers if not job.is_over]
    parts = [element("p", _line(bench, job), class_="standing") for job in running]
    if servers and servers[0].state == "failed":
        parts.append(element("p", bench.jobs.error(servers[0].id), class_="trouble", role="alert"))
    return element("div", *(parts or [element("p", "No server runs.", class_="quiet")]))


def _line(bench: Bench, job: Job) -> str:
    address = f"http://127.0.0.1:{job.settings['port']}/v1"
    if _answers(job.settings["port"]):
        return f"{job.settings['run']} is served at {address}, as {MODEL}/query and {MODEL}/document."
    return f"Starting {job.settings['run']} at {address} …"


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
        return True
    return False
