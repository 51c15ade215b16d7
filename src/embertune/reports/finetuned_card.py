"""The README.md of a fine-tuned model: what it is, how to use it, what it was measured to do, and what not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from embertune.reports.record import Record
from embertune.reports.tables import markdown_table
from embertune.reports.words import score

__all__ = ["contest_table", "finetuned_card"]

_NAMES = {"bm25": "BM25", "tuned": "fine-tuned", "tuned + adapter": "fine-tuned + adapter"}


def finetuned_card(record: Mapping[str, Any]) -> str:
    """Write the model card of a fine-tuned model as Markdown with YAML front matter for the Hugging Face hub.

    The licence is left to the user.

    Args:
        record: Of a fine-tuning.

    Raises:
        ArtifactError: The record is incomplete.
    """
    record = Record.of(record)
    base = record["encoder"]["model"]
    parts = [
        _front_matter(base, record["primary"], record["tuned"][record["primary"]], record["data"]["name"]),
        f"# {_line(record['name'])}",
        _what(record),
        f"**{_line(record['verdict']['sentence'])}** {_line(record['verdict']['reason'])}".strip(),
        "## Use it",
        _use(record),
        "## What it competes with",
        f"{contest_table(record, markdown=True)}\n\n{record['contest']['sentence']}".strip(),
        "## Results on the test split",
        markdown_table(record).strip(),
        "## Limits",
        _limits(record),
        "## How it was made",
        _made(record),
    ]
    return "\n\n".join(parts) + "\n"


def contest_table(record: Mapping[str, Any], *, markdown: bool = False) -> str:
    """Give base, BM25, the adapter and the fine-tuned model, with what each took, as a table.

    Args:
        record: Of a fine-tuning.
        markdown: For a card in place of a terminal.
    """
    metric, rows = record["primary"], record["contest"]["rows"]
    priced = any(row["dollars"] is not None for row in rows)
    head = ["system", metric, "change, 95 % interval", "seconds", *(["dollars"] if priced else [])]
    lines = [
        [
            _NAMES.get(row["system"], row["system"]),
            f"{row[metric]:.3f}",
            _change(row["change"]),
            f"{row['seconds']:.0f}",
            *([f"{row['dollars']:.4f}"] if priced else []),
        ]
        for row in rows
    ]
    if markdown:
        return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [head, *lines]
    )


def _change(delta: Mapping[str, float] | None) -> str:
    return f"{delta['mean']:+.3f} [{delta['low']:+.3f}, {delta['high']:+.3f}]" if delta else "–"


def _front_matter(base: str, metric: str, value: float, data: str) -> str:
    lines = [
        "library_name: sentence-transformers",
        "pipeline_tag: sentence-similarity",
        *([f"base_model: {json.dumps(base)}"] if "/" in base else []),
        "tags:",
        *(f"- {tag}" for tag in ("sentence-transformers", "embertune", "retrieval", "feature-extraction")),
        "model-index:",
        f"- name: {json.dumps(f'{base} fine-tuned')}",
        "  results:",
        "  - task: {type: information-retrieval}",
        f"    dataset: {{name: {json.dumps(data, ensure_ascii=False)}, type: custom}}",
        f"    metrics: [{{type: {metric}, value: {value:.4f}}}]",
        "# license: name yours here, such as mit",
    ]
    return "\n".join(["---", *lines, "---"])


def _what(record: Record) -> str:
    base = record["encoder"]["model"]
    text = f"`{base}`, fine-tuned on {_line(record['data']['name'])} with {record['training']['rows']} training rows."
    if record["adapter"]["side"] == "query":
        return f"{text} Only queries changed: document embeddings are those of `{base}`, so an index of them stays."
    return f"{text} Queries and documents changed: an index has to be embedded again."


def _use(record: Record) -> str:
    code = [
        "from sentence_transformers import SentenceTransformer",
        "",
        'model = SentenceTransformer("path/to/this/folder")',
        'queries = model.encode_query(["a question"])',
        'documents = model.encode_document(["a text that may answer it"])',
        "scores = model.similarity(queries, documents)",
    ]
    return "\n".join(["```python", *code, "```"])


def _limits(record: Record) -> str:
    said = [
        "Measured on one data set; not measured on queries, documents or languages of another kind, where a fine-tuned "
        "model may have forgotten what it knew."
    ]
    for name, meaning in (("unseen", "without training queries"), ("seen", "with training queries")):
        if not record["groups"][name]["n"]:
            said.append(f"Not measured on documents {meaning}: no test query asks for one.")
    leakage = record["data"].get("leakage") or {}
    if found := leakage.get("exact"):
        said.append(f"{found} test queries are equal to a training query, so the numbers may be too good.")
    return "\n".join(f"- {one}" for one in said)


def _made(record: Record) -> str:
    data, counts, training = record["data"], record["counts"], record["training"]
    settings = {key: value for key, value in training["config"].items() if value not in (None, (), {}, "")}
    rows = [
        ("Data", f"{data['name']}, fingerprint `{data['fingerprint']}`"),
        (
            "Queries",
            f"{counts['train']} train, {counts['dev']} dev, {counts['test']} test; {counts['documents']} documents",
        ),
        ("Split", f"{data['split'].get('method', 'unknown')}, seed {record['seed']}"),
        ("Weights", f"of step {training['step']} of {training['steps']}"),
        ("On dev", ", ".join(f"{name} {score(value)} before" for name, value in training["base"].items())),
        ("Test split opened", str(record["test_opened"])),
        ("Versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())),
        ("Created", record["created"]),
        ("Settings", f"`{json.dumps(_plain(settings), ensure_ascii=False)}`"),
    ]
    facts = "\n".join(f"- {name}: {_line(value)}" for name, value in rows)
    return f"{facts}\n\nEverything measured, query by query, is in `record.json`."


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _line(text: str) -> str:
    """Keep a text on one line, and its tags from becoming HTML."""
    return " ".join(str(text).split()).replace("<", "&lt;")
