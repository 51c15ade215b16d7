import re

import ir_measures
import pytest

from embertune.data.qrels import read_qrels, read_trec_qrels
from embertune.errors import DataError


def test_trec_file_equals_ir_measures(tmp_path):
    path = tmp_path / "qrels"
    path.write_text("301 0 FBIS3-10082 1\n301 0 FBIS3-10169 0\n302 0 LA-1 2\n302\t0\tLA-2\t-2\n")
    expected: dict[str, dict[str, float]] = {}
    for judgement in ir_measures.read_trec_qrels(str(path)):
        expected.setdefault(judgement.query_id, {})[judgement.doc_id] = judgement.relevance
    assert read_trec_qrels(path) == expected


def test_header_may_be_absent(tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text("a\tx\t1\nb\ty\t0.5\n")
    assert read_qrels(path) == ({"a": {"x": 1.0}, "b": {"y": 0.5}}, [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", " holds no judgement. Expected lines such as: q1<tab>d7<tab>1"),
        ("query-id\tcorpus-id\tscore\n", " holds no judgement."),
        ("a\tx\n", ":1: found 2 columns. Expected 3 (query, document, grade; BEIR) or 4"),
        ("a\tx\t1\n\nb y\n", ":3: found 2 columns."),
        ("a\tx\tyes\n", ":1: the last column holds 'yes'. Expected a number: above 0 for a relevant document"),
        ("a\tx\t1\nb\ty\tnan\n", ":2: the last column holds 'nan'."),
        ('a\tx\t1\n"b\ty\t1\n', ":2: unexpected end of data."),
    ],
)
def test_broken_files_name_the_line(tmp_path, content, message):
    path = tmp_path / "test.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=re.escape(f"{path}{message}")):
        read_qrels(path)
