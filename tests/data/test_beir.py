import csv
import json
import os
import re
import resource
from pathlib import Path

import pytest

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.errors import DataError, StorageError

HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def toy():
    return Dataset(
        corpus={"x": Document('X "text"\n\twith\u2028all', "T"), "ü y": Document("Y"), "z": Document("never judged")},
        queries={"a": "first?", "b": "zweite ü", "c": "nobody judged me", "d": "fourth"},
        qrels={"a": {"x": 1.0, "ü y": 0.0}, "b": {"ü y": 2.0, "z": 0.5}, "d": {"z": -1.0}},
    )


def write(folder: Path, corpus=None, queries=None, **qrels: str) -> Path:
    rows = {"corpus": corpus or [{"_id": "x", "text": "X"}, {"_id": "y", "text": "Y"}]}
    rows["queries"] = queries or [{"_id": "a", "text": "first?"}, {"_id": "b", "text": "second?"}]
    for name, values in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    for name, lines in qrels.items():
        (folder / "qrels").mkdir(exist_ok=True)
        (folder / "qrels" / f"{name}.tsv").write_text(HEADER + lines, encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "parts", [{}, {"a": "train", "b": "dev", "d": "test"}, {"a": "train", "b": "test"}, {"a": "train"}]
)
def test_save_and_load_give_an_equal_data_set(tmp_path, toy, parts):
    data = Dataset(toy.corpus, toy.queries, toy.qrels, parts=parts)
    data.save(tmp_path / "new" / "folder")
    loaded = load_dataset(tmp_path / "new" / "folder")
    assert loaded == data
    assert loaded.fingerprint == data.fingerprint
    assert list(loaded.corpus) == list(data.corpus)
    assert list(loaded.queries) == list(data.queries)
    assert loaded.name == "folder"


def test_ids_with_tabs_and_quotes_come_back(tmp_path):
    data = Dataset({'d\t"1"': Document("X")}, {'"q': "?"}, {'"q': {'d\t"1"': 1.0}})
    data.save(tmp_path)
    assert load_dataset(tmp_path) == data


def test_half_a_surrogate_pair_can_be_written(tmp_path):
    Dataset({"x": Document("a\ud83d")}, {"a": "?"}, {"a": {"x": 1.0}}).save(tmp_path)
    assert load_dataset(tmp_path).corpus["x"].text == "a\ufffd"


def test_files_are_what_the_loader_of_beir_reads(tmp_path):
    Dataset.from_triplets([("a", "x", "y"), ("b", "y", "x")]).save(tmp_path)
    # beir.datasets.data_loader.GenericDataLoader, line by line
    corpus = {}
    with open(tmp_path / "corpus.jsonl", encoding="utf8") as file:
        for line in file:
            row = json.loads(line)
            corpus[row.get("_id")] = {"text": row.get("text"), "title": row.get("title")}
    qrels = {}
    with open(tmp_path / "qrels" / "test.tsv", encoding="utf-8") as file:
        reader = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_MINIMAL)
        next(reader)
        for row in reader:
            qrels.setdefault(row[0], {})[row[1]] = int(row[2])
    assert corpus == {"d1": {"text": "x", "title": ""}, "d2": {"text": "y", "title": ""}}
    assert qrels == {"q1": {"d1": 1, "d2": 0}, "q2": {"d2": 1, "d1": 0}}
    assert sorted(tree(tmp_path)) == ["corpus.jsonl", "qrels/test.tsv", "queries.jsonl"]


def test_saving_over_a_data_set_replaces_it_and_keeps_other_files(tmp_path, toy):
    Dataset(toy.corpus, toy.queries, toy.qrels, parts={"a": "train", "b": "dev", "d": "test"}).save(tmp_path)
    (tmp_path / "vectors.npz").write_bytes(b"mine")
    other = Dataset.from_pairs([("a", "x")])
    other.save(tmp_path)
    assert load_dataset(tmp_path) == other
    assert sorted(tree(tmp_path)) == ["corpus.jsonl", "qrels/test.tsv", "queries.jsonl", "vectors.npz"]


