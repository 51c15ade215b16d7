"""``embertune curve``: a page, a JSON document, and a journal."""

import json


def test_a_curve_is_drawn_and_goes_on_where_it_was(small, run, tmp_path):
    arguments = ("curve", small.data, "-e", small.encoder, "--out", tmp_path / "c", "--sizes", "16,24", "--draws", 1)
    outcome = run(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert [point["size"] for point in told["points"]][:2] == [16, 24]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {"curve.html", "curve.json", "curve.jsonl"}
    journal = (tmp_path / "c" / "curve.jsonl").read_text()
    assert run(*arguments, "--json").out == outcome.out
    assert (tmp_path / "c" / "curve.jsonl").read_text() == journal


def test_mistakes_end_with_1(small, run, tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, text in (
        (("--out", tmp_path / "c", "--sizes", "a,b"), "Error: --sizes takes numbers such as 50,100,200; found 'a,b'."),
        (("--out", tmp_path / "file"), "Error: "),
        (("--out", tmp_path / "c", "--sizes", "1,2,3"), "sizes must be from 16 to"),
    ):
        outcome = run("curve", small.data, "-e", small.encoder, *arguments)
        assert outcome.code == 1
        assert text in outcome.err
        assert "Traceback" not in outcome.err
