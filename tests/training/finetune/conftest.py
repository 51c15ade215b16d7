import pytest

from embertune.data.dataset import Dataset

WORDS = ["where", "is", "the", "home", "of", "here", "lives", "in", "a", "house"]
KINDS = ["cat", "dog", "owl", "fox", "bee", "ant", "elk", "hen"]
PLACES = ["river", "tree", "barn", "den", "hive", "hill", "wood", "yard"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A folder with a two-layer transformer made on the spot, its tokenizer included."""
    pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("models")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *KINDS, *PLACES, *map(str, range(100))]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=32,
    )  # fmt: skip
    set_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **shape))
    model.save_pretrained(folder / "bert")
    fast.save_pretrained(folder / "bert")
    inner = Transformer(str(folder / "bert"))
    SentenceTransformer(modules=[inner, Pooling(32)], device="cpu").save_pretrained(str(folder / "tiny"))
    return folder / "tiny"


@pytest.fixture(scope="session")
def animals():
    """Pairs whose answer can only be learned: which animal lives in which place."""
    pairs = [
        (f"where is the home of {kind} {number}", f"{place} {number}")
        for kind, place in zip(KINDS, PLACES, strict=True)
        for number in range(12)
    ]
    return Dataset.from_pairs(pairs, name="animals")
