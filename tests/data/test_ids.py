import re

import numpy as np
import pandas
import pytest

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.encoders.encoded import encode_dataset
from embertune.encoders.precomputed import PrecomputedEncoder
from embertune.errors import DataError

CSV = """qid,question,doc_id,answer
faq-7,how old is the bridge,kb/3,It was built in 1900.
faq-8,who built the bridge,kb/1,Anna Berg built it.
faq-9,when was the bridge built,kb/3,It was built in 1900.
"""


def load(tmp_path, text, name="faq.csv", **options):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load_dataset(tmp_path / name, **options)


def test_ids_of_a_table_are_kept(tmp_path):
    data = load(tmp_path, CSV)
    assert data.queries == {
        "faq-7": "how old is the bridge",
        "faq-8": "who built the bridge",
        "faq-9": "when was the bridge built",
    }
    assert data.corpus == {"kb/3": Document("It was built in 1900."), "kb/1": Document("Anna Berg built it.")}
    assert data.qrels == {"faq-7": {"kb/3": 1}, "faq-8": {"kb/1": 1}, "faq-9": {"kb/3": 1}}
    assert data.notes == (
        "Columns: query = 'question', document = 'answer', query id = 'qid', document id = 'doc_id'.",
        "3 lines gave 3 distinct queries and 2 distinct documents (equal texts are one).",
    )


def test_vectors_by_the_same_ids_are_found(tmp_path):
    vectors = np.eye(3, dtype=np.float32)
    np.savez(
        tmp_path / "v.npz",
        queries=vectors,
        query_ids=["faq-9", "faq-8", "faq-7"],
        corpus=vectors[:2],
        corpus_ids=["kb/1", "kb/3"],
    )
    encoded = encode_dataset(PrecomputedEncoder(tmp_path / "v.npz"), load(tmp_path, CSV))
    assert list(encoded.query_ids) == ["faq-7", "faq-8", "faq-9"]
    np.testing.assert_array_equal(encoded.queries, vectors[::-1])
    assert list(encoded.document_ids) == ["kb/3", "kb/1"]
    np.testing.assert_array_equal(encoded.documents, vectors[1::-1])


def test_every_kind_of_table_keeps_them(tmp_path):
    rows = [
        {"query_id": 7, "query": "a", "document_id": 1, "document": "x"},
        {"query_id": 8, "query": "b", "document_id": 2, "document": "y"},
    ]
    frame = pandas.DataFrame(rows)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    expected = Dataset({"1": Document("x"), "2": Document("y")}, {"7": "a", "8": "b"}, {"7": {"1": 1}, "8": {"2": 1}})
    assert load_dataset(frame) == load_dataset(tmp_path / "a.jsonl") == load_dataset(tmp_path / "a.tsv") == expected


def test_of_several_ids_of_one_text_the_first_is_kept(tmp_path):
    data = load(tmp_path, "qid,query,docid,document\n1,a,x,same\n2,b,y,same\n3,a,z,other\n")
    assert (list(data.queries), list(data.corpus)) == (["1", "2"], ["x", "z"])
    assert data.qrels == {"1": {"x": 1, "z": 1}, "2": {"x": 1}}
    assert data.notes[2:] == (
        "1 query stands under more than one id; the first was kept (such as '1', not '3').",
        "1 document stands under more than one id; the first was kept (such as 'x', not 'y').",
    )


CHUNKS = "query,doc_id,chunk\na,manual,first\nb,manual,second\nc,faq,third\n"


def test_ids_of_what_the_texts_were_cut_from_are_no_ids_of_theirs(tmp_path):
    data = load(tmp_path, CHUNKS)
    assert list(data.corpus) == ["d1", "d2", "d3"]
    assert data.notes[2:] == (
        "1 of 2 document ids stand beside more than one text (such as 'manual'), so they were not used and ids were "
        "made up.",
    )


def test_ids_that_the_user_names_must_be_ids(tmp_path):
    message = (
        f"{tmp_path / 'faq.csv'}: 1 of 2 document ids stand beside more than one text (such as 'manual'). Expected one "
        "text for each id. Leave the column out of columns=, and ids are made up."
    )
    with pytest.raises(DataError, match=re.escape(message)):
        load(tmp_path, CHUNKS, columns={"document_id": "doc_id"})


def test_a_column_of_another_name_is_told(tmp_path):
    data = load(tmp_path, "id,query,document\nA,a,x\nB,b,y\n")
    assert list(data.queries) == ["q1", "q2"]
    data = load(tmp_path, "id,query,document\nA,a,x\nB,b,y\n", columns={"query_id": "id"})
    assert list(data.queries) == ["A", "B"]


def test_texts_without_an_id_get_one_that_no_other_has(tmp_path):
    data = load(tmp_path, "query,document,docid,negative\na,x,d2,n\nb,y,,x\nc,z,d1,n\n")
    assert {document.text: key for key, document in data.corpus.items()} == {"x": "d2", "n": "d3", "y": "d4", "z": "d1"}
    assert data.qrels["q2"] == {"d4": 1, "d2": 0}
    assert data.notes[2:] == ("2 documents have no ids of their own and are called otherwise (such as 'd3').",)


def test_numbers_that_a_gap_made_floats_stay_whole():
    frame = pandas.DataFrame({"query": ["a", "b"], "text": ["x", "y"], "doc_id": [17, None]})
    assert list(load_dataset(frame).corpus) == ["17", "d1"]


def test_ids_in_lists(tmp_path):
    frame = pandas.DataFrame({"query": ["a", "b"], "pos": [["x", "y"], ["z", "w"]], "docid": [["1", "2"], "3"]})
    assert {document.text: key for key, document in load_dataset(frame).corpus.items()} == {
        "x": "1",
        "y": "2",
        "z": "d1",
        "w": "d2",
    }
    passages = [
        {"query": "a", "positive_passages": [{"docid": "p", "text": "x"}], "negatives": [{"docid": "n", "text": "y"}]}
    ]
    assert load_dataset(pandas.DataFrame(passages)).qrels == {"q1": {"p": 1, "n": 0}}


def test_parts_share_their_ids(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "train.csv").write_text("qid,query,document\nA,a,x\n")
    (folder / "test.csv").write_text("qid,query,document\nB,b,x\nA,c,y\n")
    data = load_dataset(folder)
    assert list(data.queries) == ["q1", "q2", "q3"]
    assert "1 of 2 query ids stand beside more than one text (such as 'A')" in " ".join(data.notes)


def test_half_an_emoji_in_an_id_can_be_saved(tmp_path):
    data = load(tmp_path, r'{"query": "a", "text": "x", "docid": "k\ud83d"}', "pairs.jsonl")
    data.save(tmp_path / "saved")
    assert list(load_dataset(tmp_path / "saved").corpus) == ["k\ufffd"]
