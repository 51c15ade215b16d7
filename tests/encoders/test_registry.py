from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from embertune._optional import import_litellm, install_line
from embertune.encoders import api_limits, load_encoder, registry
from embertune.encoders.base import Encoder
from embertune.encoders.registry import API_PROVIDERS, ENCODER_FORMS, names_weights
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError, EncoderError, MissingExtraError


def embed(texts):
    return np.array([[len(text), 1.0] for text in texts])


COMMIT = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of the Hugging Face hub, into which models can be put; nothing is downloaded."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("SENTENCE_TRANSFORMERS_HOME", raising=False)

    def put(model, commit=COMMIT):
        repository = tmp_path / "hub" / f"models--{model.replace('/', '--')}"
        folder = repository / "snapshots" / commit
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            (folder / name).write_text("{}")
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text(commit)
        return folder

    return put


def fake_fastembed(calls, folder=None):
    class TextEmbedding:
        def __init__(self, model_name, **options):
            calls.append((model_name, options))
            if folder is not None:
                self.model = SimpleNamespace(_model_dir=folder)

        def query_embed(self, texts):
            return iter(np.array([[1.0, len(text)] for text in texts], dtype=np.float32))

        def passage_embed(self, texts):
            return iter(np.array([[2.0, len(text)] for text in texts], dtype=np.float32))

    module = type(sys)("fastembed")
    module.TextEmbedding = TextEmbedding
    return module


def fake_model2vec(calls):
    class StaticModel:
        dim = 2

        @classmethod
        def from_pretrained(cls, name):
            calls.append(name)
            return cls()

        def encode(self, texts, use_multiprocessing):
            return np.array([[1.0, len(text)] for text in texts], dtype=np.float32)

    module = type(sys)("model2vec")
    module.StaticModel = StaticModel
    return module


def fake_sentence_transformers(calls):
    class SentenceTransformer(list):
        def __init__(self, name, **options):
            super().__init__([None])
            self.prompts = {"query": "query: ", "passage": "passage: "}
            calls.append((name, options))

        def encode(self, texts, show_progress_bar):
            return np.ones((len(texts), 2), dtype=np.float32)

        def encode_query(self, texts, prompt, batch_size, show_progress_bar):
            return np.array([[1.0, len(prompt + text)] for text in texts], dtype=np.float32)

        def encode_document(self, texts, prompt, batch_size, show_progress_bar):
            return np.array([[2.0, len(prompt + text)] for text in texts], dtype=np.float32)

    module = type(sys)("sentence_transformers")
    module.SentenceTransformer = SentenceTransformer
    return module


def both(encoder):
    query, document = encoder.encode_query(["a", "bb"]), encoder.encode_document(["a"])
    assert query.shape[0] == 2
    assert query.shape[1] == document.shape[1] == encoder.spec.dimension
    return encoder, query, document


def test_every_provider_is_constructed_and_called(api, hub, tmp_path, monkeypatch):
    """Real classes, over fake libraries where weights would have to be downloaded."""
    if find_spec("litellm") is None:
        pytest.skip("the api extra is not installed")
    calls = []
    for name, fake in (
        ("fastembed", fake_fastembed),
        ("model2vec", fake_model2vec),
        ("sentence_transformers", fake_sentence_transformers),
    ):
        monkeypatch.setitem(sys.modules, name, fake(calls))
    hub("some/model")
    potion = hub("minishlab/potion-base-8M")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-for-the-test")
    vectors = {"corpus": np.eye(2), "queries": np.eye(2)[:1], "corpus_ids": ["d1", "d2"], "query_ids": ["q1"]}
    np.savez(tmp_path / "v.npz", **vectors)

    loaded = {
        "static": both(load_encoder("static")),
        "hashing": both(load_encoder("hashing", dimension=16)),
        "sentence-transformers": both(load_encoder("sentence-transformers/some/model", normalize=False)),
        "model2vec": both(load_encoder("model2vec/potion-base-8M")),
        "fastembed": both(load_encoder("fastembed/BAAI/bge-small-en-v1.5", normalize=False)),
        "openai": both(load_encoder("openai/text-embedding-3-small", api_base=api.base)),
        "function": both(load_encoder(embed)),
    }
    for provider, (encoder, _, _) in loaded.items():
        assert encoder.spec.provider == provider
    precomputed = load_encoder(f"precomputed:{tmp_path / 'v.npz'}")
    assert precomputed.lookup(["d2"], "document").tolist() == [[0, 1]]

    assert calls == [
        ("some/model", {"revision": None, "device": None, "truncate_dim": None}),
        str(potion),
        ("BAAI/bge-small-en-v1.5", {}),
    ]
    # Each side reaches its own method, and the model's own prompts are found.
    _, query, document = loaded["fastembed"]
    assert (query[0].tolist(), document[0].tolist()) == ([1, 1], [2, 1])
    encoder, query, document = loaded["sentence-transformers"]
    assert (query[0].tolist(), document[0].tolist()) == ([1, 8], [2, 10])
    assert (encoder.spec.query_prompt, encoder.spec.document_prompt) == ("query: ", "passage: ")


