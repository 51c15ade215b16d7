"""``embertune audit``: a file to fill in, and back."""

import json

from embertune.data.io import load_dataset


def test_a_sheet_is_written_filled_in_and_applied(small, run, tmp_path):
    sheet = tmp_path / "sheet.csv"
    outcome = run("audit", small.data, "-e", small.encoder, "--out", sheet, "--limit", 3, "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    assert len(told["suspects"]) == 3
    assert f"embertune audit DATA --apply {sheet} --out FOLDER" in outcome.err
    first = told["suspects"][0]
    header, *rows = sheet.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    sheet.write_text(header + "yes" + "".join(rows), encoding="utf-8")
    applied = run("audit", small.data, "-e", small.encoder, "--apply", sheet, "--out", tmp_path / "mended", "--json")
    assert applied.code == 0, applied.err
    assert json.loads(applied.out)["effect"]["primary"] == "ndcg@10"
    assert load_dataset(tmp_path / "mended").qrels[first["query_id"]][first["document_id"]] == 1.0


def test_mistakes_end_with_1(small, run, tmp_path):
    for arguments, text in (
        (("--judge", "me"), "Error: --judge is 'me'. Expected llm:MODEL, such as llm:openai/gpt-4o-mini, or cross-enc"),
        (
            ("--judge", "llm:x", "--apply", "y"),
            "Error: --apply takes the verdicts of a file, and --judge makes new ones.",
        ),
        (("--apply", tmp_path / "none.csv"), "Error: There is no file"),
    ):
        outcome = run("audit", small.data, "-e", small.encoder, "--out", tmp_path / "sheet.csv", *arguments)
        assert outcome.code == 1
        assert text in outcome.err
        assert "Traceback" not in outcome.err


def test_a_language_model_judges_at_once_and_the_data_are_mended(small, run, tmp_path, chat_server):
    chat_server.script = ['say {"grade": 3}'] * 3
    arguments = ("audit", small.data, "-e", small.encoder, "--limit", 3, "--out", tmp_path / "mended", "--json")
    outcome = run(*arguments, "--judge", "llm:openai/m", "--judge-base", chat_server.base)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["removed"] == 0
    assert len(chat_server.requests) == 3
    assert "The judge takes 3 of 3 documents for answers." in outcome.err
    assert load_dataset(tmp_path / "mended").queries == load_dataset(small.data).queries
