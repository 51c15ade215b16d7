import json
import re

import numpy as np
import pandas
import pytest

from embertune.data.dataset import Dataset, Document
from embertune.data.io import load_dataset
from embertune.errors import DataError


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "qrels"),
    [
        ([{"query": "a", "document": "x"}, {"query": "b", "document": "y"}], {"q1": {"d1": 1}, "q2": {"d2": 1}}),
        ([{"query": "a", "positive": "x", "negative": "y"}], {"q1": {"d1": 1, "d2": 0}}),
        (
            [{"doc1": "a", "doc2": "x", "similarity": 0.7}, {"doc1": "a", "doc2": "y", "similarity": 0}],
            {"q1": {"d1": 0.7, "d2": 0}},
        ),
        ([{"query": "a", "pos": ["x", "y"], "neg": ["z"], "pos_scores": [-3, 2]}], {"q1": {"d1": 1, "d2": 1, "d3": 0}}),
        ([{"anchor": "a", "positive": "x", "negative_1": "y", "negative_2": None}], {"q1": {"d1": 1, "d2": 0}}),
        (
            [{"text_1": "a", "text_2": "x", "label": 1}, {"text_1": "a", "text_2": "y", "label": -1}],
            {"q1": {"d1": 1, "d2": -1}},
        ),
        ([{"query": "a", "positive_passages": [{"docid": "7", "title": "", "text": "x"}]}], {"q1": {"7": 1}}),
    ],
)
def test_shapes_of_jsonl(tmp_path, rows, qrels):
    data = load_dataset(write(tmp_path / "pairs.jsonl", rows))
    assert data.qrels == qrels
    assert data.name == "pairs"
    as_list = tmp_path / "pairs.json"
    as_list.write_text(json.dumps(rows))
    assert load_dataset(as_list) == data
    assert load_dataset(pandas.DataFrame(rows)) == data


def test_columns_are_told_and_names_are_kept(tmp_path):
    path = write(tmp_path / "faq.csv", "id,Question,Titel,Text\n1,a,T,x\n")
    data = load_dataset(path, columns={"title": "Titel"}, name="my faq")
    assert data.name == "my faq"
    assert data.corpus == {"d1": Document("x", "T")}
    assert data.notes[0] == "Columns: query = 'Question', document = 'Text', title = 'Titel'; not used: 'id'."


def test_rows_of_different_keys_are_read_together(tmp_path):
    rows = [{"query": "a", "document": "x"}, {"query": "b", "document": "y", "negative": "x"}, {"query": "c"}]
    data = load_dataset(write(tmp_path / "pairs.jsonl", rows))
    assert data.qrels == {"q1": {"d1": 1.0}, "q2": {"d2": 1.0, "d1": 0.0}}
    assert data.notes[2] == "1 line has no query or no document and was skipped (line 3)."


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_as_programs_write_it(tmp_path, bom, end, separator):
    lines = [["query", "document"], ["größe?", '"two\nlines; and, ""quotes"""'], ["b", "y"], [], ["", "y"]]
    text = end.join(separator.join(line) for line in lines)
    data = load_dataset(write(tmp_path / ("pairs.tsv" if separator == "\t" else "pairs.csv"), bom + text.encode()))
    assert data.queries == {"q1": "größe?", "q2": "b"}
    assert data.corpus["d1"].text == 'two\nlines; and, "quotes"'
    assert data.notes[2] == "1 line has no query or no document and was skipped (line 6)."


def test_bare_quotes_in_tsv(tmp_path):
    data = load_dataset(write(tmp_path / "pairs.tsv", 'query\tdocument\n"so" he said\tx\n5" disk\t"open\n'))
    assert data.queries == {"q1": '"so" he said', "q2": '5" disk'}
    assert data.corpus["d2"].text == '"open'


def test_long_fields_of_csv(tmp_path):
    import csv

    before = csv.field_size_limit()
    data = load_dataset(write(tmp_path / "pairs.csv", "query,document\na," + "x" * 200_000 + "\n"))
    assert len(data.corpus["d1"].text) == 200_000
    assert csv.field_size_limit() == before


