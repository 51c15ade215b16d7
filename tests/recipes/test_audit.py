"""Planted wrong and missing labels are found; verdicts go back into the data; the effect is measured."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from embertune.core.random import generator
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.data.verdicts import Verdict, apply_verdicts, read_verdicts
from embertune.encoders.scorers import load_scorer
from embertune.errors import ConfigError, DataError
from embertune.recipes.audit import apply_audit, audit

FINANCE = Path(__file__).parents[3] / "shared" / "data" / "finance10k-lyft"


@pytest.fixture
def planted():
    """40 questions, of which two are labelled with the answer of another; and one answer without its label."""
    words = [f"{kind}{at}" for kind in ("cat", "dog", "owl", "fox") for at in range(10)]
    pairs = [[f"where does {word} live", f"{word} lives in the woods"] for word in words]
    pairs[3][1], pairs[17][1] = pairs[17][1], pairs[3][1]
    data = Dataset.from_pairs([*map(tuple, pairs), ("where does cat5 live", "cat5 resides there")])
    qrels = {query: dict(grades) for query, grades in data.qrels.items()}
    del qrels["q6"]["d41"]
    return replace(data, qrels=qrels)


def answers(query, document):
    return float(query.split()[2] in document.split())


def test_planted_labels_stand_first_and_a_judge_mends_them(planted):
    found = audit(planted, "hashing", judge=answers)
    wrong = [suspect for suspect in found.suspects.found if suspect.kind == "wrong"]
    assert {(one.query_id, one.document_id) for one in wrong[:2]} == {("q4", "d4"), ("q18", "d18")}
    assert {(one.query_id, one.other_id) for one in wrong[:2]} == {("q4", "d18"), ("q18", "d4")}
    mended = found.apply()
    assert (mended.removed, mended.lost) == (2, ())
    assert mended.dataset.positives("q4") == ["d18"]
    assert mended.dataset.positives("q6") == ["d6", "d41"]
    assert planted.positives("q4") == ["d4"], "what was audited stays as it is"


def test_an_unlabelled_copy_of_an_answer_is_a_missing_label():
    pairs = [(f"what is {word}", f"{word} is a kind of word") for word in ("alpha", "beta", "gamma", "delta")]
    data = Dataset.from_pairs([*pairs, ("another question", "Alpha is a kind of word!")])
    missing = [one for one in audit(data, "hashing").suspects.found if one.is_copy]
    assert [(one.query_id, one.document_id, one.other_id) for one in missing] == [
        ("q1", "d5", "d1"),
        ("q5", "d1", "d5"),
    ]
    assert missing[0].why.startswith("nearly equal to the labelled d1; not labelled, and at rank ")


def test_the_file_is_filled_in_and_applied(planted, tmp_path):
    path = audit(planted, "hashing", limit=4).save(tmp_path / "sheet.csv")
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        assert row["verdict"] == ""
        row["verdict"] = "yes" if answers(row["query"], row["document"]) else "No"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = apply_audit(planted, path, "hashing")
    assert done.applied.removed == 2
    assert done.effect.overall.n == 40
    assert done.effect.overall.tuned["mrr@10"] > done.effect.overall.base["mrr@10"]
    assert str(done).startswith("2 answers added, 2 wrong labels removed, 0 documents judged not relevant, ")


def test_jsonl_holds_the_same_rows(planted, tmp_path):
    found = audit(planted, "hashing", limit=4, judge=answers)
    lines = [json.loads(line) for line in found.save(tmp_path / "sheet.jsonl").read_text().splitlines()]
    assert [line["document_id"] for line in lines] == [suspect.document_id for suspect in found.suspects.found]
    assert read_verdicts(tmp_path / "sheet.jsonl", planted) == list(dict.fromkeys(found.verdicts))
    with pytest.raises(ConfigError, match=re.escape("sheet.xlsx ends in '.xlsx'. Expected .csv or .jsonl.")):
        found.save(tmp_path / "sheet.xlsx")


def test_a_document_that_looks_like_a_formula_is_text_in_the_sheet(tmp_path):
    data = Dataset.from_pairs([("sum", "=1+1 sums"), ("sum of two", "other")])
    text = audit(data, "hashing").save(tmp_path / "sheet.csv").read_text(encoding="utf-8-sig")
    assert ",'=1+1 sums," in text
    assert ",=1+1" not in text


def test_a_scorer_judges_by_what_it_gives_to_labels_that_are_not_suspect(planted):
    scorer = load_scorer(lambda pairs: [answers(query, document) for query, document in pairs])
    assert audit(planted, "hashing", judge=scorer).apply().removed == 2


def test_verdicts_change_only_what_they_say(planted):
    verdicts = [Verdict("q1", "d1", 3.0), Verdict("q2", "d2", 0.0), Verdict("q3", "d9", 0.0), Verdict("q4", "d18", 2.0)]
    applied = apply_verdicts(planted, verdicts)
    assert (applied.confirmed, applied.removed, applied.negatives, applied.added, applied.lost) == (1, 1, 1, 1, ("q2",))
    assert applied.dataset.qrels["q1"] == {"d1": 1.0}, "a label that is confirmed keeps its grade"
    assert applied.dataset.qrels["q3"] == {"d3": 1.0, "d9": 0.0}
    assert applied.dataset.qrels["q4"] == {"d4": 1.0, "d18": 2.0}
    assert {query: applied.dataset.qrels[query] for query in list(planted.qrels)[4:]} == {
        query: planted.qrels[query] for query in list(planted.qrels)[4:]
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("verdict,query_id\nyes,q1\n", "has no column 'document_id'"),
        ("verdict,query_id,document_id\nmaybe,q1,d1\n", "the verdict is 'maybe'. Expected yes or no, or a grade"),
        ("verdict,query_id,document_id\nyes,q99,d1\n", "dataset has no query 'q99'. Was the file made of other data?"),
        ("verdict,query_id,document_id\n,q1,d1\n", "no row has a verdict. Write yes"),
        ("verdict,query_id,document_id\nyes,q1,d1\nno,q1,d1\n", "the pair 'q1', 'd1' has another verdict above."),
    ],
)
def test_sheets_that_cannot_be_applied_say_why(planted, tmp_path, content, text):
    path = tmp_path / "sheet.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=re.escape(text)):
        read_verdicts(path, planted)


def test_what_cannot_be_audited_says_why(planted):
    with pytest.raises(ConfigError, match="limit must be at least 1, got 0"):
        audit(planted, "hashing", limit=0)
    with pytest.raises(DataError, match="No judge gave a verdict"):
        audit(planted, "hashing").apply()
    with pytest.raises(DataError, match="no query with a relevant document"):
        audit(Dataset.from_pairs([("a", "b")]), "hashing")


def test_planted_labels_of_a_real_set_are_among_the_first():
    if not FINANCE.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    data = load_dataset(FINANCE)
    random, ids, documents = generator(0, "plant"), data.judged, list(data.corpus)
    qrels, planted = {query: dict(grades) for query, grades in data.qrels.items()}, set()
    for row in random.choice(len(ids), 33, replace=False):
        [right], wrong = qrels[ids[row]], documents[random.integers(len(documents))]
        if wrong != right:
            qrels[ids[row]] = {wrong: 1.0}
            planted.add((ids[row], wrong))
    found = audit(replace(data, qrels=qrels), f"precomputed:{FINANCE / 'all-MiniLM-L6-v2.npz'}", limit=2000)
    wrong = [(one.query_id, one.document_id) for one in found.suspects.found if one.kind == "wrong"]
    assert len(planted.intersection(wrong[: 2 * len(planted)])) >= 0.9 * len(planted)
    assert 0.7 * len(planted) <= found.suspects.estimate <= 1.5 * len(planted)
