"""``embertune logs`` and ``embertune feedback``: what people did becomes a folder that every other command reads."""

import json

from embertune.data.io import load_dataset


def write_log(folder):
    corpus = folder / "pages.csv"
    corpus.write_text("id,text\nd1,sandals\nd2,red sneakers\nd3,hats\n")
    log = folder / "log.csv"
    row = "red shoes,d1|d2|d3,{},2026-01-01T00:00:{:02d},s{}\n"
    rows = "".join(row.format("d2" if at % 3 else "d1", at, at) for at in range(30))
    log.write_text("query,results,clicked,time,session\n" + rows)
    return log, corpus


def test_a_log_becomes_a_data_set_and_json_says_what_of_it(tmp_path, run):
    log, corpus = write_log(tmp_path)
    options = ("--propensities", "1,0.8,0.6")
    outcome = run("logs", log, "--corpus", corpus, "--out", tmp_path / "shop", *options, "--json")
    assert outcome.code == 0, outcome.err
    told = json.loads(outcome.out)
    data = load_dataset(tmp_path / "shop")
    assert dict(data.qrels["q1"]) == {"d1": 0.3333, "d2": 0.8333, "d3": 0.0}
    assert (told["queries"], told["documents"], told["relevant"], told["not_relevant"]) == (1, 3, 2, 1)
    assert "Ranks are looked at with the propensities 1.00, 0.80, 0.60 (given)." in told["notes"]


def test_mistakes_end_with_1_and_say_what_to_type(tmp_path, run):
    log, corpus = write_log(tmp_path)
    for arguments, text in (
        (("--propensities", "1,x"), "Error: --propensities takes numbers such as 1,0.6,0.4; found '1,x'."),
        (("--propensities", "magic"), "propensities must be numbers or one of auto, ratio, em, reciprocal"),
        (("--min-clicks", "99"), "Take more of the log, or ask for fewer: LogConfig(min_clicks=1), --min-clicks 1"),
        (("--columns", "query"), "Error: --columns takes ROLE=NAME, such as query=question; found 'query'."),
        (("--columns", "shown=list"), "has no column 'list', which columns= gives for 'shown'"),
    ):
        outcome = run("logs", log, "--corpus", corpus, "--out", tmp_path / "shop", *arguments)
        assert outcome.code == 1
        assert text in outcome.err
        assert "Traceback" not in outcome.err
    assert not (tmp_path / "shop").exists()


def test_thumbs_become_a_data_set(tmp_path, run):
    votes = tmp_path / "votes.csv"
    votes.write_text("question,passage,thumb\nhow old?,Built in 1900.,👍\nhow old?,80 m high.,👎\n", encoding="utf-8")
    outcome = run("feedback", votes, "--out", tmp_path / "chat")
    assert outcome.code == 0, outcome.err
    assert "judgements  2 (1 relevant)" in outcome.out
    assert dict(load_dataset(tmp_path / "chat").qrels["q1"]) == {"d1": 1.0, "d2": 0.0}
