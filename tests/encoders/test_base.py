from __future__ import annotations

import re

import numpy as np
import pytest

from embertune.encoders.base import Encoder, TextEncoder
from embertune.encoders.cache import VectorCache
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, DataError, EncoderError


class Recorder(TextEncoder):
    """Gives length and first letter, and remembers every call."""

    def __init__(self, spec=None, **options):
        self.calls = []
        options.setdefault("normalize", False)
        super().__init__(spec or EncoderSpec("recorder", "m1"), **options)

    def _encode_batch(self, texts, side):
        self.calls.append((list(texts), side))
        return np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32)

    @property
    def sent(self):
        return [text for texts, _ in self.calls for text in texts]


def test_it_is_an_encoder():
    assert isinstance(Recorder(cache=False), Encoder)


def test_each_text_is_encoded_once():
    encoder = Recorder(batch_size=2)
    vectors = encoder.encode_document(["bb", "a", "bb", "ccc", "a"])
    assert encoder.calls == [(["bb", "a"], "document"), (["ccc"], "document")]
    assert vectors[:, 0].tolist() == [2, 1, 2, 3, 1]
    again = Recorder()
    np.testing.assert_array_equal(again.encode_document(["ccc", "bb", "a"]), vectors[[3, 0, 1]])
    assert again.calls == []


def test_cache_key_holds_model_side_and_prompt():
    def sent(spec, side="query", **options):
        encoder = Recorder(spec, **options)
        encoder.encode(["text"], side)
        return encoder.sent

    spec = EncoderSpec("p", "m1")
    assert sent(spec) == ["text"]
    assert sent(spec) == []
    assert sent(spec, side="document") == ["text"]
    assert sent(EncoderSpec("p", "m2")) == ["text"]
    assert sent(EncoderSpec("p2", "m1")) == ["text"]
    assert sent(EncoderSpec("p", "m1", revision="r2")) == ["text"]
    assert sent(spec, query_prompt="query: ") == ["query: text"]
    assert sent(spec, query_prompt="query: ") == []

    class Short(Recorder):
        variant = "shortened"

    short = Short(spec)
    short.encode_query(["text"])
    assert short.sent == ["text"]
    # A prompt of the other side changes nothing, and neither does scaling to length 1.
    assert sent(spec, document_prompt="passage: ") == []
    assert sent(spec, normalize=True) == []


