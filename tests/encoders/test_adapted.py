import re
import shlex
from dataclasses import replace

import numpy as np
import pytest

from embertune.adapters import IdentityAdapter, LinearAdapter
from embertune.data.dataset import Dataset
from embertune.encoders.adapted import AdaptedEncoder, check_adapter_fits
from embertune.encoders.base import Encoder
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError, DataError

SPEC = EncoderSpec("acme", "m-1", revision="r1", dimension=64, query_prompt="q: ")
TEXTS = ["how do I split a list", "how do I open a file", "what is a dict", "sum of numbers"]


def fitted(spec=SPEC, side="both"):
    vectors = HashingEncoder(cache=False).encode_document(TEXTS)
    adapter = LinearAdapter(side, pull=0.01).fit(vectors, vectors[::-1])
    adapter.encoder = spec.to_dict()
    return adapter


FIX = (
    "Load it with: embertune.load_encoder('acme/m-1', query_prompt='q: ') | adapter, on the command line with: "
    '--encoder acme/m-1 --query-prompt "q: "'
)
SHORTER = FIX.replace("'acme/m-1'", "'acme/m-1', dimensions=64").replace("acme/m-1 -", "acme/m-1 --dimensions 64 -")


@pytest.mark.parametrize(
    ("change", "shown", "difference"),
    [
        ({"provider": "other"}, "other/m-1 (64 dimensions)", "provider 'acme' here, 'other' there"),
        ({"model": "m-2"}, "acme/m-2 (64 dimensions)", "model 'm-1' here, 'm-2' there"),
        ({"revision": "r2"}, "acme/m-1 (64 dimensions)", "revision 'r1' here, 'r2' there"),
        ({"dimension": 32}, "acme/m-1 (32 dimensions)", "dimension 64 here, 32 there"),
        ({"query_prompt": ""}, "acme/m-1 (64 dimensions)", "query_prompt 'q: ' here, '' there"),
        ({"document_prompt": "d: "}, "acme/m-1 (64 dimensions)", "document_prompt '' here, 'd: ' there"),
        ({"normalized": False}, "acme/m-1 (64 dimensions)", "normalized True here, False there"),
    ],
)
def test_every_field_of_the_encoder_must_be_the_same(change, shown, difference):
    fix = SHORTER if "dimension" in change else FIX
    expected = (
        f"my-adapter was trained on acme/m-1 (64 dimensions); this encoder is {shown}: {difference} "
        f"(here: the adapter, there: the encoder). {fix}"
    )
    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        check_adapter_fits(fitted(), replace(SPEC, **change), "my-adapter")


def test_the_same_encoder_passes_and_so_does_what_it_does_not_know():
    for spec in (SPEC, replace(SPEC, revision=None), replace(SPEC, dimension=None)):
        check_adapter_fits(fitted(), spec)


def test_every_difference_is_named_at_once():
    with pytest.raises(ArtifactError, match=re.escape("model 'm-1' here, 'm-2' there; dimension 64 here, 8 there (")):
        check_adapter_fits(fitted(), replace(SPEC, model="m-2", dimension=8))


@pytest.mark.parametrize(
    ("spec", "fix"),
    [
        (
            replace(SPEC, document_prompt="d: ", normalized=False),
            "embertune.load_encoder('acme/m-1', query_prompt='q: ', document_prompt='d: ', normalize=False) | adapter",
        ),
        (
            EncoderSpec("static", "wordllama-l2_supercat", dimension=64),
            "embertune.load_encoder('static') | adapter, on the command line with: --encoder static",
        ),
        (
            EncoderSpec("precomputed", "my-model", dimension=64),
            'embertune.load_encoder("precomputed:FILE", name="my-model") or --encoder-name "my-model".',
        ),
        (
            EncoderSpec("sentence-transformers", "a/b", "main", dimension=64),
            "embertune.load_encoder('sentence-transformers/a/b', revision='main') | adapter, on the command line with: "
            "--encoder sentence-transformers/a/b",
        ),
        (
            EncoderSpec("sentence-transformers", "mine", "sha256:12", dimension=64),
            "It was trained with a model folder called mine, whose files had the hash sha256:12.",
        ),
        (EncoderSpec("function", "mine", dimension=64), 'embertune.load_encoder(FUNCTION, name="mine").'),
    ],
)
def test_the_fix_is_the_line_to_type(spec, fix):
    with pytest.raises(ArtifactError, match=re.escape(fix) + "$"):
        check_adapter_fits(fitted(spec), EncoderSpec("hashing", "trigrams-64", dimension=64))


