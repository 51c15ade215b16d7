"""What the tab Ask does with a question: who is asked, what each of them finds, and how that is shown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from embertune.core.progress import Progress
from embertune.data.dataset import Dataset
from embertune.data.synthesis.chat import Chat, ChatConfig
from embertune.errors import ConfigError, DataError, EmbertuneError
from embertune.recipes.ask import Library, Passage, extract_answer, write_answer
from embertune.reports.markup import Markup, element
from embertune.reports.words import clip
from embertune.ui.bench import Bench
from embertune.ui.finetuning import encoder_of, is_model
from embertune.ui.looking import passage

__all__ = ["MOST", "Asker", "column_head", "dataset_of", "earlier_page", "passage_item", "readers_of"]

MOST = 4
"""How many are asked side by side."""

_FROZEN, _TUNED, _CANDIDATE = "frozen", "tuned", "candidate"
_EARLIER = 20


def readers_of(bench: Bench) -> list[tuple[str, str]]:
    """Give (what it is called, its value) of all who can be asked: of every run the encoder alone and the adapter."""
    found: dict[str, str] = {}
    for run in bench.workspace.runs():
        encoder = run.record["encoder"]
        base = f"{encoder['provider']}/{encoder['model']}"
        name = f"{run.record['created'][:16].replace('T', ' ')} · {run.record['verdict']['code']}"
        found.setdefault(f"{base}, frozen", f"{_FROZEN}:{run.id}")
        if is_model(run):
            found[f"{base} fine-tuned · {name}"] = f"{_TUNED}:{run.id}"
        elif run.record["verdict"]["code"] == "ship":
            found[f"{base} tuned · {name}"] = f"{_TUNED}:{run.id}"
        elif (run.folder / "candidate").is_dir():
            found[f"{base}, candidate that does not ship · {name}"] = f"{_CANDIDATE}:{run.id}"
    return list(found.items())


def dataset_of(bench: Bench, data: str) -> Dataset:
    """Give the corpus that is asked.

    Raises:
        DataError: None was chosen, or it is gone.
    """
    if not data:
        raise DataError("There is no corpus to ask. Load a data set in the tab Data, or the demo.")
    return bench.workspace.load(data)


class Asker:
    """Asks several encoders the same question.

    Args:
        bench: The workbench.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench, self._library = bench, Library()

    def ask(
        self,
        question: str,
        readers: Sequence[str],
        dataset: Dataset,
        *,
        count: int,
        model: str,
        earlier: Sequence[Mapping[str, Any]],
        progress: Progress,
    ) -> dict[str, Any]:
        """Give {"question", "columns"}; a column has "name", "reader", "passages", "answer", "by", "cited", "problem".

        What fails for one of them is said in its column, and the others answer.

        Raises:
            ConfigError: Nobody, or too many, are asked.
            DataError: There is no question.
            LLMError: The language model cannot be asked at all.
        """
        if not question.strip():
            raise DataError("There is no question. Type one, then ask.")
        if not 1 <= len(readers) <= MOST:
            raise ConfigError(f"{len(readers)} encoders are chosen. Expected 1 to {MOST}.")
        chat = Chat(model.strip(), ChatConfig()) if model.strip() else None
        names = {value: name for name, value in readers_of(self._bench)}
        columns = [
            self._find(reader, names.get(reader, reader), question, dataset, count, progress) for reader in readers
        ]
        with ThreadPoolExecutor(MOST) as pool:
            return {
                "question": question.strip(),
                "columns": list(pool.map(lambda column: _answered(column, question, chat, earlier), columns)),
            }

    def _find(
        self, reader: str, name: str, question: str, dataset: Dataset, count: int, progress: Progress
    ) -> dict[str, Any]:
        column: dict[str, Any] = {"reader": reader, "name": name, "passages": [], "problem": ""}
        try:
            opened = self._library.open(dataset, progress=progress, **self._source(reader))
            started = time.perf_counter()
            found = opened.search(question, count)
            column["seconds"] = time.perf_counter() - started
            column["passages"] = [each._asdict() for each in found]
        except EmbertuneError as error:
            column["problem"] = str(error)
        return column

    def _source(self, reader: str) -> dict[str, Any]:
        kind, _, run = reader.partition(":")
        if kind not in (_FROZEN, _TUNED, _CANDIDATE) or not any(
            run == each.id for each in self._bench.workspace.runs()
        ):
            return {"encoder": reader}
        entry = self._bench.workspace.run(run)
        folder = entry.folder
        if is_model(entry):
            return {"encoder": str(folder) if kind == _TUNED else encoder_of(self._typed_encoder(run), entry)}
        return {
            "adapter": folder / "candidate" if kind == _CANDIDATE else folder,
            "encoder": self._typed_encoder(run),
            "frozen": kind == _FROZEN,
        }

    def _typed_encoder(self, run: str) -> str | None:
        """Give the encoder as it was typed for a run: a model's folder is not found by what its adapter knows."""
        typed = [job.settings.get("encoder") for job in self._bench.jobs.all() if job.id == run]
        return typed[0] if typed else None


