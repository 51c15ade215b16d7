"""sentence-transformers: an adapter inside the model, behind a Router, so that `encode_query` adapts queries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.adapters.base import Adapter, Side
from embertune.adapters.program import Program, to_program
from embertune.core.paths import as_path
from embertune.encoders.base import Encoder
from embertune.encoders.load_adapted import load_adapted
from embertune.encoders.sentence_transformers import SentenceTransformerEncoder
from embertune.errors import ConfigError, StorageError
from embertune.integrations.sentence_transformers_modules import Modules

__all__ = ["write_sentence_transformer"]

_CARD = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, embertune]
---

{base} with an adapter behind it: `encode_query` gives adapted queries, `encode_document` {documents}.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}"{trust})
```
"""


def write_sentence_transformer(
    adapter: Adapter, folder: str | Path, *, encoder: Encoder | str | None = None
) -> tuple[Path, bool]:
    """Write model and adapter as one folder that `SentenceTransformer(folder)` loads.

    Maps that are matrices become Dense and Normalize modules. What has a gate, a strength or a hidden layer becomes a
    module whose code lies in the folder, and is loaded with ``trust_remote_code=True``. `encode` takes texts for
    documents.

    Args:
        adapter: Fitted on a sentence-transformers model.
        folder: Where to; must not exist.
        encoder: The model, where the adapter does not know where to find it.

    Returns:
        The folder, and whether it holds code.

    Raises:
        ArtifactError: The adapter was trained on another model.
        ConfigError: It was trained on no sentence-transformers model, or is of a family of one's own.
        MissingExtraError: sentence-transformers is not installed.
        StorageError: Something stands there already.
    """
    target = as_path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise StorageError(f"{target} exists, and only new folders are written. Name another one.")
    embedder = load_adapted(adapter, encoder).encoder
    if not isinstance(embedder, SentenceTransformerEncoder):
        raise ConfigError(
            f"The adapter belongs to {embedder.spec}, which is no sentence-transformers model. "
            "Other targets take it: embertune export --help"
        )
    programs: dict[Side, Program] = {
        "query": to_program(adapter, "query"),
        "document": to_program(adapter, "document"),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        has_code = _write(embedder, programs, staging, target.name)
        staging.chmod(0o755)
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error}. Name another place.") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target, has_code


def _write(embedder: SentenceTransformerEncoder, programs: dict[Side, Program], staging: Path, name: str) -> bool:
    library = require("sentence_transformers", extra="sentence-transformers", purpose="Writing its models")
    spec, model = embedder.spec, embedder._model
    make = Modules(staging)
    width, wanted = _width(model), spec.dimension or 0
    start = [make.normalize()] if spec.normalized else [make.dense(np.eye(wanted), None)]
    cut = [make.dense(np.eye(width, wanted), None)] if width != wanted else []
    routes = {f"{side}_modules": [*start, *make.of(program, wanted)] for side, program in programs.items()}
    router = make.library.Router.for_query_document(**routes, default_route="document")
    tuned = library.SentenceTransformer(
        modules=[*model.children(), *cut, router],
        prompts={**model.prompts, "query": spec.query_prompt, "document": spec.document_prompt},
        similarity_fn_name="cosine",
        device="cpu",
    )
    tuned.save(str(staging), create_model_card=False)
    moved = "adapted documents: write the index again" if programs["document"].steps else "what the model gives"
    trust = ", trust_remote_code=True" if make.has_code else ""
    card = _CARD.format(base=f"{spec.provider}/{spec.model}", documents=moved, name=name, trust=trust)
    (staging / "README.md").write_text(card, encoding="utf-8")
    return make.has_code


def _width(model: Any) -> int:
    """Give the dimension of what the modules give, before `truncate_dim` cuts it."""
    kept, model.truncate_dim = model.truncate_dim, None
    try:
        return int(np.shape(model.encode(["dimension"], show_progress_bar=False))[1])
    finally:
        model.truncate_dim = kept
