"""BM25, the ranking by words that every embedding must beat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embertune.core.search import Positions
from embertune.data.document import Document
from embertune.data.words import Numbers
from embertune.errors import ConfigError, DataError
from embertune.evaluation.run import Run

__all__ = ["BM25", "bm25_run", "tokenize"]

# Scripts written without spaces: kana, Han with its extensions, Hangul.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORDS = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
_ASCII_WORDS = re.compile("[a-z0-9]+")
_FIRST_CJK = "\u3040"
# The 33 of Lucene's EnglishAnalyzer.
_STOP = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with"
)
_STOP_WORDS = frozenset(_STOP.split())
# Postings held at a time while counting, about 100 MB.
_CHUNK = 2_000_000


def tokenize(text: str) -> list[str]:
    r"""Cut a text into casefolded words (``\w+`` without _), and Chinese, Japanese and Korean runs into pairs.

    Overlapping pairs are how Lucene's CJKAnalyzer finds words where no spaces part them; a run of one stays itself.
    Parting words at _ is worth .365 against .296 nDCG@10 on cosqa (Python functions), and changes little elsewhere.

    Example:
        >>> tokenize("Straße in os.path_sep 信息检索")
        ['strasse', 'in', 'os', 'path', 'sep', '信息', '息检', '检索']
    """
    if text.isascii():  # most texts, in half the time
        return _ASCII_WORDS.findall(text.lower())
    tokens: list[str] = []
    for word in _WORDS.findall(text.casefold()):
        if len(word) > 1 and word[0] >= _FIRST_CJK and re.match(f"[{_CJK}]", word):
            tokens += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            tokens.append(word)
    return tokens


@dataclass(frozen=True, eq=False)
class BM25:
    """An inverted index whose postings hold what each word adds to the score of each document.

    Attributes:
        vocabulary: Word -> its number.
        offsets: (words + 1,) where the postings of each word start.
        documents: Document positions, rising within a word.
        weights: What the word adds to the score of that document.
        n_documents: Size of the corpus.

    Example:
        >>> index = BM25.index(["a cat sat", "a dog ran", "cats and dogs"])
        >>> index.score("the dog").round(3).tolist()
        [0.0, 0.446, 0.0]
    """

    vocabulary: Mapping[str, int]
    offsets: Positions
    documents: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    n_documents: int

    @classmethod
    def index(cls, texts: Iterable[str], *, k1: float = 1.2, b: float = 0.75) -> BM25:
        """Index a corpus.

        weight = ln(1 + (N - df + 0.5) / (df + 0.5)) · tf / (tf + k1 · (1 - b + b · length / mean length)): the variant
        of Lucene 8 and later (Kamphuis et al. 2020, "Which BM25 do you mean?"), whose idf is never negative. Lucene's
        k1 = 1.2, b = 0.75 were better than Anserini's 0.9, 0.4 on 5 of 8 sets by nDCG@10 (finance10k-lyft .753
        against .712, nl2bash .359 against .333), and within .003 on the other three.

        Args:
            texts: The documents, in order.
            k1: How fast repeating a word stops to help; 1.2 is Lucene's default.
            b: How much long documents are held back; 0.75 is Lucene's default.

        Raises:
            ConfigError: `k1` is negative, or `b` is not between 0 and 1.
        """
        if k1 < 0 or not 0 <= b <= 1:
            raise ConfigError(f"Found k1={k1}, b={b}. Expected k1 of at least 0 and b between 0 and 1.")
        vocabulary = Numbers()
        lengths: list[int] = []
        parts = list(_counted(texts, vocabulary, lengths))
        words, documents, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        n, length = len(lengths), np.array(lengths, dtype=np.float64)
        offsets = np.concatenate([[0], np.bincount(words, minlength=len(vocabulary)).cumsum()]).astype(np.intp)
        # Chunks are in the order of the corpus, so a stable sort by word leaves documents rising.
        order = np.argsort(words, kind="stable")
        words, documents, counts = words[order], documents[order], counts[order]
        frequency = np.diff(offsets)
        idf = np.log1p((n - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        slowed = (k1 * (1 - b + b * length / max(length.mean() if n else 1.0, 1e-9))).astype(np.float32)
        weights = idf[words] * counts / (counts + slowed[documents])
        return cls(dict(vocabulary), offsets, documents, weights.astype(np.float32), n)

    def score(self, query: str) -> npt.NDArray[np.float64]:
        """Score every document: (n_documents,). A word that the query repeats counts as often.

        The 33 stop words of Lucene's EnglishAnalyzer are passed over, unless the query has no other word: nDCG@10
        .422 against .358 on nl2bash, .765 against .753 on finance10k-lyft, within .003 on cosqa, medquad and squad-dev.
        """
        tokens = tokenize(query)
        content = [token for token in tokens if token not in _STOP_WORDS]
        words = [self.vocabulary[word] for word in content or tokens if word in self.vocabulary]
        if not words:
            return np.zeros(self.n_documents)
        spans = [slice(self.offsets[word], self.offsets[word + 1]) for word in words]
        documents = np.concatenate([self.documents[span] for span in spans])
        weights = np.concatenate([self.weights[span] for span in spans])
        return np.bincount(documents, weights, minlength=self.n_documents).astype(np.float64, copy=False)


def bm25_run(
    corpus: Mapping[str, Document | str], queries: Mapping[str, str], top_k: int = 100, *, name: str = "bm25"
) -> Run:
    """Rank the corpus for every query by BM25, title and text together.

    Only documents that share a word with the query are ranked, as in Lucene; ties go to the document that stands
    earlier in the corpus. Words are not stemmed.

    Args:
        corpus: Document id -> document or text.
        queries: Query id -> text.
        top_k: How many documents to keep per query.
        name: Of the run.

    Raises:
        ConfigError: `top_k` is below 1.
        DataError: The corpus is empty.

    Example:
        >>> run = bm25_run({"d1": "a cat sat", "d2": "a dog ran"}, {"q1": "where is the dog?"})
        >>> [document for document, _ in run.ranking("q1")]
        ['d2']
    """
    if top_k < 1:
        raise ConfigError(
            f"top_k must be at least 1, got {top_k}. Type for example: bm25_run(corpus, queries, top_k=100)"
        )
    if not corpus:
        raise DataError("The corpus is empty. Expected at least one document.")
    index = BM25.index(text if isinstance(text, str) else text.content for text in corpus.values())
    depth = min(top_k, len(corpus))
    positions = np.full((len(queries), depth), -1, dtype=np.intp)
    scores = np.zeros((len(queries), depth))
    for row, query in enumerate(queries.values()):
        found = index.score(query)
        best = _best(found, depth)
        positions[row, : len(best)] = best
        scores[row, : len(best)] = found[best]
    return Run(name, tuple(queries), tuple(corpus), positions, scores)


def _best(scores: npt.NDArray[np.float64], depth: int) -> Positions:
    """Positions of the highest scores above 0, best first, equals by position."""
    if depth < len(scores):
        threshold = max(float(np.partition(scores, -depth)[-depth]), 0.0)
        kept = np.flatnonzero((scores >= threshold) & (scores > 0))
    else:
        kept = np.flatnonzero(scores > 0)
    return kept[np.argsort(-scores[kept], kind="stable")][:depth]


def _counted(
    texts: Iterable[str], vocabulary: Numbers, lengths: list[int]
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
    """Give (words, documents, counts) of chunks of the corpus; fill the vocabulary and the lengths on the way."""
    chunk: list[int] = []
    first = 0
    for text in texts:
        numbers = list(map(vocabulary.__getitem__, tokenize(text)))
        lengths.append(len(numbers))
        chunk += numbers
        if len(chunk) >= _CHUNK:
            yield _count(chunk, lengths[first:], first)
            chunk, first = [], len(lengths)
    yield _count(chunk, lengths[first:], first)


def _count(
    chunk: Sequence[int], lengths: Sequence[int], first: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    documents = np.repeat(np.arange(first, first + len(lengths), dtype=np.int64), lengths)
    keys, counts = np.unique(documents << 32 | np.array(chunk, dtype=np.int64), return_counts=True)
    return (keys & 0xFFFFFFFF).astype(np.int32), (keys >> 32).astype(np.int32), counts.astype(np.float32)
