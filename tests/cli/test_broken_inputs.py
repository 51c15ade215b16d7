"""Broken data sets: each gives one clear paragraph, and nothing that existed before is lost."""

from __future__ import annotations

import json

import numpy as np
import pytest

PAIRS = "query,document\n" + "".join(f"question {n},answer {n}\n" for n in range(12))

# name -> (file, its bytes, what the paragraph must say)
FILES = {
    "an empty CSV": ("pairs.csv", b"", ["pairs.csv is empty", "Expected a header line such as query,document"]),
    "an empty JSONL": ("pairs.jsonl", b"", ["pairs.jsonl is empty", '{"query": "…", "document": "…"}']),
    "an empty JSON": ("pairs.json", b"  \n", ["pairs.json is empty", "Expected JSON"]),
    "a header and no rows": ("pairs.csv", b"query,document\n", ["a header (query,document) and no rows"]),
    "Latin-1": (
        "pairs.csv",
        "query,document\nwhat is it,caf\u00e9\n".encode("latin-1"),
        ["pairs.csv:2: byte 0xe9 is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8 pairs.csv"],
    ),
    "UTF-16": ("pairs.csv", PAIRS.encode("utf-16"), ["pairs.csv:1: this is UTF-16", "iconv -f UTF-16 -t UTF-8"]),
    "UTF-16 without a mark": (
        "pairs.csv",
        PAIRS.encode("utf-16-le"),
        ["pairs.csv:1: this is UTF-16", "iconv -f UTF-16LE -t UTF-8"],
    ),
    "UTF-16, the high byte first": ("p.tsv", PAIRS.encode("utf-16-be"), ["p.tsv:1: this is UTF-16", "-f UTF-16BE"]),
    "a missing column": (
        "pairs.csv",
        b"query,reply_id\na,1\n",
        [
            "found the columns 'query', 'reply_id'",
            "none is recognised as the document",
            '--columns "document=<your column>"',
        ],
    ),
    "a column named twice": ("pairs.csv", b"query,query,document\na,b,c\n", ["'query' stands more than once"]),
    "ragged rows": (
        "pairs.csv",
        b"query,document\na,b\nc,d,e,f\n",
        ["pairs.csv:3: found 4 values for 2 columns", "Put a text that holds the separator in double quotes"],
    ),
    "a quote never closed": (
        "pairs.csv",
        b'query,document\na,b\nc,"d\ne,f\n',
        ["pairs.csv:4", "Is a quote opened and not closed?"],
    ),
    "only empty queries": (
        "pairs.csv",
        b"query,document\n,b\n ,d\n",
        ["found 2 lines, none with both a query and a document"],
    ),
    "a broken JSON line": (
        "pairs.jsonl",
        b'{"query": "a", "document": "b"}\n{"query": "c", "docu\n',
        ["pairs.jsonl:2: broken JSON", "Expected one JSON object a line"],
    ),
    "a JSON line that is a list": (
        "pairs.jsonl",
        b'["a", "b"]\n',
        ["pairs.jsonl:1: found a JSON list", '{"query": "…", "document": "…"}'],
    ),
    "a list where a text belongs": (
        "pairs.jsonl",
        b'{"query": ["a"], "document": "b"}\n',
        ["line 1: column 'query' holds a list", "Expected a text"],
    ),
    "an object that is no data set": (
        "pairs.json",
        b'{"rows": []}',
        ["found an object with the keys 'rows'", "Expected a list of objects"],
    ),
    "JSON Lines called JSON": (
        "pairs.json",
        b'{"query": "a", "document": "b"}\n{"query": "c", "document": "d"}\n',
        ["pairs.json:2: broken JSON", "call it .jsonl"],
    ),
    "JSON nested beyond all measure": ("pairs.json", b"[" * 100_000, ["broken JSON", "too deep"]),
    "a text for a score": (
        "pairs.csv",
        b"query,document,score\na,b,high\n",
        ["line 2: column 'score' holds 'high'", "Expected a number"],
    ),
    "scores that are all 0": (
        "pairs.csv",
        b"query,document,score\na,b,0\nc,d,0\n",
        ["none of the 2 judgements is above 0", "Expected a score above 0"],
    ),
    "no Parquet": ("pairs.parquet", b"PAR1 not really", ["pairs.parquet cannot be read as Parquet"]),
    "an ending that nobody reads": ("pairs.xlsx", b"PK", ["ends in '.xlsx'", "ends in .jsonl, .csv, .tsv, .parquet"]),
    "LlamaIndex's object without documents": (
        "qa.json",
        b'{"queries": {"a": "why?"}, "corpus": {"n": "so"}, "relevant_docs": {"a": []}}',
        ["relevant_docs names no document at all"],
    ),
    "LlamaIndex's object with unknown ids": (
        "qa.json",
        b'{"queries": {"a": "why?"}, "corpus": {"n": "so"}, "relevant_docs": {"a": ["m"]}}',
        ["1 of 1 document ids in the qrels are not in the corpus (such as 'm')"],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file(name, small, fails):
    file, content, says = FILES[name]
    path = small.folder / file
    path.write_bytes(content)
    fails(*small.tune(data=path, encoder="hashing"), says=says)


def test_a_file_that_is_not_there(small, fails):
    (small.folder / "pairs.csv").write_text(PAIRS)
    fails(*small.tune(data=small.folder / "pair.csv"), says=["There is no file or folder", "Did you mean", "pairs.csv"])


def test_a_folder_that_is_not_there(small, fails):
    fails(*small.tune(data=small.folder / "no" / "where"), says=["nor a folder", str(small.folder / "no")])


def test_a_folder_for_a_file(small, fails):
    (small.folder / "pairs.csv").mkdir()
    fails(
        *small.tune(data=small.folder / "pairs.csv"), says=["is a folder that holds nothing", "Expected a BEIR folder"]
    )


def test_a_file_for_a_folder(small, fails):
    path = small.data / "corpus.jsonl" / "x"
    fails(*small.tune(data=path), says=["There is no file or folder", "corpus.jsonl"])


def test_one_file_of_a_beir_folder(small, fails):
    fails(*small.tune(data=small.data / "corpus.jsonl"), says=["is one file of a BEIR folder", str(small.data)])


def test_a_name_longer_than_any_file_system_takes(small, fails):
    fails(*small.tune(data="x" * 300 + ".csv"), says=["xxx", "cannot be read: File name too long. Expected a BEIR"])


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries.jsonl"])
def test_half_a_beir_folder(missing, small, fails):
    (small.data / missing).unlink()
    fails(*small.tune(), says=[f"has no {missing} (it holds", "Expected corpus.jsonl, queries.jsonl and qrels/"])


def test_no_qrels(small, fails):
    (small.data / "qrels" / "test.tsv").unlink()
    (small.data / "qrels").rmdir()
    fails(*small.tune(), says=["has no qrels", "Expected qrels/test.tsv"])


def _qrels(small, text):
    (small.data / "qrels" / "test.tsv").write_text(text)


def test_qrels_that_name_unknown_ids(small, fails):
    _qrels(small, "query-id\tcorpus-id\tscore\nq1\td1\t1\nq7777\td1\t1\nq2\tdoc-9\t1\n")
    fails(
        *small.tune(),
        says=[
            "1 of 3 query ids in the qrels are not in queries.jsonl (such as 'q7777'",
            "1 of 2 document ids in the qrels are not in corpus.jsonl (such as 'doc-9'",
            "add what is missing, or remove those lines",
        ],
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q1\td1\tyes\n", ["test.tsv:1: the last column holds 'yes'", "Expected a number"]),
        ("q1\td1\tnan\n", ["test.tsv:1", "Expected a number"]),
        ("q1\td1\n", ["test.tsv:1: found 2 columns", "Expected 3 (query, document, grade; BEIR)"]),
        ("query-id\tcorpus-id\tscore\n", ["holds no judgement"]),
        ("", ["holds no judgement"]),
        ("q1\td1\t0\nq2\td2\t0\n", ["no judgement has a grade above 0"]),
    ],
)
def test_broken_qrels(text, says, small, fails):
    _qrels(small, text)
    fails(*small.tune(), says=says)


def test_an_id_with_two_texts(small, fails):
    with (small.data / "corpus.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "d3", "text": "another"}) + "\n")
    fails(*small.tune(), says=["corpus.jsonl:121: the id 'd3' stands on an earlier line with another text"])


def test_lines_without_an_id(small, fails):
    (small.data / "queries.jsonl").write_text('{"text": "why?"}\n')
    fails(*small.tune(), says=["queries.jsonl:1: found the keys 'text'", "Expected '_id' and 'text'"])


def test_a_corpus_without_a_text(small, fails):
    (small.data / "corpus.jsonl").write_text('{"_id": "d1", "text": " "}\n')
    fails(*small.tune(), says=["corpus.jsonl holds no documents with text"])


def test_a_query_without_text_is_left_out_and_counted(small, run):
    lines = (small.data / "queries.jsonl").read_text().splitlines()
    lines[5] = json.dumps({"_id": "q5", "text": "  "})
    (small.data / "queries.jsonl").write_text("\n".join(lines))
    outcome = run(*small.tune("--json"))
    assert outcome.code == 0
    record = json.loads(outcome.out)
    assert record["counts"]["train"] + record["counts"]["dev"] + record["counts"]["test"] == 119
    assert "1 query has no text and was left out (such as 'q5')." in record["data"]["notes"]


@pytest.mark.parametrize(("count", "found"), [(1, "1 query"), (9, "9 queries")])
def test_too_few_queries(count, found, small, fails):
    _qrels(small, "".join(f"q{n}\td{n}\t1\n" for n in range(count)))
    fails(
        *small.tune(),
        says=[f"data has {found} with a relevant document; at least 10 are needed", "Add labelled queries"],
    )


def test_all_documents_equal(small, fails):
    rows = (json.dumps({"_id": f"d{n}", "text": "the same"}) + "\n" for n in range(120))
    (small.data / "corpus.jsonl").write_text("".join(rows))
    fails(
        *small.tune(encoder="hashing"),
        says=["data holds 120 documents, all of them with the same vector", "embertune inspect DATA"],
    )


def test_one_document_only(small, fails):
    path = small.folder / "pairs.csv"
    path.write_text("query,document\n" + "".join(f"question {n},the same\n" for n in range(20)))
    fails(
        *small.tune(data=path, encoder="hashing"),
        says=["pairs holds 1 document: there is nothing to tell apart", "embertune inspect DATA"],
    )


def test_all_queries_equal_but_for_their_marks(small, fails):
    path = small.folder / "pairs.csv"
    path.write_text("query,document\n" + "".join(f"why{'?' * n},answer {n}\n" for n in range(20)))
    fails(*small.tune(data=path, encoder="hashing"), says=["20 judged queries in 1 group of equal text"])


def test_a_given_split_that_is_not_there(small, fails):
    fails(*small.tune("--split", "given"), says=["data has no split of its own", "--split by-query"])


def test_a_given_split_without_train(small, fails):
    (small.data / "qrels" / "dev.tsv").write_text("q1\td1\t1\n")
    fails(
        *small.tune("--split", "given"),
        says=["the given split has no train (train 0, dev 0, test 120", "--split by-query"],
    )


def test_a_given_split_with_too_little_to_train_on(small, fails):
    _qrels(small, "".join(f"q{n}\td{n}\t1\n" for n in range(20, 60)))
    (small.data / "qrels" / "train.tsv").write_text("q1\td1\t1\nq2\td2\t1\n")
    fails(*small.tune("--split", "given"), says=["its 2 training queries", "too few", "--split by-query"])


def test_by_document_where_one_component_holds_everything(small, fails):
    _qrels(small, "".join(f"q{n}\td{n}\t1\nq{n}\td0\t1\n" for n in range(1, 120)))
    fails(
        *small.tune("--split", "by-document"),
        says=["they form 1 group that shares no document, the largest of 119", "--split by-query"],
    )


def test_by_document_in_folds_where_one_component_holds_everything(small, fails):
    _qrels(small, "".join(f"q{n}\td0\t1\n" for n in range(40)))
    fails(*small.tune("--split", "by-document"), says=["in 1 group that shares no document cannot fill 5 folds"])


def test_near_copies_are_refused_under_strict(small, fails):
    arrays = small.arrays()
    arrays["queries"][:] = arrays["queries"][np.arange(120) // 2] + 1e-4 * arrays["queries"]
    small.rewrite_vectors(queries=arrays["queries"])
    fails(*small.tune("--strict"), says=["test queries", "a near copy (cosine ≥ 0.95)", "Expected none under --strict"])


def test_columns_that_are_not_there(small, fails):
    path = small.folder / "pairs.csv"
    path.write_text(PAIRS)
    fails(*small.tune("--columns", "query=qestion", data=path), says=["has no column 'qestion'", "'query', 'document'"])


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (["query"], ["--columns takes ROLE=NAME", "found 'query'"]),
        (["qeury=query"], ["the role 'qeury'", "Did you mean 'query'?"]),
        (["query=query", "query=document"], ["2 columns for 'query'. Expected one"]),
    ],
)
def test_columns_that_cannot_be_meant(columns, says, small, fails):
    path = small.folder / "pairs.csv"
    path.write_text(PAIRS)
    fails(*small.tune(*(word for column in columns for word in ("--columns", column)), data=path), says=says)


def test_columns_for_a_beir_folder(small, fails):
    fails(*small.tune("--columns", "query=text"), says=["maps the columns of a table", "is a BEIR folder"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["inspect", "~no-such-user/data"], "nor a folder"),
        (["tune", "DATA", "-e", "~no-such-user/model", "-o", "OUT"], "There is no folder ~no-such-user/model"),
        (
            ["tune", "DATA", "-e", "precomputed:~no-such-user/v.npz", "-o", "OUT"],
            "There is no file ~no-such-user/v.npz",
        ),
        (["compare", "DATA", "-e", "hashing", "-a", "~no-such-user/a"], "~no-such-user/a is not a saved adapter"),
    ],
)
def test_the_home_of_nobody(arguments, says, small, fails):
    places = {"DATA": small.data, "OUT": small.out}
    fails(*(places.get(word, word) for word in arguments), says=[says])