def _answered(
    column: Mapping[str, Any], question: str, chat: Chat | None, earlier: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    passages = [Passage(**each) for each in column["passages"]]
    if column["problem"] or not passages:
        return {**column, "answer": "", "by": "", "cited": [], "cost": ""}
    try:
        if chat is None:
            answer = extract_answer(question, passages)
        else:
            answer = write_answer(question, passages, chat, _before(column["reader"], earlier))
    except EmbertuneError as error:
        return {**column, "answer": "", "by": "", "cited": [], "cost": "", "problem": str(error)}
    cost = "" if answer.spent is None else str(answer.spent)
    return {**column, "answer": answer.text, "by": answer.by, "cited": list(answer.cited), "cost": cost}


def _before(reader: str, earlier: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Give the questions that were asked, and what this one's passages led to."""
    return [
        (turn["question"], mine["answer"])
        for turn in earlier
        for mine in turn["columns"]
        if mine["reader"] == reader and mine["answer"]
    ]


def column_head(column: Mapping[str, Any]) -> Markup:
    """Show who was asked, and the answer."""
    title = element("h3", column["name"])
    if column["problem"]:
        return element("div", title, element("p", column["problem"], class_="trouble", role="alert"), class_="column")
    if column["by"] == "extract":
        said = "Sentences of the passages; name a language model to have an answer written."
    else:
        said = f"Written by {column['by']} · {column['cost']}"
    cited = ", ".join(str(at + 1) for at in column["cited"])
    rests = f" · rests on {'passage' if len(column['cited']) == 1 else 'passages'} {cited}" if cited else ""
    return element(
        "div", title, element("p", column["answer"], class_="answer"), element("p", said + rests, class_="quiet"),
        class_="column",
    )  # fmt: skip


def passage_item(column: Mapping[str, Any], at: int, first: Mapping[str, Any]) -> Markup:
    """Show a passage with its score, and where the first column has it.

    Args:
        column: Whose passage.
        at: Which, from 0.
        first: The first column.
    """
    found = column["passages"][at]
    line = [element("span", f"{at + 1}."), element("span", f"cosine {found['score']:.3f}")]
    if column is not first and not first["problem"]:
        ranks = [each["id"] for each in first["passages"]]
        moved = (
            f"rank {ranks.index(found['id']) + 1} in the first column"
            if found["id"] in ranks
            else "not in the first column"
        )
        line.append(element("span", moved, class_="" if found["id"] in ranks else "up"))
    line.append(element("span", clip(found["id"], 60)))
    is_cited = at in column["cited"]
    item = element("li", element("div", *line, class_="hit"), passage(found["text"]),
                   class_="relevant" if is_cited else "")  # fmt: skip
    return element("ol", item, class_="hits", start=str(at + 1))


def earlier_page(turns: Sequence[Mapping[str, Any]]) -> Markup:
    """List the questions before the last one, with their answers."""
    if not turns:
        return Markup("")
    rows = []
    for turn in list(turns)[-_EARLIER:][::-1]:
        answers = [
            element("p", element("strong", column["name"]), Markup(" "), column["answer"] or column["problem"])
            for column in turn["columns"]
        ]
        rows.append(element("details", element("summary", turn["question"]), *answers, class_="earlier"))
    return element("section", element("h2", "Earlier questions"), *rows, class_="column")
