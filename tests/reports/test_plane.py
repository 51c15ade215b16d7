"""The two maps: what is on them, where, and that no text of a stranger becomes markup."""

import json

from embertune.reports.plane import plane_caption, plane_figure

CHART = {
    "queries": {"ids": ["a", "b", "c"], "base": [[0, 0], [1, 0], [2, 0]], "tuned": [[0, 1], [1, 1], [2, 1]]},
    "documents": {"ids": ["a", "d2"], "base": [[5, 5], [-5, 5]], "tuned": [[5, 6], [-5, 6]]},
    "shares": [0.3, 0.1],
    "of": {"queries": 3, "documents": 100000},
}
GAINS = {"a": 0.5, "b": -0.25, "c": 1e-17}


def traces(state="tuned", **options):
    figure = plane_figure(CHART, state, GAINS, options.pop("texts", {}), **options)
    return {trace["name"]: trace for trace in figure["data"]}, figure["layout"]


def test_queries_stand_with_their_change_where_the_chart_has_them():
    found, _ = traces()
    assert list(found) == ["documents", "queries that gained", "queries that lost", "queries that did not change"]
    assert [(found[name]["x"], found[name]["y"]) for name in list(found)[1:]] == [([0], [1]), ([1], [1]), ([2], [1])]
    assert len({trace["marker"]["symbol"] for trace in found.values()}) == 4


def test_before_and_after_have_the_same_axes_and_all_is_inside():
    ranges = [traces(state)[1][axis]["range"] for state in ("base", "tuned") for axis in ("xaxis", "yaxis")]
    assert ranges[:2] == ranges[2:]
    assert ranges[0][0] < -5
    assert ranges[0][1] > 5
    assert ranges[1][1] > 6


def test_a_chosen_query_is_joined_with_its_answers_alone():
    found, _ = traces(query="b", answers=["d2", "not on the map"])
    assert (found["to its answers"]["x"], found["to its answers"]["y"]) == ([1, -5, None], [1, 6, None])
    assert (found["this query"]["x"], found["this query"]["y"]) == ([1], [1])
    assert "this query" not in traces(query="not on the map")[0]


def test_ids_of_queries_and_documents_are_apart_and_texts_are_escaped():
    found, _ = traces(texts={"qa": "<b>bold</b> " + "x" * 70, "da": "a document"})
    assert found["queries that gained"]["text"][0].startswith("&lt;b&gt;bold&lt;/b&gt;")
    assert "<br>" in found["queries that gained"]["text"][0]
    assert found["documents"]["text"][0] == "a document"
    assert "<b" not in json.dumps(traces(texts={"qa": "<script>"})[0]).replace("<br>", "")


def test_the_caption_counts_and_says_what_is_not_shown():
    said = plane_caption(CHART)
    assert said.startswith("3 of 3 test queries and 2 of 100,000 documents")
    assert "40.0 % of all variance" in said
