"""Clicks simulated from a known position-based model: what is recovered, and what naive rates say."""

import json
import re

import numpy as np
import pytest

from embertune.core.random import generator
from embertune.data.click_model import Cells, em_propensities, given_propensities, ratio_propensities, relevance
from embertune.data.log_config import LogConfig
from embertune.data.log_rows import Click, Search, as_seconds, read_searches
from embertune.data.logs import dataset_of_log
from embertune.data.sessions import group_sessions, reformulations, satisfied
from embertune.errors import ConfigError, DataError

RANKS = 8
TRUE = 1 / np.arange(1.0, RANKS + 1) ** 0.8
QUERIES, SEARCHES = 30, 150


@pytest.fixture(scope="module")
def world():
    """Relevances (query, document), and a log of rankings that put the worst documents first more often than not."""
    random = generator(0, "clicks")
    relevances = random.random((QUERIES, RANKS)) ** 2 * 0.9 + 0.02
    rows = []
    for query in range(QUERIES):
        for at in range(SEARCHES):
            # A bad ranker: it prefers what is irrelevant, with noise that lets documents stand at several ranks.
            order = np.argsort(relevances[query] + 0.5 * random.normal(size=RANKS))
            clicked = random.random(RANKS) < TRUE * relevances[query, order]
            shown = [f"d{query}-{document}" for document in order]
            hits = [document for document, hit in zip(shown, clicked, strict=True) if hit]
            rows.append((f"query number {query}", shown, hits, None, 1e9 + at * 7 + query))
    return relevances, rows


def cells_of(rows):
    pairs, ranks, clicked = [], [], []
    names = {}
    for _, shown, hits, *_ in rows:
        for rank, document in enumerate(shown, start=1):
            pairs.append(names.setdefault(document, len(names)))
            ranks.append(rank)
            clicked.append(document in hits)
    return list(names), Cells.count(pairs, ranks, clicked)


@pytest.mark.parametrize(("estimate", "tolerance"), [(ratio_propensities, 0.06), (em_propensities, 0.1)])
def test_the_propensities_of_a_known_click_model_are_recovered(world, estimate, tolerance):
    found = estimate(cells_of(world[1])[1])
    assert found.known.all()
    np.testing.assert_allclose(found.values, TRUE, atol=tolerance)


def test_grades_are_the_true_relevances_and_click_rates_are_not(world):
    relevances, rows = world
    names, cells = cells_of(rows)
    truth = np.array([relevances[tuple(map(int, name[1:].split("-")))] for name in names])
    estimated = relevance(cells, ratio_propensities(cells), clip=0.05)[1]
    rates = relevance(cells, given_propensities([1.0] * RANKS), clip=0.05)[1]
    error, naive = (np.sqrt(((each - truth) ** 2).mean()) for each in (estimated, rates))
    assert error < 0.08
    assert naive > 2.5 * error
    # Scaling cannot mend it: the naive rates also put documents in the wrong order.
    right, wrong = (
        np.corrcoef(each.argsort().argsort(), truth.argsort().argsort())[0, 1] for each in (estimated, rates)
    )
    assert right > wrong + 0.02


def test_a_data_set_of_a_log_grades_each_pair_and_says_how(world):
    relevances, rows = world
    data = dataset_of_log(rows, {f"d{q}-{d}": f"text {q} {d}" for q in range(QUERIES) for d in range(RANKS)})
    assert len(data.queries) == QUERIES
    assert data.queries["q4"] == "query number 3"
    for query, grades in data.qrels.items():
        for document, grade in grades.items():
            true = relevances[tuple(map(int, document[1:].split("-")))]
            assert grade == pytest.approx(true, abs=0.35), (query, document)
            assert grade == 0 or true > 0.02
    assert any(note.startswith("Ranks are looked at with the propensities 1.00, 0.") for note in data.notes)


def test_a_document_that_was_clicked_far_down_is_graded_as_high_as_one_clicked_first():
    shown = [f"d{rank}" for rank in range(1, 5)]
    rows = [("shoes", shown, "d1")] * 20 + [("shoes", shown, "d4")] * 5 + [("shoes", shown, None)] * 15
    qrels = dataset_of_log(rows, config=LogConfig(propensities=[1, 0.5, 0.4, 0.25])).qrels["q1"]
    assert qrels == {"d1": 0.5, "d2": 0.0, "d3": 0.0, "d4": 0.5}