def test_json_may_hold_line_separators(tmp_path):
    data = load_dataset(write(tmp_path / "pairs.jsonl", [{"query": "a\u2028b", "document": "x\x85y"}]))
    assert data.queries == {"q1": "a\u2028b"}


def test_parquet(tmp_path):
    frame = pandas.DataFrame({"query": ["a", "b"], "pos": [["x", "y"], ["z"]], "neg": [["z"], []]})
    frame.to_parquet(tmp_path / "pairs.parquet")
    data = load_dataset(tmp_path / "pairs.parquet")
    assert data.qrels == {"q1": {"d1": 1.0, "d2": 1.0, "d3": 0.0}, "q2": {"d3": 1.0}}
    assert data.name == "pairs"


def test_cells_of_numpy_arrays():
    frame = pandas.DataFrame({"query": ["a"], "pos": [np.array(["x", "y"], dtype=object)]})
    assert load_dataset(frame).qrels == {"q1": {"d1": 1.0, "d2": 1.0}}


def test_things_with_column_names_are_read_like_hugging_face_data_sets():
    class Rows:
        column_names = ("question", "context")

        def __getitem__(self, name):
            return {"question": ["a"], "context": ["x"]}[name]

    assert load_dataset(Rows()).corpus == {"d1": Document("x")}


def test_a_folder_of_train_and_test_files(tmp_path):
    write(
        tmp_path / "train.jsonl",
        [{"query": "a", "document": "x"}, {"query": "b", "document": "y"}, {"query": "", "document": "y"}],
    )
    write(tmp_path / "validation.csv", "query,document\nc,x\n")
    write(tmp_path / "test.jsonl", [{"query": "b", "document": "z"}])
    write(tmp_path / "README.md", "notes")
    data = load_dataset(tmp_path)
    assert data.parts == {"q1": "train", "q2": "test", "q3": "dev"}
    assert data.qrels["q2"] == {"d2": 1.0, "d3": 1.0}
    assert data.notes == (
        "Columns: query = 'query', document = 'document'.",
        "5 lines gave 3 distinct queries and 3 distinct documents (equal texts are one).",
        "1 line has no query or no document and was skipped (line 3 of train).",
        "1 query occurs in more than one part and was kept in the last of train, dev, test.",
    )


def test_llama_index(tmp_path):
    value = {
        "queries": {"u1": "a", "u2": "b", "u3": ""},
        "corpus": {"n1": "x", "n2": "y", "n3": " "},
        "relevant_docs": {"u1": ["n1", "n2"], "u2": ["n2", "n2", "n3"], "u3": ["n1"]},
        "mode": "text",
    }
    path = tmp_path / "qa.json"
    path.write_text(json.dumps(value))
    data = load_dataset(path)
    assert data.qrels == {"u1": {"n1": 1.0, "n2": 1.0}, "u2": {"n2": 1.0}}
    assert (list(data.queries), list(data.corpus)) == (["u1", "u2"], ["n1", "n2"])
    assert data.notes == (
        "1 document has no text and was left out (such as 'n3').",
        "1 query has no text and was left out (such as 'u3').",
        "3 entries of relevant_docs repeat another or name a text that is empty, and were left out.",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "image"}, ": mode is 'image'. Expected 'text'; images have no text to embed."),
        ({"queries": ["a"]}, ": queries is a list. Expected an object from ids."),
        ({"relevant_docs": {"u1": "n1"}}, ": relevant_docs['u1'] is a str. Expected a list of ids."),
        ({"relevant_docs": {"u1": [["n1"]]}}, ": relevant_docs['u1']: an id holds a list (['n1']). Expected a text."),
        ({"relevant_docs": {}}, ": relevant_docs names no document at all."),
        ({"corpus": {"n1": {"text": "x"}}}, ": corpus['n1'] holds a dict"),
    ],
)
def test_broken_llama_index(tmp_path, change, message):
    path = tmp_path / "qa.json"
    path.write_text(
        json.dumps({"queries": {"u1": "a"}, "corpus": {"n1": "x"}, "relevant_docs": {"u1": ["n1"]}} | change)
    )
    with pytest.raises(DataError, match=re.escape(str(path) + message)):
        load_dataset(path)


