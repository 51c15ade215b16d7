"""The demo's data set: questions that programmers type, over the documentation of Python's standard library."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from embertune.data.dataset import Dataset
from embertune.data.demo_corpus import read_python_docs

__all__ = ["demo_dataset"]


def demo_dataset() -> Dataset:
    """Make the demo's data set, with its given split; about half a second, and nothing is downloaded.

    The corpus is read from the docstrings of the running Python, so it differs a little between versions. The
    questions are ours, with every object that answers each. What this Python lacks is dropped and counted in `notes`.
    A third of the answering objects occur in the test part only.

    Returns:
        "python-docs"; document ids are qualified names ("str.split").

    Raises:
        DataError: Python was started with -OO, which removes docstrings.

    Example:
        >>> data = demo_dataset()
        >>> len(data.corpus) > 3000, len(data.queries) > 700, sorted(set(data.parts.values()))
        (True, True, ['dev', 'test', 'train'])
    """
    corpus = read_python_docs()
    questions = _questions()
    answers = {q["id"]: [name for name in q["answers"] if name in corpus] for q in questions}
    kept = [question for question in questions if answers[question["id"]]]
    missing = {name for question in questions for name in question["answers"]} - corpus.keys()
    return Dataset(
        corpus=corpus,
        queries={question["id"]: question["query"] for question in kept},
        qrels={question["id"]: dict.fromkeys(answers[question["id"]], 1.0) for question in kept},
        name="python-docs",
        parts={question["id"]: question["part"] for question in kept},
        notes=_notes(len(corpus), missing, len(questions) - len(kept)),
    )


def _questions() -> list[Mapping[str, Any]]:
    """Read the questions in the package: id, query, answers, part."""
    lines = files("embertune.data").joinpath("demo_questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _notes(passages: int, missing: set[str], dropped: int) -> tuple[str, ...]:
    version = f"Python {platform.python_version()}"
    notes = [f"The corpus is the documentation of {version}: {passages} passages."]
    if missing:
        names = ", ".join(sorted(missing)[:3]) + (", …" if len(missing) > 3 else "")
        notes.append(
            f"Answering objects that {version} does not document, dropped: {len(missing)} ({names}). "
            f"Questions dropped because nothing else answers them: {dropped}."
        )
    return tuple(notes)
