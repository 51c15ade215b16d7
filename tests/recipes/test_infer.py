"""Cosines of a few texts, against those computed by hand."""

import json
import re

import numpy as np
import pytest

import embertune
from embertune.cli import root
from embertune.errors import ConfigError

TEXTS = ["how do I reset my password", "forgot my password, what now", "opening hours on holidays"]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_texts_are_compared_with_one_another():
    found = embertune.infer("static", TEXTS)
    vectors = unit(embertune.load_encoder("static").encode_query(TEXTS))
    assert np.allclose(found.cosines, vectors @ vectors.T, atol=1e-6)
    lines = str(found).splitlines()
    assert lines[0].split() == ["1", "2", "3"]
    assert [line.split(maxsplit=4)[3:] for line in lines[1:]] == [
        [str(n), text] for n, text in enumerate(TEXTS, start=1)
    ]
    assert np.allclose([[float(cell) for cell in line.split()[:3]] for line in lines[1:]], found.cosines, atol=6e-4)


def test_queries_meet_documents_each_with_its_prompt_nearest_first():
    options = {"query_prompt": "query: ", "document_prompt": "passage: "}
    found = embertune.infer("static", queries=TEXTS[:1], documents=TEXTS[1:], **options)
    encoder = embertune.load_encoder("static", **options)
    wanted = unit(encoder.encode_query(TEXTS[:1])) @ unit(encoder.encode_document(TEXTS[1:])).T
    assert np.allclose(found.cosines, wanted, atol=1e-6)
    assert not np.allclose(found.cosines, embertune.infer("static", TEXTS).cosines[:1, 1:], atol=1e-3)
    lines = str(found).splitlines()
    assert lines[0] == TEXTS[0]
    assert [line[8:] for line in lines[1:]] == [TEXTS[1:][at] for at in np.argsort(-wanted[0])]


def test_an_adapter_stands_behind_its_encoder(tmp_path, capsys):
    encoder = embertune.load_encoder("static")
    queries, documents = encoder.encode_query(TEXTS), encoder.encode_document(TEXTS[::-1])
    adapter = embertune.LinearAdapter(pull=0.01).fit(queries, documents)
    adapter.encoder = encoder.spec.to_dict()
    folder = str(adapter.save(tmp_path / "adapter"))
    arguments = ["infer", "--model", folder, "-q", TEXTS[0], "-d", TEXTS[1], "-d", TEXTS[2], "--json"]
    assert root.main(arguments, standalone_mode=False) in (None, 0)
    told = json.loads(capsys.readouterr().out)
    wanted = unit(adapter.transform(queries[:1])) @ unit(encoder.encode_document(TEXTS[1:])).T
    assert np.allclose(told["cosines"], wanted, atol=1e-5)
    assert told["dimension"] == encoder.spec.dimension
    with pytest.raises(ConfigError, match=r"is an adapter, which has the query_prompt of its encoder\. Leave it out\."):
        embertune.infer(folder, TEXTS, query_prompt="q: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is nothing to compare: 0 texts, 0 queries, 0 documents. Expected two texts or more"),
        (["one"], "There is nothing to compare: 1 texts"),
        (["-q", "one"], "There is nothing to compare: 0 texts, 1 queries, 0 documents."),
        (["one", "two", "-q", "three"], "Texts are compared with one another, queries with documents. Give the one"),
    ],
)
def test_what_cannot_be_compared(arguments, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        root.main(["infer", "--model", "static", *arguments], standalone_mode=False)


def test_a_text_is_no_list_of_letters():
    for given in ({"texts": "ab"}, {"queries": "ab", "documents": ["c"]}, {"queries": ["ab"], "documents": "cd"}):
        with pytest.raises(ConfigError, match=r'a list of texts is expected\. Type: \["text"\]$'):
            embertune.infer("hashing", **given)


def test_options_are_for_an_encoder_that_is_named():
    with pytest.raises(ConfigError, match="query_prompt cannot be set on an encoder that exists already"):
        embertune.infer(embertune.load_encoder("hashing"), TEXTS, query_prompt="q: ")