def test_llama_index_ids_with_half_an_emoji_can_be_saved(tmp_path):
    path = tmp_path / "qa.json"
    value = {"queries": {"q\ud83d": "a"}, "corpus": {"n\ud83d": "x"}, "relevant_docs": {"q\ud83d": ["n\ud83d"]}}
    path.write_text(json.dumps(value))
    data = load_dataset(path)
    assert data.qrels == {"q\ufffd": {"n\ufffd": 1.0}}
    data.save(tmp_path / "saved")
    assert load_dataset(tmp_path / "saved") == data


@pytest.mark.parametrize("field", ["queries", "corpus"])
def test_llama_index_ids_that_only_their_halves_tell_apart_are_refused(tmp_path, field):
    path = tmp_path / "qa.json"
    value = {"queries": {"u1": "a"}, "corpus": {"n1": "x"}, "relevant_docs": {"u1": ["n1"]}}
    path.write_text(json.dumps(value | {field: dict.fromkeys(("\ud83d", "\ud83e"), "text")}))
    with pytest.raises(DataError, match=re.escape(f"{path}: {field} has more than one id '\ufffd' once broken")):
        load_dataset(path)


@pytest.mark.parametrize(("field", "value"), [("queries", {"": "a"}), ("relevant_docs", {"u1": [None]})])
def test_llama_index_with_an_empty_id(tmp_path, field, value):
    path = tmp_path / "qa.json"
    good = {"queries": {"u1": "a"}, "corpus": {"n1": "x"}, "relevant_docs": {"u1": ["n1"]}}
    path.write_text(json.dumps(good | {field: value}))
    with pytest.raises(DataError, match=r"is empty\. Expected a text or a number\."):
        load_dataset(path)


def test_llama_index_ids_that_are_numbers_name_empty_texts_too(tmp_path):
    path = tmp_path / "qa.json"
    path.write_text(json.dumps({"queries": {"1": "a"}, "corpus": {"2": "x", "3": ""}, "relevant_docs": {"1": [2, 3]}}))
    assert load_dataset(path).qrels == {"1": {"2": 1.0}}


