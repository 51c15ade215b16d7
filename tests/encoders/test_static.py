from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embertune.encoders import load_encoder, static

TEXTS = [
    "How do I split a list into chunks?",
    "x",
    "Die Straße ist naß.",
    "我们如何将列表拆分",
    "🙂 zero​width",
    "long " * 3000,
    "\x00\x01",
]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("static", cache=False)


def test_vectors_equal_wordllamas_own(encoder):
    import wordllama

    folder = Path(wordllama.__file__).parent
    reference = wordllama.WordLlama.load(cache_dir=folder, disable_download=True).embed(TEXTS, norm=True, batch_size=1)
    np.testing.assert_allclose(encoder.encode_document(TEXTS), reference, atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(encoder):
    together = encoder.encode_document(TEXTS)
    alone = np.concatenate([encoder.encode_document([text]) for text in TEXTS])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(encoder.encode_query(TEXTS[::-1])[::-1], together)


def test_long_texts_are_read_to_their_end(encoder):
    first, second = encoder.encode_query(["long " * 20_000, "long " * 20_000 + "volcano " * 5_000])
    assert first @ second < 0.99


def test_the_spec(encoder):
    assert str(encoder.spec) == "static/wordllama-l2_supercat (256 dimensions)"
    # The same for wordllama 0.3.9 and 0.4.0: an adapter trained with one of them is served with the other.
    assert encoder.spec.revision == "sha256:802fcfe3d21d4d1d"


def test_the_revision_is_that_of_weights_and_tokenizer(tmp_path):
    files = {"weights/l2_supercat_256.safetensors": b"w", "tokenizers/l2_supercat_tokenizer_config.json": b"{}"}

    def revision(**changed):
        for name, content in (files | changed).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return static._revision(tmp_path)

    weights, tokenizer = files
    assert revision() == revision(**{tokenizer: b"{}\n"})
    assert len({revision(), revision(**{weights: b"v"}), revision(**{tokenizer: b"[]"})}) == 3


def test_the_cache_gives_no_vectors_of_other_weights(monkeypatch):
    before = load_encoder("static").encode_query(["split a list"])
    tokenizer, table, _ = static._load()
    monkeypatch.setattr(static, "_load", lambda: (tokenizer, -table, "sha256:another"))
    np.testing.assert_array_equal(load_encoder("static").encode_query(["split a list"]), -before)


def test_loading_leaves_logging_alone_and_needs_no_network(tmp_path):
    code = (
        "import logging, socket\n"
        "def no(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "from embertune.encoders import load_encoder\n"
        "load_encoder('static', cache=False).encode_query(['a'])\n"
        "root = logging.getLogger(); assert (root.handlers, root.level) == ([], logging.WARNING)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert logging.getLogger().level == logging.WARNING