def test_environment_switches_both_ways(monkeypatch, tmp_path):
    def calls():
        encoder = Recorder()
        encoder.encode_query(["text"])
        return len(encoder.calls)

    monkeypatch.setenv("EMBERTUNE_CACHE", "off")
    assert [calls(), calls()] == [1, 1]
    monkeypatch.setenv("EMBERTUNE_CACHE", str(tmp_path / "chosen"))
    assert [calls(), calls()] == [1, 0]
    assert (tmp_path / "chosen" / "embeddings.sqlite3").is_file()
    # Where nothing is set, the folder is the platform's, which follows XDG_CACHE_HOME on Linux.
    monkeypatch.delenv("EMBERTUNE_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, appauthor: str(tmp_path / "platform" / name))
    assert [calls(), calls()] == [1, 0]
    assert (tmp_path / "platform" / "embertune" / "embeddings.sqlite3").is_file()


def test_cache_can_be_a_folder_an_object_or_none(tmp_path):
    Recorder(cache=tmp_path / "a").encode_query(["text"])
    other = Recorder(cache=VectorCache(tmp_path / "a"))
    other.encode_query(["text"])
    assert other.calls == []
    without = Recorder(cache=False)
    without.encode_query(["text"])
    assert len(without.calls) == 1


def test_empty_texts_are_counted_and_never_sent():
    encoder = Recorder(query_prompt="q: ", cache=False)
    vectors = encoder.encode_query(["", "word", " \n\t"])
    assert encoder.sent == ["q: word"]
    assert encoder.empty_texts == 2
    assert vectors.tolist() == [[0, 0], [7, 113], [0, 0]]


def test_only_empty_texts():
    message = "All 2 query texts are empty, so the dimension of recorder/m1 cannot be known."
    with pytest.raises(EncoderError, match=re.escape(message)):
        Recorder(cache=False).encode_query(["", " "])
    known = Recorder(EncoderSpec("recorder", "m1", dimension=2), cache=False)
    assert known.encode_query(["", " "]).tolist() == [[0, 0], [0, 0]]


def test_no_texts_at_all():
    assert Recorder(EncoderSpec("recorder", "m1", dimension=2)).encode_query([]).shape == (0, 2)


def test_rows_have_length_one_unless_asked_otherwise():
    lengths = np.linalg.norm(Recorder(normalize=True, cache=False).encode_query(["a", "bbb"]), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_the_dimension_is_known_after_the_first_text():
    encoder = Recorder(cache=False, query_prompt="q")
    assert encoder.spec == EncoderSpec("recorder", "m1", query_prompt="q", normalized=False)
    encoder.encode_query(["a"])
    assert encoder.spec.dimension == 2


def test_token_budget_and_size_both_bound_a_batch():
    encoder = Recorder(batch_size=3, cache=False)
    encoder.batch_tokens = 10
    encoder.encode_query(["a" * 20, "b", "c", "d", "e"])
    # 20 letters count for 9 tokens, one letter for 1.
    assert [len(texts) for texts, _ in encoder.calls] == [2, 3]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_what_came_before_a_failure_is_kept(concurrency):
    class Failing(Recorder):
        fail = True

        def _encode_batch(self, texts, side):
            if self.fail and "bad" in texts:
                raise EncoderError("the service is gone")
            return super()._encode_batch(texts, side)

    encoder = Failing(batch_size=1)
    encoder.concurrency = concurrency
    texts = ["a1", "b22", "bad", "d4444", "e55555"]
    with pytest.raises(EncoderError, match="the service is gone"):
        encoder.encode_query(texts)
    assert {"a1", "b22"} <= set(encoder.sent)
    encoder.fail = False
    vectors = encoder.encode_query(texts)
    assert sorted(encoder.sent) == sorted(texts)
    np.testing.assert_array_equal(vectors, Recorder(cache=False).encode_query(texts))


def test_progress_counts_distinct_texts_and_those_from_the_cache():
    seen = []
    Recorder().encode_query(["a"])
    Recorder(batch_size=2).encode(["a", "b", "c", "d", "d"], "query", progress=lambda *args: seen.append(args))
    assert seen == [
        ("embed queries", 1, 4, "1 from cache"),
        ("embed queries", 3, 4, "1 from cache"),
        ("embed queries", 4, 4, "1 from cache"),
    ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.ones((1, 2)), "recorder/m1 gave 1 vectors for 2 query texts. Expected one row per text, in order."),
        (np.ones(2), "have shape (2,). Expected two dimensions"),
        (np.array([[1, np.nan], [1, 1]]), "1 of 2 rows of the query vectors that recorder/m1 gave hold NaN"),
        (np.array([[1.0, 1], [0, 0]]), "recorder/m1 gave vectors of zeros for 1 of 2 query texts (such as 'b')."),
        ([["x", "y"], ["z", "w"]], "are not a matrix of numbers"),
    ],
)
def test_bad_answers_are_refused_and_not_cached(answer, message):
    class Bad(Recorder):
        def _encode_batch(self, texts, side):
            return answer

    with pytest.raises(EncoderError, match=re.escape(message)):
        Bad().encode_query(["a", "b"])
    good = Recorder()
    good.encode_query(["a", "b"])
    assert good.sent == ["a", "b"]


def test_a_changed_dimension_is_refused():
    Recorder().encode_query(["a"])

    class Wider(Recorder):
        def _encode_batch(self, texts, side):
            return np.ones((len(texts), 3), dtype=np.float32)

    message = (
        "recorder/m1 gave vectors of 3 dimensions where 2 were expected. Was the model changed under the same name?"
    )
    with pytest.raises(EncoderError, match=re.escape(message)):
        Wider().encode_query(["a", "b"])


def test_texts_must_be_a_list_of_strings():
    with pytest.raises(DataError, match=re.escape("found one text. Type: encode_query(['hello'])")):
        Recorder(cache=False).encode_query("hello")
    message = "2 of 3 texts are not strings (row 1: None, row 2: nan). Remove or convert them first."
    with pytest.raises(DataError, match=re.escape(message)):
        Recorder(cache=False).encode_query(["a", None, float("nan")])


def test_batch_size_must_be_positive():
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got -1"):
        Recorder(batch_size=-1)


def test_odd_unicode_is_embedded_and_cached():
    texts = ["\ud800 lone surrogate", "🙂", "ﬁ", "a\x00b"]
    vectors = Recorder().encode_query(texts)
    again = Recorder()
    np.testing.assert_array_equal(again.encode_query(texts), vectors)
    assert again.calls == []