COMMAND = "on the command line with: "


@pytest.mark.parametrize(
    ("prompt", "quoted"),
    [("q: ", '"q: "'), ("what's\tthis", '"what\'s\tthis"'), ('say "q"', "'say \"q\"'"), ("costs $1\n", "'costs $1\n'")],
)
def test_the_line_for_the_shell_is_read_by_it_as_it_was(prompt, quoted):
    with pytest.raises(ArtifactError) as caught:
        check_adapter_fits(fitted(replace(SPEC, query_prompt=prompt)), replace(SPEC, query_prompt=""))
    command = str(caught.value).partition(COMMAND)[2]
    assert command == f"--encoder acme/m-1 --query-prompt {quoted}"
    assert shlex.split(command) == ["--encoder", "acme/m-1", "--query-prompt", prompt]


def test_the_prompt_of_the_model_itself_is_taken_away_where_training_had_none():
    trained = EncoderSpec("sentence-transformers", "a/b", dimension=64)
    fix = "load_encoder('sentence-transformers/a/b', query_prompt='') | adapter, on the command line with: --encoder "
    with pytest.raises(ArtifactError, match=re.escape(f'{fix}sentence-transformers/a/b --query-prompt ""') + "$"):
        check_adapter_fits(fitted(trained), replace(trained, query_prompt="query: "))


OLD, NEW = "0" * 39 + "a", "0" * 39 + "b"


@pytest.mark.parametrize(
    ("name", "old", "new", "fix"),
    [
        (
            "static/wordllama-l2_supercat",
            "sha256:12",
            "sha256:34",
            "Install the wordllama that it was trained with, or train it again on these weights.",
        ),
        (
            "model2vec/a/b",
            OLD,
            NEW,
            # The command line has no --revision.
            f"Load it with: embertune.load_encoder('model2vec/a/b', revision='{OLD}') | adapter",
        ),
        (
            "fastembed/a/b",
            OLD,
            NEW,
            "Load it from a folder that holds the files of that revision: "
            "embertune.load_encoder('fastembed/a/b', path=FOLDER) | adapter",
        ),
    ],
)
def test_other_weights_under_the_same_name_are_refused(name, old, new, fix):
    provider, _, model = name.partition("/")
    trained = EncoderSpec(provider, model, old, 64)
    expected = (
        f"mine was trained on {name} (64 dimensions); this encoder is {name} (64 dimensions): revision {old!r} here, "
        f"{new!r} there (here: the adapter, there: the encoder). {fix}"
    )
    with pytest.raises(ArtifactError, match=f"^{re.escape(expected)}$"):
        check_adapter_fits(fitted(trained), replace(trained, revision=new), "mine")
    # An adapter of an earlier version did not know its weights, and is still served.
    check_adapter_fits(fitted(replace(trained, revision=None)), trained)


def test_an_adapter_that_knows_no_encoder_is_checked_by_dimension():
    adapter = fitted()
    adapter.encoder = None
    check_adapter_fits(adapter, EncoderSpec("any", "model", dimension=64))
    message = (
        "This adapter takes 64 dimensions; this encoder, any/model (8 dimensions), gives 8. "
        "Use the encoder that it was fitted on."
    )
    with pytest.raises(ArtifactError, match=re.escape(message)):
        check_adapter_fits(adapter, EncoderSpec("any", "model", dimension=8))