def test_llama_index_with_ids_that_match_nothing(tmp_path):
    path = tmp_path / "qa.json"
    path.write_text(json.dumps({"queries": {"u1": "a"}, "corpus": {"n1": "x"}, "relevant_docs": {"u1": ["m1"]}}))
    with pytest.raises(
        DataError, match=re.escape("1 of 1 document ids in the qrels are not in the corpus (such as 'm1')")
    ):
        load_dataset(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", " is empty. Expected rows such as"),
        ("a.jsonl", "\n \n", " is empty. Expected rows such as"),
        ("a.csv", "", " is empty. Expected a header line such as query,document"),
        ("a.csv", "query,document\n", " has a header (query,document) and no rows."),
        ("a.json", "", " is empty. Expected JSON."),
        ("a.jsonl", '{"query": "a", "document": "x"}\n{"query": "b", \n', ":2: broken JSON (Expecting property name"),
        ("a.jsonl", '["a", "x"]\n', ':1: found a JSON list: ["a", "x"] Expected one JSON object a line'),
        ("a.json", '[{"query": "a",}]', ":1: broken JSON ("),
        (
            "a.json",
            '{"query": "a", "document": "x"}\n{"query": "b"}',
            ":2: broken JSON (Extra data at column 1). If it holds one object a line,",
        ),
        (
            "a.json",
            '{"query": "a", "document": "x"}',
            ": found an object with the keys 'query', 'document'. Expected a list of objects",
        ),
        ("a.json", '[{"query": "a"}, 3]', ": item 2 is a int. Expected an object"),
        ("a.csv", "query,document\na,größe\n".encode("latin-1"), ":2: byte 0xf6 is not UTF-8. Save the file as UTF-8"),
        ("a.csv", "query,document\na,b\n".encode("utf-16"), ":1: this is UTF-16, not UTF-8 (Excel's 'Unicode text')."),
        ("a.csv", "query,document\na,b,c\n", ":2: found 3 values for 2 columns ('query', 'document'). Put a text"),
        ("a.csv", 'query,document\na,b\n"c,d\ne,f\n', ":4: unexpected end of data. Is a quote opened and not closed?"),
        ("a.csv", "query,query,text\na,b,c\n", ": the column 'query' stands more than once in the header."),
        ("a.csv", "frage,antwort\na,b\n", ": found the columns 'frage', 'antwort'; none is recognised as"),
        ("a.csv", "query,document\n,b\na,\n", ": found 2 rows"),
        ("a.csv", "query,document,score\na,b,much\n", " line 2: column 'score' holds 'much'. Expected a number"),
        (
            "a.jsonl",
            '{"query": {"x": 1}, "document": "b"}\n',
            " line 1: column 'query' holds a dict ({'x': 1}). Expected a text.",
        ),
        ("a.parquet", "no parquet", " cannot be read as Parquet ("),
        ("a.xlsx", "x", " ends in '.xlsx', which is not a kind of file that is read. Expected a BEIR folder"),
        ("a", "x", " ends in 'nothing', which is not a kind of file that is read."),
    ],
)
def test_broken_files_name_file_and_line(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    assert str(caught.value).startswith(f"{path}{message.replace('2 rows', '2 lines')}")


def test_what_is_not_there_is_named_with_its_neighbour(tmp_path):
    write(tmp_path / "pairs.csv", "query,document\na,x\n")
    with pytest.raises(
        DataError,
        match=re.escape(f"There is no file or folder {tmp_path}/pair.csv. Did you mean {tmp_path}/pairs.csv?"),
    ):
        load_dataset(tmp_path / "pair.csv")
    with pytest.raises(
        DataError, match=re.escape(f"There is no file or folder {tmp_path}/n/m.csv, nor a folder {tmp_path}/n.")
    ):
        load_dataset(tmp_path / "n" / "m.csv")


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(
        DataError, match=re.escape(f"{tmp_path} is a folder that holds nothing. Expected a BEIR folder")
    ):
        load_dataset(tmp_path)
    write(tmp_path / "notes.txt", "x")
    with pytest.raises(DataError, match=re.escape("is a folder that holds notes.txt.")):
        load_dataset(tmp_path)
    (tmp_path / "pairs.csv").mkdir()
    with pytest.raises(DataError, match=re.escape("pairs.csv is a folder that holds nothing.")):
        load_dataset(tmp_path / "pairs.csv")


def test_one_file_of_a_beir_folder_points_to_the_folder(tmp_path):
    Dataset.from_pairs([("a", "x")]).save(tmp_path)
    with pytest.raises(DataError, match=re.escape(f"Load the folder: load_dataset('{tmp_path}')")):
        load_dataset(tmp_path / "corpus.jsonl")
    with pytest.raises(DataError, match="columns= maps the columns of a table"):
        load_dataset(tmp_path, columns={"query": "text"})


def test_things_that_are_no_source():
    with pytest.raises(DataError, match=re.escape("Found a list. Expected a BEIR folder")):
        load_dataset([("a", "x")])
    data = Dataset.from_pairs([("a", "x")])
    assert load_dataset(data) is data


def test_a_path_that_the_system_refuses():
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("x" * 5000)
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset("a\0b")


def test_a_list_of_labels_grades_a_list_of_documents(tmp_path):
    path = tmp_path / "listed.jsonl"
    path.write_text('{"query": "a", "documents": ["x", "y", "z"], "labels": [1, 0, 0.5]}\n', encoding="utf-8")
    assert load_dataset(path).qrels == {"q1": {"d1": 1.0, "d2": 0.0, "d3": 0.5}}
    path.write_text('{"query": "a", "documents": ["x", "y", "z"], "labels": [1, 0]}\n', encoding="utf-8")
    message = f"{path} line 1: column 'labels' holds 2 grades for 3 documents. Expected one for each."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_dataset(path)
