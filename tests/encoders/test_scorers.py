import re

import numpy as np
import pytest

from embertune.encoders.scorers import PairScorer, load_scorer
from embertune.errors import ConfigError, EncoderError

PAIRS = [("a", "x" * at) for at in range(1, 11)]


class Counting:
    """The length of the document, and a list of what was asked; it may break down."""

    def __init__(self, breaks_at=None):
        self.asked, self.breaks_at = [], breaks_at

    def __call__(self, pairs):
        if self.breaks_at is not None and len(self.asked) + len(pairs) > self.breaks_at:
            raise RuntimeError("out of memory")
        self.asked += pairs
        return [len(document) for _, document in pairs]


def test_every_pair_is_scored_once_and_scores_are_in_order():
    function = Counting()
    scorer = PairScorer(function, batch_size=3)
    assert scorer.score([*PAIRS, PAIRS[4], PAIRS[0]]).tolist() == [*range(1, 11), 5, 1]
    assert function.asked == PAIRS
    assert scorer.scored == 10


def test_a_run_that_was_stopped_scores_nothing_twice():
    first = Counting(breaks_at=7)
    with pytest.raises(RuntimeError, match="out of memory"):
        PairScorer(first, "lengths-1", batch_size=3).score(PAIRS)
    assert first.asked == PAIRS[:6]
    second = Counting()
    assert PairScorer(second, "lengths-1", batch_size=3).score(PAIRS).tolist() == list(range(1, 11))
    assert second.asked == PAIRS[6:]
    # Another name is another scorer, and so is none.
    for name in ("lengths-2", ""):
        third = Counting()
        PairScorer(third, name).score(PAIRS)
        assert third.asked == PAIRS
    fourth = Counting()
    PairScorer(fourth, "lengths-1", cache=False).score(PAIRS)
    assert fourth.asked == PAIRS


def test_query_and_document_are_not_confused_in_the_cache():
    scorer = PairScorer(lambda pairs: [len(query) for query, _ in pairs], "queries")
    assert scorer.score([("ab", "c"), ("a", "bc"), ("c", "ab")]).tolist() == [2, 1, 1]
    assert scorer.score([("a", "bc"), ("ab", "c")]).tolist() == [1, 2]


def test_progress_counts_what_was_in_the_cache():
    PairScorer(Counting(), "told").score(PAIRS[:4])
    told = []
    PairScorer(Counting(), "told", batch_size=4).score(PAIRS, progress=lambda *step: told.append(step))
    assert told == [("score", 4, 10, "4 from the cache"), ("score", 8, 10), ("score", 10, 10)]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0], "The scorer gave scores of shape (1,) for 2 pairs. Expected one for each."),
        ([[1, 2], [3, 4]], "The scorer gave scores of shape (2, 2) for 2 pairs. Expected one for each."),
        ([1.0, np.nan], "The scorer gave 1 of 2 scores that are NaN or infinite. Expected numbers."),
        (["high", "low"], "The scorer gave no numbers for 2 pairs: could not convert string to float"),
    ],
)
def test_what_is_no_score_is_refused(answer, message):
    with pytest.raises(EncoderError, match=f"^{re.escape(message)}"):
        PairScorer(lambda pairs: answer).score(PAIRS[:2])


def test_what_is_no_scorer_is_refused():
    with pytest.raises(
        ConfigError, match=r"^Expected the name of a cross-encoder or a function of pairs, found int\.$"
    ):
        load_scorer(7)
    with pytest.raises(ConfigError, match=r"^device cannot be set on a function\. Leave it out\.$"):
        load_scorer(len, device="cpu")
    with pytest.raises(ConfigError, match=r"^batch_size must be at least 1, got 0$"):
        PairScorer(len, batch_size=0)
    scorer = PairScorer(len)
    assert load_scorer(scorer) is scorer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cross-encoder of random weights and its tokenizer."""
    return cross_encoder(tmp_path_factory.mktemp("tiny-cross-encoder"), labels=1)


def cross_encoder(place, labels):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    torch.set_num_threads(1)
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "cat", "dog", "runs", "sleeps", "where"]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]",
        model_max_length=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForSequenceClassification(
            BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                max_position_embeddings=32, num_labels=labels, initializer_range=1.0,
            )
        )  # fmt: skip
    model.eval()
    model.save_pretrained(place)
    fast.save_pretrained(place)
    return place


TEXTS = [("where cat", "cat sleeps"), ("where cat", "dog runs"), ("dog", "dog sleeps dog"), ("where", "cat")]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cross_encoder_gives_its_logits(folder):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer, model = (each.from_pretrained(folder) for each in (AutoTokenizer, AutoModelForSequenceClassification))
    with torch.inference_mode():
        expected = [
            float(model.eval()(**tokenizer(query, text, return_tensors="pt")).logits[0, 0]) for query, text in TEXTS
        ]
    scorer = load_scorer(folder, batch_size=2)
    np.testing.assert_allclose(scorer.score(TEXTS), expected, rtol=1e-4, atol=1e-5)
    assert max(map(abs, expected)) > 1  # a sigmoid would hide it
    assert re.fullmatch(rf"cross-encoder/{folder.name}@\S+", scorer.name)
    again = load_scorer(str(folder))
    assert again.score(TEXTS).tolist() == scorer.score(TEXTS).tolist()
    assert again.scored == 0
    assert load_scorer(folder, max_length=8).name != scorer.name


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_model_that_is_no_scorer_is_refused(tmp_path):
    place = cross_encoder(tmp_path / "two", labels=2)
    with pytest.raises(EncoderError, match=r"two gives 2 numbers for a pair\. Expected a model that gives one"):
        load_scorer(place)
    with pytest.raises(EncoderError, match=r"^The cross-encoder '.*none' could not be loaded: "):
        load_scorer(tmp_path / "none")