def test_the_clip_bounds_what_a_click_far_down_can_count():
    cells = Cells.count([0] * 10, [50] * 10, [True] + [False] * 9)
    given = given_propensities([1, 0.5])
    assert relevance(cells, given, clip=0.02)[1] == [1.0]
    assert relevance(cells, given, clip=0.5)[1] == [0.2]


def test_ranks_that_share_no_document_with_the_first_fall_as_one_over_rank():
    cells = Cells.count([0] * 200 + [1] * 100, [1] * 100 + [2] * 100 + [4] * 100, ([True] * 50 + [False] * 50) * 3)
    found = ratio_propensities(cells)
    assert found.known.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.values, [1, 1, 2 / 3, 1 / 2])


def test_a_log_of_clicks_alone_is_read_and_graded_by_shares_of_clicks():
    rows = [("shoes", "d1", 1)] * 6 + [("shoes", "d2", 2)] * 3 + [("shoes", "d3", 1)]
    log = [{"query": query, "doc_id": document, "rank": rank} for query, document, rank in rows]
    data = dataset_of_log(log)
    assert data.qrels == {"q1": {"d1": 0.6, "d2": 0.6}}
    assert (
        "The log holds clicks alone, without what was shown and not clicked: grades are shares of clicks." in data.notes
    )
    assert "1 pair with fewer than 2 clicks dropped." in data.notes
    with pytest.raises(DataError, match=re.escape("this log holds clicks alone. Give the shown documents")):
        dataset_of_log(log, config=LogConfig(propensities="em"))


def test_a_click_after_asking_again_credits_the_earlier_query():
    chain = [
        {"query": "car tyre leak", "shown": ["d1", "d2"], "clicked": None, "time": 0},
        {"query": "repair tyre puncture", "shown": ["d3"], "clicked": "d3", "time": 30},
    ]
    log = [row | {"session": f"s{at}", "time": row["time"] + 1000 * at} for at in range(4) for row in chain]
    data = dataset_of_log(log)
    assert data.qrels == {"q1": {"d3": 0.5}, "q2": {"d3": 1.0}}
    assert any("4 clicks after asking again in other words also count for the earlier query" in n for n in data.notes)
    without = dataset_of_log(log, config=LogConfig(reformulation_credit=0))
    assert list(without.queries.values()) == ["repair tyre puncture"]


@pytest.mark.parametrize(
    ("then", "time"), [("weather tomorrow", 30), ("repair tyre", 4000), ("Car tyre  leak?", 30)],
    ids=["another question", "too late", "the same words"],
)  # fmt: skip
def test_what_is_no_reformulation(then, time):
    first = Search(1, "car tyre leak", {"d1": 1}, (), time=0.0)
    other = Search(2, then, {"d2": 1}, (Click("d2"),), time=float(time))
    assert list(reformulations([first, other], within=300)) == []


def test_robots_copies_and_empty_queries_are_left_out_and_counted():
    person = [("shoes", ["d1"], "d1", 1, 1e9 + at, f"s{at}") for at in range(3)]
    robot = [(f"word {at}", ["d1"], "d1", 1, 1e9 + at, "bot") for at in range(200)]
    data = dataset_of_log([*person, person[0], *robot, ("  ", ["d1"], "d1", 1, 1e9, "s9")])
    assert list(data.queries.values()) == ["shoes"]
    assert {"1 search without a query left out.", "1 search that repeats another left out."} <= set(data.notes)
    assert "1 session of more than 100 searches, 200 in all, taken for robots and left out." in data.notes


def test_spellings_of_one_question_are_one_query_called_as_most_people_spell_it():
    rows = [("Red  shoes?", ["d1"], "d1"), ("red shoes", ["d1"], "d1"), ("red shoes", ["d1"], "d1")]
    assert dataset_of_log(rows).queries == {"q1": "red shoes"}


def test_short_reads_repeats_and_clicks_before_the_last_do_not_count_if_so_told():
    search = Search(1, "q", {"a": 1, "b": 2}, (Click("a", 50.0), Click("a", 40.0), Click("b", 2.0)))
    assert [click.document for click in satisfied(search, min_dwell=0, last_only=False).clicks] == ["a", "b"]
    assert [click.document for click in satisfied(search, min_dwell=30, last_only=True).clicks] == ["a"]


