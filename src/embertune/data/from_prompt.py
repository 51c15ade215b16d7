"""Data sets from a description alone: passages and queries are both written. `Dataset` has this as a class method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from embertune.core.progress import Progress, silent
from embertune.errors import LLMError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset
    from embertune.data.synthesis.chunk_writer import LLMChunkWriter

__all__ = ["FromPrompt"]

_OF_QUERIES = ("styles", "language", "chunks_per_request", "max_copied")


class FromPrompt:
    """The class method of `Dataset` that has passages and queries written.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> Dataset.from_synthetic_chunks("", "openai/gpt-4o-mini")
        Traceback (most recent call last):
            ...
        embertune.errors.ConfigError: The prompt is empty. Expected a description such as "Recipes from a Swiss \
cookbook, 100 words each."
    """

    @classmethod
    def from_synthetic_chunks(
        cls,
        prompt: str,
        llm: str,
        n_chunks: int = 100,
        n_queries_per_chunk: int = 4,
        *,
        name: str = "synthetic",
        progress: Progress = silent,
        **options: Any,
    ) -> Dataset:
        """Make a data set of nothing but a description: a language model writes passages, and queries for them.

        It shows what a tuned adapter could gain on such documents; your own will differ. Every query is marked in
        `synthetic`, and a verdict says that it was measured on such.

        Args:
            prompt: What the passages are, such as "Chunks of code from an arbitrary Python codebase."
            llm: The model, as LiteLLM names it.
            n_chunks: How many distinct passages.
            n_queries_per_chunk: The most queries for each.
            name: What reports call the data set.
            progress: Told as passages and queries are written.
            options: Of `LLMQueryGenerator`: language, styles, journal … A budget is for passages and queries together.

        Raises:
            LLMError: The provider failed for good, no more distinct passages came, or the budget ended with passages
                alone. What was answered is in the journal: run again to go on.
            ConfigError: A setting is impossible.
            MissingExtraError: LiteLLM is not installed.

        Example:
            >>> from embertune.data.dataset import Dataset
            >>> Dataset.from_synthetic_chunks("Recipes", "openai/gpt-4o-mini", n_chunks=0)
            Traceback (most recent call last):
                ...
            embertune.errors.ConfigError: Invalid configuration:
            - n_chunks must be at least 1, got 0
        """
        from embertune.data.dataset import Dataset
        from embertune.data.synthesis.chunk_writer import LLMChunkWriter, check_chunks
        from embertune.data.synthesis.llm import LLMQueryGenerator

        check_chunks(prompt, n_chunks)
        LLMQueryGenerator(llm, **options)  # refuses what it cannot do before passages are paid for
        how = {name: value for name, value in options.items() if name not in _OF_QUERIES}
        writer = LLMChunkWriter(llm, progress=progress, **how)
        chunks = writer.write(prompt, n_chunks)
        rest = {**options, **_rest_of_budget(writer, how)}
        dataset = Dataset.from_chunks(
            chunks, llm=llm, n_queries_per_chunk=n_queries_per_chunk, name=name, progress=progress, **rest
        )
        return replace(dataset, notes=(*writer.notes, *dataset.notes))


def _rest_of_budget(writer: LLMChunkWriter, options: dict[str, Any]) -> dict[str, Any]:
    """Give what the passages left of the budget."""
    spent = {"budget_usd": writer.spent.usd, "budget_tokens": writer.spent.tokens}
    rest = {name: options[name] - (spent[name] or 0) for name in spent if options.get(name) is not None}
    if any(left <= 0 for left in rest.values()) or (rest and writer.stopped):
        raise LLMError(f"{writer.name} has written no query yet. {' '.join(writer.notes)}")
    return rest
