"""Queries from a local model that reads a passage and writes what it answers (doc2query): no key, no service."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.core.paths import as_path
from embertune.core.progress import Progress, silent
from embertune.core.random import generator
from embertune.data.synthesis.base import Chunk, SyntheticQuery
from embertune.data.synthesis.journal import Journal, answer_key, open_journal
from embertune.errors import ConfigError, LLMError

__all__ = ["Seq2SeqConfig", "Seq2SeqQueryGenerator", "make_seq2seq"]

_EXTRA, _PURPOSE = "doc2query", "A local model that writes queries"


@dataclass(frozen=True)
class Seq2SeqConfig:
    """How queries are drawn from the model; the defaults are those of GPL (Wang et al., 2022).

    Raises:
        ConfigError: With every problem at once.

    Example:
        >>> Seq2SeqConfig(prefix="generate question: ").top_p
        0.95
    """

    prefix: str = ""
    """Put before every passage, where the model was trained so."""
    sampling: bool = True
    """Draw the words; False takes the most likely queries, by beams, which are alike."""
    top_k: int = 25
    """Draw from so many words."""
    top_p: float = 0.95
    """Draw from the words that together have this probability."""
    temperature: float = 1.0
    """Below 1 likely words are drawn more often."""
    max_input: int = 384
    """Tokens of a passage that are read; the rest is cut off."""
    max_output: int = 64
    """Tokens of a query at most."""
    batch_size: int = 8
    """Passages at a time; every batch is written down when it is done."""
    seed: int = 0
    """Decides what is drawn."""

    def __post_init__(self) -> None:
        """Refuse what is impossible."""
        problems = [
            f"{name} must be at least 1, got {getattr(self, name)}"
            for name in ("top_k", "max_input", "max_output", "batch_size")
            if getattr(self, name) < 1
        ]
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.temperature <= 0:
            problems.append(f"temperature must be above 0, got {self.temperature}")
        if problems:
            raise ConfigError(problems)


class Seq2SeqQueryGenerator:
    """A `QueryGenerator` that asks any sequence-to-sequence model of transformers.

    What it wrote is journaled batch by batch: after an interruption the same call goes on, with the same result as
    without one.

    Args:
        model: Name on the hub, such as "doc2query/msmarco-t5-base-v1" or "BeIR/query-gen-msmarco-t5-base-v1", or a
            folder.
        config: How queries are drawn; None takes the defaults.
        revision: Branch, tag or commit on the hub.
        device: "cpu", "cuda", …; None takes a GPU where torch finds one.
        journal: The file; None is that of this user.
        progress: Told of chunks.

    Attributes:
        name: "seq2seq/" and the model.

    Raises:
        LLMError: The model cannot be loaded.
        MissingExtraError: transformers or torch are not installed.
    """

    def __init__(
        self,
        model: str,
        config: Seq2SeqConfig | None = None,
        *,
        revision: str | None = None,
        device: str | None = None,
        journal: str | Path | None = None,
        progress: Progress = silent,
    ) -> None:
        transformers = require("transformers", extra=_EXTRA, purpose=_PURPOSE)
        self._torch: Any = require("torch", extra=_EXTRA, purpose=_PURPOSE)
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, revision=revision)
            self._model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(model, revision=revision)
        except (OSError, ValueError) as error:
            raise LLMError(
                f"The model {model!r} could not be loaded: {first_line(error)} Expected a "
                "sequence-to-sequence model from https://huggingface.co/models, such as doc2query/msmarco-t5-base-v1, "
                "or a folder that has its config.json."
            ) from None
        self._device = device or ("cuda" if self._torch.cuda.is_available() else "cpu")
        self._model.to(self._device).eval()
        self._config, self._journal, self._progress = config or Seq2SeqConfig(), journal, progress
        folder = as_path(model)
        self.name = f"seq2seq/{folder.resolve().name if folder.is_dir() else model}"
        self.written = 0
        """Chunks that the model was asked about; the others were in the journal."""

    def generate(self, chunks: Iterable[Chunk], *, per_chunk: int) -> Iterator[SyntheticQuery]:
        """Give up to so many different queries for each chunk, in the order of the chunks.

        Args:
            chunks: Any number; one batch is held at a time.
            per_chunk: Queries that are drawn; equal and empty ones are left out.

        Raises:
            ConfigError: `per_chunk` is below 1.
            StorageError: The journal cannot be written to.
        """
        if per_chunk < 1:
            raise ConfigError(f"per_chunk must be at least 1, got {per_chunk}")
        return self._generate(iter(chunks), per_chunk)

    def _generate(self, chunks: Iterator[Chunk], per_chunk: int) -> Iterator[SyntheticQuery]:
        version = self._version()
        start = 0
        with open_journal(self._journal) as journal:
            while batch := list(islice(chunks, self._config.batch_size)):
                for at, queries in enumerate(self._batch(batch, per_chunk, version, journal), start):
                    yield from (SyntheticQuery(text, (at,)) for text in queries)
                start += len(batch)
                self._progress("write queries", start)

    def _batch(self, batch: list[Chunk], per_chunk: int, version: str, journal: Journal) -> list[list[str]]:
        """The queries of a batch: one answer in the journal, since what is drawn depends on all of it."""
        texts = [self._config.prefix + f"{chunk.title} {chunk.text}".strip() for chunk in batch]
        key = answer_key({"model": version, "per_chunk": per_chunk, "texts": texts, **asdict(self._config)})
        known = journal.get([key])
        if key not in known:
            known[key] = self._write(texts, per_chunk, key)
            self.written += len(batch)
            journal.put([(key, known[key])])
        found: list[list[str]] = known[key]
        return found

    def _write(self, texts: list[str], per_chunk: int, key: bytes) -> list[list[str]]:
        torch, config = self._torch, self._config
        settings: dict[str, Any] = {"do_sample": False, "num_beams": max(per_chunk, 2)}
        if config.sampling:
            settings = {
                "do_sample": True, "num_beams": 1, "top_k": config.top_k, "top_p": config.top_p,
                "temperature": config.temperature,
            }  # fmt: skip
        read = self._tokenizer(
            texts, max_length=config.max_input, truncation=True, padding=True, return_tensors="pt"
        ).to(self._device)
        devices = [self._model.device] if self._device.startswith("cuda") else []
        # The global state of torch is what generate() draws from; it is put back.
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(int(generator(config.seed, "seq2seq", key.hex()).integers(2**63)))
            written = self._model.generate(
                input_ids=read["input_ids"], attention_mask=read["attention_mask"], num_return_sequences=per_chunk,
                max_new_tokens=config.max_output, **settings,
            )  # fmt: skip
        said = [text.strip() for text in self._tokenizer.batch_decode(written, skip_special_tokens=True)]
        rows = [said[start : start + per_chunk] for start in range(0, len(said), per_chunk)]
        return [list(dict.fromkeys(filter(None, row))) for row in rows]

    def _version(self) -> str:
        """Hash the weights and the words: a folder and a branch keep their names when what is in them changes."""
        state = hashlib.sha256(repr(sorted(self._tokenizer.get_vocab().items())).encode())
        for name, tensor in self._model.state_dict().items():
            state.update(name.encode())
            state.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
        return state.hexdigest()


def make_seq2seq(model: str, *, progress: Progress = silent, **options: Any) -> Seq2SeqQueryGenerator:
    """Give the generator of a model, its settings and its other options as plain keywords.

    Args:
        model: As in `Seq2SeqQueryGenerator`.
        progress: Told of chunks.
        options: Fields of `Seq2SeqConfig`, and `revision`, `device` and `journal`.

    Raises:
        ConfigError: An option is unknown or impossible.
        LLMError: The model cannot be loaded.
        MissingExtraError: transformers or torch are not installed.
    """
    settings = {field.name for field in fields(Seq2SeqConfig)}
    known = settings | {"revision", "device", "journal"}
    if unknown := sorted(set(options) - known):
        raise ConfigError(
            f"A sequence-to-sequence model has no option {', '.join(unknown)}; its options are "
            f"{', '.join(sorted(known))}."
        )
    config = Seq2SeqConfig(**{name: value for name, value in options.items() if name in settings})
    others = {name: value for name, value in options.items() if name not in settings}
    return Seq2SeqQueryGenerator(model, config, progress=progress, **others)