RUNTIMES = ("sentence-transformers", "model2vec", "fastembed")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_commit_of_a_download_is_the_revision(hub, monkeypatch, runtime):
    """Another commit under the same name finds no vector of the old one in the cache."""
    for commit, uncached in ((COMMIT, ["text"]), (COMMIT[::-1], ["text"]), (COMMIT[::-1], [])):
        folder = hub("a/b", commit)
        monkeypatch.setitem(sys.modules, "sentence_transformers", fake_sentence_transformers([]))
        monkeypatch.setitem(sys.modules, "model2vec", fake_model2vec([]))
        monkeypatch.setitem(sys.modules, "fastembed", fake_fastembed([], folder))
        encoder = load_encoder(f"{runtime}/a/b")
        assert encoder.spec.revision == commit
        assert encoder.uncached(["text"], "query") == uncached
        encoder.encode_query(["text"])


@pytest.mark.parametrize("runtime", RUNTIMES[:2])
def test_a_revision_may_be_asked_for(hub, monkeypatch, runtime):
    calls = []
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake_sentence_transformers(calls))
    monkeypatch.setitem(sys.modules, "model2vec", fake_model2vec(calls))
    old, new = hub("a/b", COMMIT), hub("a/b", COMMIT[::-1])
    (old.parents[1] / "refs" / "v1").write_text(COMMIT)
    assert load_encoder(f"{runtime}/a/b").spec.revision == COMMIT[::-1]
    # A branch moves on, so it is the commit that is noted.
    assert load_encoder(f"{runtime}/a/b", revision="v1").spec.revision == COMMIT
    wanted = [str(new), str(old)] if runtime == "model2vec" else [None, "v1"]
    assert [call if runtime == "model2vec" else call[1]["revision"] for call in calls] == wanted


def test_a_download_that_broke_off_is_completed(hub, monkeypatch):
    import huggingface_hub

    folder = hub("a/b")
    (folder / "model.safetensors").unlink()
    asked = []

    def download(model, local_files_only=False, **wanted):
        asked.append((model, local_files_only))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setitem(sys.modules, "model2vec", fake_model2vec([]))
    load_encoder("model2vec/a/b")
    assert asked == [("a/b", True), ("a/b", False)]


def test_weights_that_cannot_be_told_apart_are_not_cached(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastembed", fake_fastembed([]))
    encoder = load_encoder("fastembed/a/b")
    encoder.encode_query(["text"])
    assert encoder.spec.revision is None
    assert encoder.uncached(["text"], "query") == ["text"]


def test_prompts_of_ones_own_win_over_the_models(hub, monkeypatch):
    hub("sentence-transformers/m")
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake_sentence_transformers([]))
    encoder = load_encoder("sentence-transformers/m", query_prompt="", document_prompt="d: ", normalize=False)
    assert encoder.encode_query(["a"]).tolist() == [[1, 1]]
    assert encoder.encode_document(["a"]).tolist() == [[2, 4]]


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence_transformers"),
        ("model2vec/potion-base-8M", "model2vec"),
        ("fastembed/BAAI/bge-small-en-v1.5", "fastembed"),
    ],
)
def test_a_missing_library_names_its_extra(monkeypatch, name, library):
    monkeypatch.setitem(sys.modules, library, None)
    extra = library.replace("_", "-")
    with pytest.raises(MissingExtraError, match=re.escape(f"Install it with: {install_line(extra)}")):
        load_encoder(name)