def test_a_session_that_is_named_is_not_cut_and_a_user_is():
    times = [0.0, 10.0, 99999.0]
    for is_user, parts in ((False, [3]), (True, [2, 1])):
        log = [Search(at, "q", {}, (), time=time, session="x", is_user=is_user) for at, time in enumerate(times)]
        assert [len(one) for one in group_sessions(log[::-1], gap=1800)] == parts


def test_the_same_log_is_read_from_every_kind_of_file(tmp_path):
    import pandas

    rows = [
        {"Query": "red shoes", "results": ["d1", "d2"], "clicked_doc": "d2", "position": 2, "timestamp": 1e9 + at}
        for at in range(3)
    ]
    lines = tmp_path / "log.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flat = pandas.DataFrame(rows)
    flat.assign(results="d1|d2").to_csv(tmp_path / "log.csv", index=False)
    flat.to_parquet(tmp_path / "log.parquet")
    found = [read_searches(source)[0] for source in (lines, tmp_path / "log.csv", tmp_path / "log.parquet", flat, rows)]
    assert [[(one.query, dict(one.shown), one.clicks, one.time) for one in each] for each in found] == [
        [("red shoes", {"d1": 1, "d2": 2}, (Click("d2"),), 1e9 + at) for at in range(3)]
    ] * 5


def test_a_row_for_each_result_is_brought_together_by_search():
    rows = [
        {"query": "shoes", "doc": f"d{rank}", "rank": rank, "clicked": clicked, "search_id": search}
        for search in ("a", "b")
        for rank, clicked in ((1, "0"), (2, "yes"), (3, ""))
    ]
    found, _ = read_searches(rows)
    assert [(dict(one.shown), one.clicks) for one in found] == [({"d1": 1, "d2": 2, "d3": 3}, (Click("d2"),))] * 2


def test_documents_that_the_corpus_does_not_have_are_counted_and_none_at_all_is_an_error():
    rows = [("shoes", ["d1", "gone"], ["d1"])] * 3
    data = dataset_of_log(rows, {"d1": "red shoes", "d9": "hats"})
    assert set(data.corpus) == {"d1", "d9"}
    assert "The log names 1 document that the corpus does not have (such as 'gone'): left out." in data.notes
    with pytest.raises(
        DataError, match=re.escape("none of them in the corpus of 1 (such as 'x'). Expected the same ids")
    ):
        dataset_of_log(rows, {"x": "hats"})


def test_too_few_clicks_are_an_error_that_says_what_to_type():
    with pytest.raises(
        DataError, match=re.escape("the most clicked has 1 click. Take more of the log, or ask for fewer")
    ):
        dataset_of_log([("shoes", ["d1"], ["d1"])])
    assert dataset_of_log([("shoes", ["d1"], ["d1"])], config=LogConfig(min_clicks=1)).qrels == {"q1": {"d1": 1.0}}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"query": "a", "color": "x"}], "found the columns 'query', 'color'. Expected a row for each search"),
        ([{"word": "a", "shown": ["x"]}], "none is recognised as the query"),
        ([{"query": "a", "shown": ["x"], "rank": 7}], "rank 7 was clicked, and 1 document was shown"),
        ([{"query": "a", "doc": "x", "rank": "first"}], "the rank is first. Expected 1 for the first result"),
        ([{"query": "a", "doc": "x", "time": "noon"}], "holds 'noon'. Expected seconds since 1970"),
        ([{"query": "a", "doc": "x", "clicked": "perhaps"}], "holds 'perhaps'. Expected 1 or 0"),
        ([("a",)], "Row 1 is ('a',). Expected a row for each search"),
        ([], "Found no rows."),
        (7, "Found a int."),
    ],
)
def test_logs_that_cannot_be_read_say_why(rows, text):
    with pytest.raises(DataError, match=re.escape(text)):
        read_searches(rows)


def test_impossible_settings_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        LogConfig(clip=0, min_clicks=0, propensities="guess")
    assert len(caught.value.problems) == 3
    with pytest.raises(ConfigError, match=re.escape("Expected a number above 0 for every rank from 1")):
        given_propensities({1: 1.0, 3: 0.5})


def test_times_are_read_as_utc_with_or_without_a_zone():
    assert as_seconds("2026-01-02T03:04:05Z", "") == as_seconds("2026-01-02 03:04:05", "") == 1767323045.0
    assert as_seconds("2026-01-02T04:04:05+01:00", "") == 1767323045.0
