"""Data sets from documents alone: queries are written for their chunks. `Dataset` has this as a class method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from embertune.core.progress import Progress, silent
from embertune.data.builder import as_text
from embertune.data.document import Document
from embertune.data.ids import IdBook
from embertune.data.origin import Origin
from embertune.data.synthesis.base import Chunk, QueryGenerator
from embertune.data.texts import counted
from embertune.errors import ConfigError, DataError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset

__all__ = ["FromChunks", "as_chunks", "chunk_corpus", "make_generator"]


class FromChunks:
    """The class method of `Dataset` that has queries written.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> Dataset.from_chunks([("dict", "Keys keep the order in which they came.")], n_queries_per_chunk=1).queries
        {'q1': 'dict'}
    """

    @classmethod
    def from_chunks(
        cls,
        chunks: Iterable[str | Document | Chunk | Sequence[str]],
        llm: str | QueryGenerator | None = None,
        n_queries_per_chunk: int = 4,
        *,
        name: str = "chunks",
        progress: Progress = silent,
        **options: Any,
    ) -> Dataset:
        """Make a data set of passages, with queries that are written for them.

        Every query is marked in `synthetic` with who wrote it. Where people asked others of the data set, nothing is
        judged on these; else a verdict says that it was measured on synthetic queries.

        Args:
            chunks: The passages: texts, documents, (title, text) pairs, or what `chunk_documents` gave, whose source
                and position become the ids (such as "guide.md#3").
            llm: Who writes: the name of a language model that LiteLLM reaches ("openai/gpt-4o-mini"); "seq2seq:" and a
                model of transformers, which runs here; an object with a `name` and a method `generate`; None cuts
                queries out of the passages, offline and free.
            n_queries_per_chunk: The most for each.
            name: What reports call the data set.
            progress: Told as queries are written.
            options: Of `LLMQueryGenerator` (styles, language, journal, a budget …), of `Seq2SeqConfig` (prefix,
                batch_size …), or of `ExtractiveGenerator` (styles, seed).

        Raises:
            DataError: There are no passages, or no query could be written.
            ConfigError: A setting is impossible.
            MissingExtraError: A language model without LiteLLM.

        Example:
            >>> from embertune.data.dataset import Dataset
            >>> data = Dataset.from_chunks(["Tokens expire after an hour.", "Uploads may have 20 MB at most."])
            >>> set(data.synthetic.values())
            {Origin(generator='extractive', style='keywords')}
        """
        from embertune.data.dataset import Dataset

        listed = as_chunks(chunks)
        writer = make_generator(llm, progress=progress, **options)
        ids, corpus = chunk_corpus(listed)
        book: IdBook[str] = IdBook("q", {})
        qrels: dict[str, dict[str, float]] = {}
        synthetic: dict[str, Origin] = {}
        answered: set[int] = set()
        for query in writer.generate(listed, per_chunk=n_queries_per_chunk):
            if not query.text.strip():
                continue
            query_id = book.id_of(query.text.strip())
            qrels.setdefault(query_id, {}).update({ids[position]: 1.0 for position in query.chunks})
            synthetic.setdefault(query_id, Origin(writer.name, query.style))
            answered.update(query.chunks)
        queries = {query_id: text for text, query_id in book.ids.items()}
        notes = [*_notes(listed, corpus, synthetic, len(answered)), *getattr(writer, "notes", ())]
        if not queries:
            raise DataError(
                f"{writer.name} wrote no query for {counted(len(listed), 'chunk')}. Expected passages of some "
                f"sentences. {' '.join(notes[1:])}"
            )
        return Dataset(corpus, queries, qrels, name=name, notes=tuple(notes), synthetic=synthetic)


def as_chunks(chunks: Iterable[Any]) -> list[Chunk]:
    """Read passages of every form; those without text are left out.

    Raises:
        DataError: Something is no passage, or there is none.

    Example:
        >>> as_chunks(["It is old.", ("Bridge", "It is long."), ""])[1].title
        'Bridge'
    """
    if isinstance(chunks, (str, Document, Chunk)) or not isinstance(chunks, Iterable):
        raise DataError(f"Found a {type(chunks).__name__}. Expected a list of passages, such as [text, text].")
    found = [_chunk(chunk, number) for number, chunk in enumerate(chunks, 1)]
    if not (kept := [chunk for chunk in found if chunk.text.strip()]):
        raise DataError(f"Found {counted(len(found), 'chunk')}, none of which has text. Expected at least one passage.")
    return kept


def make_generator(llm: str | QueryGenerator | None, *, progress: Progress = silent, **options: Any) -> QueryGenerator:
    """Give who writes the queries.

    Raises:
        ConfigError: An option is unknown, or options were given with an object that has its own.
        MissingExtraError: A language model without LiteLLM.

    Example:
        >>> make_generator(None).name
        'extractive'
    """
    if llm is not None and not isinstance(llm, str):
        if options or not callable(getattr(llm, "generate", None)) or not isinstance(getattr(llm, "name", None), str):
            raise ConfigError(
                f"llm is a {type(llm).__name__}. Expected the name of a model, or an object with a name and a method "
                "generate, whose options are its own."
            )
        return llm
    if llm is None:
        from embertune.data.synthesis.extractive import ExtractiveGenerator

        if unknown := sorted(set(options) - {"styles", "seed"}):
            raise ConfigError(
                f"The extractive generator has no option {', '.join(unknown)}; its options are styles and seed. For a "
                'language model name it: llm="openai/gpt-4o-mini"'
            )
        return ExtractiveGenerator(**options)
    if llm.startswith("seq2seq:"):
        from embertune.data.synthesis.seq2seq import make_seq2seq

        return make_seq2seq(llm.removeprefix("seq2seq:"), progress=progress, **options)
    from embertune.data.synthesis.llm import LLMQueryGenerator

    return LLMQueryGenerator(llm, progress=progress, **options)


def _chunk(value: Any, number: int) -> Chunk:
    place = f"Chunk {number}"
    if isinstance(value, Chunk):
        return value._replace(text=as_text(value.text, place), title=as_text(value.title, place))
    if isinstance(value, str):
        return Chunk(as_text(value, place))
    if isinstance(value, Document):
        return Chunk(as_text(value.text, place), as_text(value.title, place))
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Chunk(as_text(value[1], place), as_text(value[0], place))
    found = f"{place} is a {type(value).__name__}"
    raise DataError(f"{found}. Expected a text, a Document, a Chunk, or a pair (title, text).")


def chunk_corpus(chunks: Sequence[Chunk]) -> tuple[list[str], dict[str, Document]]:
    """Give the id of each chunk, such as "guide.md#3", and the documents by id; equal chunks are one document.

    Example:
        >>> chunk_corpus([Chunk("It is old.", source="a.md"), Chunk("It is long."), Chunk("It is old.")])[0]
        ['a.md#0', 'd1', 'a.md#0']
    """
    documents = [Document(chunk.text.strip(), chunk.title.strip()) for chunk in chunks]
    places = Counter(f"{chunk.source}#{chunk.position}" for chunk in chunks if chunk.source)
    own: dict[Document, str] = {}
    for chunk, document in zip(chunks, documents, strict=True):
        place = f"{chunk.source}#{chunk.position}"
        if places[place] == 1:  # two files of one name in two folders read apart may share a place
            own.setdefault(document, place)
    book = IdBook("d", own)
    ids = [book.id_of(document) for document in documents]
    return ids, {identifier: document for document, identifier in book.ids.items()}


def _notes(chunks: Sequence[Chunk], corpus: Sized, synthetic: Mapping[str, Origin], answered: int) -> list[str]:
    styles = Counter(origin.style for origin in synthetic.values())
    written = ", ".join(f"{count} {style}" for style, count in styles.most_common()) or "none"
    queries = counted(len(synthetic), "synthetic query", "synthetic queries")
    notes = [f"{counted(len(chunks), 'chunk')} gave {queries} ({written})."]
    if repeated := len(chunks) - len(corpus):
        notes.append(f"{counted(repeated, 'chunk repeats', 'chunks repeat')} an earlier one; equal chunks are one.")
    if left := len(chunks) - answered:
        notes.append(
            f"{counted(left, 'chunk has', 'chunks have')} no query: searched among the others, never asked for."
        )
    return notes