def test_a_full_disk_harms_nothing(tmp_path, toy):
    toy.save(tmp_path)
    before = tree(tmp_path)
    large = Dataset.from_pairs([("a", "x" * 100_000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StorageError, match=re.escape(f"could not be written to {tmp_path}: File too large.")):
            large.save(tmp_path)
        with pytest.raises(StorageError, match="What was there before is unharmed"):
            large.save(tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "qrels", "queries.jsonl"]


def test_a_failure_while_moving_puts_back_what_was_there(tmp_path, toy, monkeypatch):
    toy.save(tmp_path)
    before = tree(tmp_path)
    replace = Path.replace

    def refuse_new_qrels(self, target):
        if self.name == "qrels" and Path(target).parent == tmp_path and self.parent.name.startswith(".unfinished"):
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse_new_qrels)
    with pytest.raises(StorageError, match="Input/output error"):
        Dataset.from_pairs([("a", "x")]).save(tmp_path)
    assert tree(tmp_path) == before


def test_a_file_in_the_way_is_a_clear_error(tmp_path, toy):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match=re.escape(f"could not be written to {tmp_path / 'file'}: File exists.")):
        toy.save(tmp_path / "file")
    with pytest.raises(StorageError, match="Not a directory"):
        toy.save(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_a_clear_error(tmp_path, toy):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        toy.save(tmp_path / "locked")


def test_parts_come_from_the_files(tmp_path):
    data = load_dataset(write(tmp_path, train="a\tx\t1\n", validation="b\ty\t1\n"))
    assert data.parts == {"a": "train", "b": "dev"}


@pytest.mark.parametrize("file", ["qrels/test.tsv", "qrels.tsv", "qrels/all.tsv"])
def test_one_file_of_judgements_is_no_split(tmp_path, file):
    write(tmp_path)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(HEADER + "a\tx\t1\nb\ty\t0\n")
    data = load_dataset(tmp_path)
    assert data.parts == {}
    assert data.qrels == {"a": {"x": 1.0}, "b": {"y": 0.0}}
    assert data.notes == ()


def test_trec_qrels_without_header_are_read(tmp_path):
    write(tmp_path)
    (tmp_path / "qrels.txt").write_text("a 0 x 2\nb Q0 y 1\n")
    assert load_dataset(tmp_path).qrels == {"a": {"x": 2.0}, "b": {"y": 1.0}}


def test_extra_splits_belong_to_no_part(tmp_path):
    data = load_dataset(write(tmp_path, train="a\tx\t1\n", extra="b\ty\t1\n"))
    assert data.parts == {"a": "train"}
    assert data.notes == ("extra.tsv is none of train, dev and test: its queries belong to no part of their own.",)


def test_a_query_in_two_parts_stays_in_test_only(tmp_path):
    data = load_dataset(write(tmp_path, train="a\tx\t1\nb\ty\t1\n", test="a\ty\t1\n"))
    assert data.parts == {"a": "test", "b": "train"}
    assert data.qrels["a"] == {"x": 1.0, "y": 1.0}
    assert data.notes == (
        "1 query stands in the qrels of more than one part (such as 'a'); "
        "each was kept in the last of train, dev, test, with all its judgements.",
    )


def test_texts_and_ids_as_other_tools_write_them(tmp_path):
    corpus = [{"id": 7, "contents": "X", "title": None}, {"docid": "y", "text": "Y", "metadata": {}}]
    data = load_dataset(write(tmp_path, corpus, test="a\t7\t1\n"))
    assert data.corpus == {"7": Document("X"), "y": Document("Y")}


def test_what_has_no_text_is_left_out_and_counted(tmp_path):
    corpus = [
        {"_id": "x", "text": "X"},
        {"_id": "e", "title": "", "text": " "},
        {"_id": "t", "title": "only", "text": ""},
    ]
    queries = [{"_id": "a", "text": "first?"}, {"_id": "b", "text": ""}, {"_id": "c", "text": None}]
    data = load_dataset(write(tmp_path, corpus, queries, test="a\tx\t1\na\te\t1\nb\tx\t1\nc\tt\t1\n"))
    assert (list(data.corpus), list(data.queries), data.qrels) == (["x", "t"], ["a"], {"a": {"x": 1.0}})
    assert data.notes == (
        "1 document has no text and was left out (such as 'e').",
        "2 queries have no text and were left out (such as 'b', 'c').",
        "3 judgements name a query or a document without text and were left out.",
    )


def test_repeated_lines_are_merged_and_contradictions_refused(tmp_path):
    corpus = [{"_id": "x", "text": "X"}, {"_id": "x", "text": "X"}]
    data = load_dataset(write(tmp_path, corpus, test="a\tx\t1\na\tx\t2\n"))
    assert data.qrels == {"a": {"x": 2.0}}
    assert data.notes == (
        "1 line of corpus.jsonl repeats an earlier one and was merged.",
        "1 line of test.tsv judges a pair again; the higher grade was kept (such as line 3).",
    )
    write(tmp_path, [*corpus, {"_id": "x", "text": "other"}], test="a\tx\t1\n")
    message = f"{tmp_path}/corpus.jsonl:3: the id 'x' stands on an earlier line with another text."
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(tmp_path)


def test_ids_that_match_nothing_are_named(tmp_path):
    write(tmp_path, test="a\tx\t1\na\tn1\t1\nb\tn2\t1\nz\ty\t1\n")
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: 1 of 3 query ids in the qrels are not in queries.jsonl "
        "(such as 'z'; queries.jsonl has 'a', 'b'); "
        "and 2 of 4 document ids in the qrels are not in corpus.jsonl (such as 'n1', 'n2'; corpus.jsonl has 'x', 'y'). "
        "Expected every id of the qrels in both files: add what is missing, or remove those lines of the qrels."
    )


def test_missing_pieces_are_named(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path} has no qrels: which document answers which query")):
        load_dataset(tmp_path)
    (tmp_path / "queries.jsonl").unlink()
    with pytest.raises(DataError, match=re.escape(f"{tmp_path} has no queries.jsonl (it holds corpus.jsonl).")):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "X"}, "corpus.jsonl:1: found the keys 'text'. Expected '_id' and 'text' (and 'title')."),
        ({"_id": "", "text": "X"}, "corpus.jsonl:1: the id is empty."),
        ({"_id": "x", "text": ["X"]}, "corpus.jsonl:1: the text holds a list (['X']). Expected a text."),
        ({"_id": "x", "text": ""}, "corpus.jsonl holds no documents with text."),
    ],
)
def test_broken_documents(tmp_path, row, message):
    with pytest.raises(DataError, match=re.escape(message)):
        load_dataset(write(tmp_path, [row], test="a\tx\t1\n"))


def test_no_grade_above_zero(tmp_path):
    with pytest.raises(DataError, match=re.escape("no judgement has a grade above 0")):
        load_dataset(write(tmp_path, test="a\tx\t0\n"))
