"""The README.md of an adapter: what it is, how to use it, what it was measured to do, and what not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from embertune.reports.record import Record
from embertune.reports.tables import markdown_table
from embertune.reports.words import capital, count, encoder_name, params, parts, score, synthetic_queries

__all__ = ["model_card"]

# Encoders whose model names are repositories of the Hugging Face hub, and the owner that a bare name has there.
_HUB = {"sentence-transformers": "sentence-transformers/", "model2vec": "minishlab/", "fastembed": None}
# Encoders that cannot be loaded by a name alone.
_NAMELESS = ("precomputed", "function")
# Types whose code in numpy is a few lines.
_SHOWN = ("linear", "identity")

# What a linear adapter does, whatever its form; run by the tests against `transform`.
_NUMPY = '''import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

arrays = load_file("adapter.safetensors")  # an array for each side that changes
config = json.loads(Path("config.json").read_text(encoding="utf-8"))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def near(rows, examples, count):
    return np.sort(rows @ examples.T, axis=1)[:, -count:].mean(axis=1, keepdims=True)


def ramp(values, low, high):
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


def adapt(vectors, side):
    """Map embeddings (n, d) of one side, "query" or "document"."""
    vectors = np.asarray(vectors, dtype=np.float32)
    if side not in arrays:
        return vectors
    vectors = unit(vectors)
    inside = vectors @ arrays["basis"] if "basis" in arrays else vectors
    inside = inside @ arrays[side] if arrays[side].ndim == 2 else inside * arrays[side]
    mapped = unit(vectors + (inside @ arrays["basis"].T if "basis" in arrays else inside))
    weight = config.get("strength", 1.0)
    name, kind, plural = ("gate", "", "queries") if side == "query" else ("document_gate", "document_", "documents")
    if gate := config.get(name):  # embeddings unlike those that it learned from stay as they were
        directions, count = arrays.get(f"gate.{kind}directions"), gate["neighbours"]
        rows = vectors if directions is None else vectors @ directions
        nearest = near(rows, arrays[f"gate.{plural}"], count)
        weight = weight * ramp(nearest, gate["low"], gate["high"])
        if "lead" in gate:  # and so do those that are more like what it is not for
            weight = weight * ramp(nearest - near(rows, arrays[f"gate.unlike_{plural}"], count), *gate["lead"])
    return unit(vectors + weight * (mapped - vectors))
'''


def model_card(record: Mapping[str, Any]) -> str:
    """Write the model card of an adapter as Markdown with YAML front matter for the Hugging Face hub.

    The licence is left to the user. Of a linear adapter and of the identity, the first Python block runs in
    the folder of the artefact with numpy and safetensors alone.

    Args:
        record: A `Record`, or its values.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> print(model_card(example_record()).splitlines()[1])
        library_name: embertune
    """
    record = Record.of(record)
    parts = [
        _front_matter(record),
        f"# {_line(record['name'])}: embedding adapter",
        _what(record),
        "## Verdict",
        f"**{_line(record['verdict']['sentence'])}** {_line(record['verdict']['reason'])}".strip(),
        *(["## Use it with numpy alone", _with_numpy(record)] if record["adapter"]["type"] in _SHOWN else []),
        "## Use it with Embertune",
        _with_embertune(record),
        "## Results on the test split",
        markdown_table(record).strip(),
        "## Limits",
        _limits(record),
        "## How it was made",
        _made(record),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(record: Record) -> str:
    base = _hub_name(record["encoder"])
    lines = [
        "library_name: embertune",
        "pipeline_tag: feature-extraction",
        *([f"base_model: {json.dumps(base)}"] if base else []),
        "tags:",
        *(f"- {tag}" for tag in ("embertune", "embedding-adapter", "retrieval", "feature-extraction")),
        "# license: name yours here, such as mit",
    ]
    return "\n".join(["---", *lines, "---"])


_STEPS = {
    "linear": "a linear map, `normalize(x + x @ W)`",
    "document": "offsets of documents that have training queries",
    "mlp": "a residual network",
    "orthogonal": "a rotation",
    "truncation": "a reduction to fewer dimensions",
    "whitening": "a whitening map",
}


def _what(record: Record) -> str:
    adapter, encoder = record["adapter"], encoder_name(record["encoder"])
    if adapter["type"] == "identity":
        return (
            "**This adapter is the identity: it changes nothing.** No better one was proven, so using it is the same "
            f"as using `{encoder}` as it is."
        )
    sides = {
        "query": "It changes query embeddings only: stored document embeddings stay valid.",
        "document": "It changes document embeddings only: stored ones have to be transformed once, not embedded again.",
        "both": "It changes both sides: stored document embeddings have to be transformed once, not embedded again.",
    }
    steps = [part for part in parts(adapter) if part["type"] != "chain"]
    maps = capital(", and then ".join(_STEPS.get(step["type"], f"an adapter of type {step['type']}") for step in steps))
    prompts = [
        f"{side} prompt {json.dumps(record['encoder'][key], ensure_ascii=False)}"
        for side, key in (("query", "query_prompt"), ("document", "document_prompt"))
        if record["encoder"].get(key)
    ]
    text = f"{maps}, applied after the frozen encoder `{encoder}`. {sides.get(adapter['side'], '')}".strip()
    if any(step["type"] == "document" for step in steps):
        text += " Documents that are added later have no offset until it is tuned again."
    if any(part.get("gate") for part in parts(adapter)):
        text += " A gate gives queries unlike the training queries the frozen encoder's embedding back."
    if any((part.get("gate") or {}).get("lead") for part in parts(adapter)):
        text += " So it does to those that are more like queries which it is not for; it holds vectors of such."
    if any(part.get("document_gate") for part in parts(adapter)):
        text += " Another one does so for documents unlike those of the corpus."
    return text + (f" The embeddings must be made with {' and '.join(prompts)}." if prompts else "")


def _with_numpy(record: Record) -> str:
    dimension = record["encoder"].get("dimension") or 256
    is_identity = record["adapter"]["type"] == "identity"
    note = "As the identity holds no map, this gives every embedding back as it is.\n\n" if is_identity else ""
    return f"""{note}```python
{_NUMPY}

vectors = np.eye(1, {dimension})  # put your unit-length embeddings here
queries = adapt(vectors, "query")
documents = adapt(vectors, "document")
```"""


def _with_embertune(record: Record) -> str:
    name = _loadable(record["encoder"])
    if name is None:
        lines = [
            "queries = ...  # embeddings of your queries, made as those that the adapter was fitted on",
            "documents = ...  # embeddings of your documents",
        ]
    else:
        lines = [
            f"encoder = embertune.load_encoder({name})",
            'queries = encoder.encode_query(["a question"])',
            'documents = encoder.encode_document(["a text that may answer it"])',
        ]
    code = [
        "import embertune",
        "",
        *lines,
        'adapter = embertune.load_adapter("path/to/this/folder")',
        'scores = adapter.transform(queries, "query") @ adapter.transform(documents, "document").T',
    ]
    block = "\n".join(["```python", *code, "```"])
    return block if record["adapter"]["type"] == "identity" else f"{block}\n\n{_strength(record)}"


def _strength(record: Record) -> str:
    """Say how to apply less of it, and what that gave on the test queries."""
    start = "plain reduction" if record["adapter"].get("output_dimension") else "frozen encoder"
    said = (
        f"To apply less of it, from 0 (the {start}) to 1 (as trained): `adapter.scaled(0.5)`, or for a file of "
        "vectors `embertune transform --strength 0.5`."
    )
    rows = record.get("strength") or ()
    listed = ", ".join(f"{score(row['all'])} at {row['strength']:g}" for row in rows)
    return f"{said} On the test queries {record['primary']} was {listed}." if rows else said


def _limits(record: Record) -> str:
    groups, data = record["groups"], record["data"]
    said = [
        "Measured on one data set; not measured on queries, documents or languages of another kind. "
        "Judge it on your own: `embertune evaluate DATA --encoder E --adapter DIR`.",
        f"Only for embeddings of `{encoder_name(record['encoder'])}`; those of any other model come out meaningless.",
    ]
    for name, meaning in (("unseen", "without training queries"), ("seen", "with training queries")):
        if not groups[name]["n"]:
            said.append(f"Not measured on documents {meaning}: no test query asks for one.")
    if not record.get("foreign"):
        said.append("Not measured on queries that it is not for; `embertune tune --foreign DATA` does that.")
    if record["test_opened"] > 1:
        said.append(f"The test split was opened {record['test_opened']} times, so its numbers may be too good.")
    leakage = data.get("leakage") or {}
    for kind, words in (("exact", "equal"), ("near", "nearly equal")):
        found = leakage.get(kind)
        if isinstance(found, int) and found:
            said.append(f"{count(found)} test queries are {words} to a training query, so the numbers may be too good.")
    return "\n".join(f"- {one}" for one in said)


def _made(record: Record) -> str:
    data, counts = record["data"], record["counts"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    rows = [
        ("Data", f"{data['name']}, fingerprint `{data['fingerprint']}`"),
        (
            "Queries",
            f"{counts['train']} train, {counts['dev']} dev, {counts['test']} test; {counts['documents']} documents",
        ),
        *([("Synthetic queries", made)] if (made := synthetic_queries(data)) else []),
        ("Split", f"{data['split'].get('method', 'unknown')}, seed {data['split'].get('seed', record['seed'])}"),
        ("Adapter", params(_settings(record["adapter"]))),
        ("Seed", str(record["seed"])),
        ("Test split opened", str(record["test_opened"])),
        ("Versions", versions),
        ("Created", record["created"]),
    ]
    facts = "\n".join(f"- {name}: {_line(value)}" for name, value in rows)
    return f"{facts}\n\nEverything measured, query by query, is in `record.json`."


def _settings(adapter: Mapping[str, Any]) -> dict[str, Any]:
    """Give what is set, with every gate in words."""
    settings = {name: value for name, value in adapter.items() if value is not None}
    for name in ("gate", "document_gate"):
        if gate := settings.get(name):
            settings[name] = f"from cosine {gate['low']:.3f} to {gate['high']:.3f}"
            if lead := gate.get("lead"):
                settings[name] += f", and ahead of what it is not for by {lead[0]:+.3f} to {lead[1]:+.3f}"
    if adapter["type"] == "chain":
        settings["adapters"] = [_settings(link) for link in adapter["adapters"]]
    return settings


def _hub_name(spec: Mapping[str, Any]) -> str | None:
    owner = _HUB.get(spec["provider"], "")
    name = spec["model"] if "/" in spec["model"] else f"{owner or ''}{spec['model']}"
    return name if owner != "" and re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) else None


def _loadable(spec: Mapping[str, Any]) -> str | None:
    """Give the arguments of `load_encoder` as code, or None where a name alone does not load it."""
    provider, model = spec["provider"], spec["model"]
    if provider in _NAMELESS or model.startswith(("/", "~", ".")) or re.match(r"[A-Za-z]:\\", model):
        return None
    name = provider if provider in ("static", "hashing") or not model else f"{provider}/{model}"
    prompts = [f", {key}={spec[key]!r}" for key in ("query_prompt", "document_prompt") if spec.get(key)]
    plain = ", normalize=False" if spec.get("normalized") is False else ""
    return json.dumps(name) + "".join(prompts) + plain


def _line(text: str) -> str:
    """Keep a text on one line, and its tags from becoming HTML."""
    return " ".join(str(text).split()).replace("<", "&lt;")