@pytest.mark.parametrize("library", ["sentence_transformers", "model2vec", "fastembed"])
def test_a_model_that_cannot_be_loaded(hub, monkeypatch, library):
    hub("some/model")

    def fail(*args, **kwargs):
        raise OSError("no such model on the hub.\nlong tail")

    module = type(sys)(library)
    module.SentenceTransformer = module.TextEmbedding = fail
    module.StaticModel = type("StaticModel", (), {"from_pretrained": fail})
    monkeypatch.setitem(sys.modules, library, module)
    with pytest.raises(EncoderError, match=r"'some/model' could not be loaded: no such model on the hub\."):
        load_encoder(f"{library.replace('_', '-')}/some/model")


def test_folders(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "model2vec", fake_model2vec(calls))
    monkeypatch.setitem(sys.modules, "sentence_transformers", fake_sentence_transformers(calls))
    folder = tmp_path / "my-model"
    folder.mkdir()
    message = f"The folder {folder} is no model: it holds nothing. Expected modules.json or config.json."
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoder(str(folder))
    (folder / "config.json").write_text("[")
    with pytest.raises(EncoderError, match=r"config.json cannot be read"):
        load_encoder(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "model2vec"}))
    assert load_encoder(folder).spec.provider == "model2vec"
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    first = load_encoder(folder)
    assert (first.spec.provider, first.spec.model) == ("sentence-transformers", "my-model")
    # The same folder with other weights is another model, also for the cache.
    (folder / "model.safetensors").write_bytes(b"weights")
    second = load_encoder(folder)
    assert first.spec.revision != second.spec.revision
    assert second.spec.revision == load_encoder(folder).spec.revision
    with pytest.raises(EncoderError, match=re.escape("There is no folder ./nothing-here. Expected a model folder")):
        load_encoder("./nothing-here")


def test_a_function():
    encoder = load_encoder(embed, query_function=lambda texts: -embed(texts), normalize=False)
    assert encoder.encode_document(["abc"]).tolist() == [[3, 1]]
    assert encoder.encode_query(["abc"]).tolist() == [[-3, -1]]
    assert str(encoder.spec) == "function/embed (2 dimensions)"


def test_a_function_is_cached_only_under_a_name():
    calls = []

    def counting(texts):
        calls.append(texts)
        return embed(texts)

    for _ in range(2):
        load_encoder(counting).encode_query(["a"])
    assert len(calls) == 2
    for name in ("v1", "v1", "v2"):
        load_encoder(counting, name=name).encode_query(["a"])
    assert len(calls) == 4


def test_a_function_that_gives_nonsense():
    with pytest.raises(EncoderError, match=r"query vectors that function/.* gave are not a matrix of numbers"):
        load_encoder(lambda texts: ["a", "b"]).encode_query(["a"])


def test_an_encoder_passes_through():
    encoder = load_encoder("hashing")
    assert load_encoder(encoder) is encoder
    with pytest.raises(ConfigError, match="batch_size cannot be set on an encoder that exists already"):
        load_encoder(encoder, batch_size=3)


def test_a_strangers_class_without_our_base():
    class Mine:
        spec = EncoderSpec("mine", "v1", dimension=2)

        def encode_query(self, texts):
            return embed(texts)

        encode_document = encode_query

    mine = Mine()
    assert load_encoder(mine) is mine


def test_a_model_object_without_a_spec_is_told_what_to_do():
    class Model:
        def encode_query(self, texts):
            return embed(texts)

    with pytest.raises(EncoderError, match=re.escape("load_encoder(model.encode_document, query_function=")):
        load_encoder(Model())
    with pytest.raises(EncoderError, match=r"Expected a name, a function or an encoder, found int."):
        load_encoder(3)


class Stranger:
    def __init__(self, model="default", *, shout=False):
        self.spec = EncoderSpec("stranger", model.upper() if shout else model, dimension=2)

    def encode_query(self, texts):
        return embed(texts)

    encode_document = encode_query