def test_a_specification_that_cannot_be_read_is_a_damaged_adapter():
    adapter = fitted()
    adapter.encoder = {"provider": "acme"}
    with pytest.raises(ArtifactError, match=re.escape("mine is damaged: the encoder's 'model' is missing. Save")):
        check_adapter_fits(adapter, SPEC, "mine")


def test_the_identity_passes_bit_for_bit():
    encoder = HashingEncoder()
    adapted = AdaptedEncoder(encoder, IdentityAdapter())
    assert adapted.encode_query(TEXTS).tobytes() == encoder.encode_query(TEXTS).tobytes()
    assert adapted.encode_document(TEXTS).tobytes() == encoder.encode_document(TEXTS).tobytes()
    assert adapted.spec == encoder.spec


def test_a_served_query_equals_transform():
    encoder = HashingEncoder()
    adapter = fitted(encoder.spec)
    adapted = encoder | adapter
    assert isinstance(adapted, Encoder)
    for side, encode in (("query", encoder.encode_query), ("document", encoder.encode_document)):
        served = adapted.encode_query(TEXTS) if side == "query" else adapted.encode_document(TEXTS)
        assert served.tobytes() == adapter.transform(encode(TEXTS), side).tobytes()
    assert not np.allclose(adapted.encode_query(TEXTS), encoder.encode_query(TEXTS), atol=1e-3)


def test_a_data_set_is_encoded_as_it_is_served():
    data = Dataset.from_pairs(zip(TEXTS, TEXTS[::-1], strict=True))
    adapted = HashingEncoder() | fitted(HashingEncoder().spec)
    encoded = encode_dataset(adapted, data)
    np.testing.assert_allclose(encoded.queries, adapted.encode_query(TEXTS), atol=1e-6)
    np.testing.assert_allclose(encoded.documents, adapted.encode_document(TEXTS[::-1]), atol=1e-6)


def test_precomputed_vectors_are_adapted_by_id(tmp_path):
    data = Dataset.from_pairs(zip(TEXTS, TEXTS[::-1], strict=True))
    vectors = HashingEncoder(cache=False).encode_document(TEXTS)
    np.savez(
        tmp_path / "v.npz",
        corpus=vectors[::-1],
        queries=vectors,
        corpus_ids=list(data.corpus),
        query_ids=list(data.queries),
    )
    encoder = PrecomputedEncoder(tmp_path / "v.npz", name="mine")
    adapter = fitted(encoder.spec)
    encoded = encode_dataset(encoder | adapter, data)
    np.testing.assert_allclose(encoded.queries, adapter.transform(vectors), atol=1e-6)
    np.testing.assert_allclose(encoded.documents, adapter.transform(vectors[::-1], "document"), atol=1e-6)


class Late:
    """An encoder that tells its dimension only after the first text, as APIs do."""

    def __init__(self, dimension):
        self.dimension = dimension
        self.spec = replace(SPEC, dimension=None)

    def encode_query(self, texts):
        self.spec = replace(SPEC, dimension=self.dimension)
        return np.ones((len(texts), self.dimension), dtype=np.float32)

    encode_document = encode_query


def test_a_dimension_that_shows_late_is_still_refused():
    assert AdaptedEncoder(Late(64), fitted()).encode_query(["a"]).shape == (1, 64)
    adapted = AdaptedEncoder(Late(32), fitted(), "my-adapter")
    with pytest.raises(ArtifactError, match=re.escape("my-adapter was trained on acme/m-1 (64 dimensions); this")):
        adapted.encode_query(["a"])


def test_vectors_of_another_length_than_promised_are_refused():
    encoder = Late(32)
    encoder.encode_query = lambda texts: np.ones((len(texts), 32), dtype=np.float32)
    with pytest.raises(DataError, match="These embeddings have 32 dimensions; this adapter was fitted on 64"):
        AdaptedEncoder(encoder, fitted()).encode_query(["a"])
