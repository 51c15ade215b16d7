"""A tiny T5 and its tokenizer, made on the spot: it learns to repeat the second word of a passage."""

import re

import pytest

from embertune.data.synthesis.base import Chunk
from embertune.errors import ConfigError, LLMError

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

WORDS = ["apple", "pear", "plum", "fig", "lime", "kiwi", "date", "nut"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    torch.set_num_threads(1)  # where other work holds the cores, its threads wait for each other: 220 s in place of 20
    vocabulary = {word: at for at, word in enumerate(["<pad>", "</s>", "<unk>", "ask:", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(
            T5Config(
                vocab_size=len(vocabulary), d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, dropout_rate=0.0,
                decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
            )
        )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(150):
            drawn = torch.randint(4, len(vocabulary), (64, 3))
            ends = torch.ones(64, 1, dtype=torch.long)
            loss = model(input_ids=torch.cat([drawn, ends], 1), labels=torch.cat([drawn[:, 1:2], ends], 1)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    place = tmp_path_factory.mktemp("tiny-t5")
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def made(folder, tmp_path, **settings):
    from embertune.data.synthesis.seq2seq import Seq2SeqConfig, Seq2SeqQueryGenerator

    return Seq2SeqQueryGenerator(str(folder), Seq2SeqConfig(**settings), journal=tmp_path / "journal.sqlite3")


def passages(count):
    return [Chunk(" ".join(WORDS[(at + step) % len(WORDS)] for step in (0, 3, 5))) for at in range(count)]


@pytest.mark.parametrize("settings", [{"sampling": False}, {"temperature": 0.05}, {"top_k": 1}])
def test_a_model_trained_to_a_known_answer_gives_it(folder, tmp_path, settings):
    generator = made(folder, tmp_path, batch_size=3, **settings)
    found = list(generator.generate(passages(8), per_chunk=1))
    assert [query.text for query in found] == [chunk.text.split()[1] for chunk in passages(8)]
    assert [query.chunks for query in found] == [(at,) for at in range(8)]
    assert generator.name == f"seq2seq/{folder.name}"


def test_queries_of_a_passage_are_different_and_follow_the_seed(folder, tmp_path):
    hot = {"temperature": 3.0, "top_p": 1.0, "max_output": 3}
    drawn = list(made(folder, tmp_path / "a", **hot).generate(passages(2), per_chunk=6))
    for at in range(2):
        own = [query.text for query in drawn if query.chunks == (at,)]
        assert 1 < len(own) <= 6
        assert len(set(own)) == len(own)
        assert all(own)
    assert drawn == list(made(folder, tmp_path / "b", **hot).generate(passages(2), per_chunk=6))
    assert drawn != list(made(folder, tmp_path / "c", **hot, seed=1).generate(passages(2), per_chunk=6))


def test_after_an_interruption_nothing_is_written_twice_and_the_result_is_the_same(folder, tmp_path):
    hot = {"temperature": 3.0, "top_p": 1.0, "max_output": 3, "batch_size": 2}
    whole = list(made(folder, tmp_path / "whole", **hot).generate(passages(7), per_chunk=2))
    first = made(folder, tmp_path, **hot)
    queries = first.generate(passages(7), per_chunk=2)
    before = [next(queries) for _ in range(5)]
    queries.close()
    again = made(folder, tmp_path, **hot)
    assert list(again.generate(iter(passages(7)), per_chunk=2)) == whole
    assert before == whole[:5]
    assert (first.written + again.written, again.written) == (7, 7 - first.written)


def test_the_global_state_of_torch_is_left_alone(folder, tmp_path):
    import torch

    before = torch.random.get_rng_state()
    list(made(folder, tmp_path).generate(passages(1), per_chunk=2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_prefix_is_part_of_what_is_asked(folder, tmp_path):
    """Behind a word, the second one is another."""
    generator = made(folder, tmp_path, sampling=False, prefix="plum ")
    assert [query.text for query in generator.generate([Chunk("fig kiwi")], per_chunk=1)] == ["fig"]


def test_what_is_impossible_is_refused(folder, tmp_path):
    from embertune.data.synthesis.seq2seq import Seq2SeqConfig, Seq2SeqQueryGenerator

    message = (
        "Invalid configuration:\n- batch_size must be at least 1, got 0\n- top_p must be above 0 and at most 1, got 2"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        Seq2SeqConfig(batch_size=0, top_p=2)
    with pytest.raises(ConfigError, match=r"^per_chunk must be at least 1, got 0$"):
        made(folder, tmp_path).generate([], per_chunk=0)
    with pytest.raises(
        LLMError, match=r"^The model '.*none' could not be loaded: .* such as doc2query/msmarco-t5-base"
    ):
        Seq2SeqQueryGenerator(str(tmp_path / "none"))


def test_a_data_set_is_made_by_the_name_of_the_model(folder, tmp_path):
    from embertune.data.dataset import Dataset
    from embertune.data.origin import Origin

    texts = [chunk.text for chunk in passages(3)]
    options = {"sampling": False, "journal": tmp_path / "journal.sqlite3"}
    data = Dataset.from_chunks(texts, f"seq2seq:{folder}", 1, **options)
    assert list(data.queries.values()) == [text.split()[1] for text in texts]
    assert set(data.synthetic.values()) == {Origin(f"seq2seq/{folder.name}", "question")}
    with pytest.raises(
        ConfigError, match=r"^A sequence-to-sequence model has no option styles; its options are batch_"
    ):
        Dataset.from_chunks(texts, f"seq2seq:{folder}", styles=["question"])


def test_the_command_line_takes_a_model_of_transformers(folder, tmp_path):
    import json

    from embertune.cli import root

    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "fruit.txt").write_text("apple pear plum fig lime", encoding="utf-8")
    command = [
        "synthesize",
        str(tmp_path / "docs"),
        "--llm",
        f"seq2seq:{folder}",
        "--out",
        str(tmp_path / "made"),
        "--json",
    ]
    root.main([*command, "-n", "1"], standalone_mode=False)
    rows = (tmp_path / "made" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[0])["metadata"]["generator"] == f"seq2seq/{folder.name}"