@pytest.mark.parametrize(("name", "model"), [("stranger/v1", "V1"), ("stranger", "DEFAULT")])
def test_entry_points_of_strangers(monkeypatch, name, model):
    entry = importlib.metadata.EntryPoint("stranger", f"{__name__}:Stranger", "embertune.encoders")
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: Stranger)
    points = importlib.metadata.EntryPoints([entry])
    monkeypatch.setattr("embertune.encoders.registry.entry_points", lambda **wanted: points.select(**wanted))
    encoder = load_encoder(name, shout=True)
    assert isinstance(encoder, Encoder)
    assert encoder.spec.model == model
    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", lambda self: lambda *args: 3)
    with pytest.raises(EncoderError, match="registered as 'stranger', gave a int"):
        load_encoder(name)


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("statik", ' Did you mean "static"?'),
        ("sentence-transformer", ' Did you mean "sentence-transformers"?'),
        ("text-embedding-3-small", ' Did you mean "openai/text-embedding-3-small"?'),
        ("", ""),
        ("zzz", ""),
    ],
)
def test_unknown_names_list_the_forms(name, guess):
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    assert str(caught.value) == f"There is no encoder {name!r}.{guess} Known forms: {', '.join(ENCODER_FORMS)}."


def test_unknown_options_are_errors():
    message = (
        "StaticEncoder has no option 'batchsize'. Did you mean 'batch_size'? Known: batch_size, cache, document_prompt"
    )
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_encoder("static", batchsize=3)


def test_loading_the_package_imports_nothing_heavy():
    code = (
        "import sys; import embertune.encoders; "
        "print([m for m in ('litellm','wordllama','torch','pyarrow','platformdirs','sentence_transformers')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n")


@pytest.mark.parametrize(
    ("name", "has_weights"),
    [
        ("all-MiniLM-L6-v2", True),
        ("sentence-transformers/all-MiniLM-L6-v2", True),
        ("sentence-transformers/BAAI/bge-small-en-v1.5", True),
        ("BAAI/bge-small-en-v1.5", True),
        ("Snowflake/snowflake-arctic-embed-m", True),
        ("jinaai/jina-embeddings-v2-base-en", True),
        ("static-embeddings/english", True),
        ("jina_ai/jina-embeddings-v3", False),
        ("ollama/nomic-embed-text", False),
        ("deepinfra/BAAI/bge-base-en-v1.5", False),
        ("unheard_of/BAAI/bge-base-en-v1.5", False),
        ("static", False),
        ("hashing", False),
        ("model2vec/potion-base-8M", False),
        ("fastembed/BAAI/bge-small-en-v1.5", False),
        ("precomputed:x.npz", False),
        ("x.parquet", False),
        ("./no-such-folder", False),
        ("~/no-such-folder", False),
        ("sentence-transformers/", False),
        ("", False),
    ],
)
def test_weights_that_can_be_trained_are_told_from_other_encoders(name, has_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names_weights(name) is has_weights


def test_a_folder_has_weights_by_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, file, text in (
        ("ollama/mine", "modules.json", "[]"),
        ("vectors", "config.json", '{"model_type": "model2vec"}'),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / file).write_text(text)
    assert names_weights("ollama/mine")
    assert not names_weights("vectors")
    with pytest.raises(EncoderError, match=r"is no model: it holds mine\. Expected modules\.json"):
        names_weights(str(tmp_path / "ollama"))


def test_an_encoder_of_strangers_is_none_of_the_hub(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group, name: [name] if name == "theirs" else [])
    assert not names_weights("theirs/model")
    assert names_weights("others/model")


def test_every_provider_with_a_price_for_embeddings_is_known():
    if find_spec("litellm") is None:
        pytest.skip("LiteLLM is not installed: extra api")
    litellm = import_litellm("The test")
    known = {str(provider.value) for provider in litellm.provider_list}
    priced = {row.get("litellm_provider") for row in litellm.model_cost.values() if row.get("mode") == "embedding"}
    assert len(priced & known) > 10
    assert priced & known <= API_PROVIDERS
    assert API_PROVIDERS.issuperset(api_limits._LIMITS)
