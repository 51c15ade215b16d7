from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from embertune.adapters.identity import IdentityAdapter
from embertune.errors import ConfigError, DataError
from embertune.recipes.judged_queries import check_part, choose_queries
from embertune.recipes.tune import tune

DISAGREE = (
    "Seen and unseen are not judged apart: the records of a and b do not agree, for their splits or seeds differ."
)


@pytest.fixture(scope="module")
def record(learnable, quick):
    return tune(learnable.data, learnable.encoder, effort=quick, seed=3).record


def adapter_of(record, **changes):
    """An adapter with a record; only the record decides who is judged."""
    adapter = IdentityAdapter()
    adapter.attachments = {"record.json": json.dumps({**record, **changes})}
    return adapter


def elsewhere(record):
    return adapter_of(record, data={**record["data"], "fingerprint": "sha256:0"})


def groups_of(record):
    return {name: tuple(row["id"] for row in record["queries"] if row["group"] == name) for name in ("seen", "unseen")}


def test_one_record_names_the_queries_and_their_groups(learnable, record):
    judged = choose_queries(learnable.data, {"a": adapter_of(record)}, None)
    assert set(judged.ids) == {row["id"] for row in record["queries"]}
    assert {name: set(ids) for name, ids in judged.groups.items()} == {
        name: set(ids) for name, ids in groups_of(record).items()
    }
    assert judged.notes == ("a was tuned on this data: only the 40 test queries of its record are judged.",)


def test_records_that_agree_keep_the_groups(learnable, record):
    one, two = adapter_of(record), adapter_of(record, queries=record["queries"][::-1])
    judged = choose_queries(learnable.data, {"a": one, "b": two}, None)
    assert judged.groups == choose_queries(learnable.data, {"a": one}, None).groups


def test_records_that_disagree_have_no_groups(learnable, record):
    """Of the queries that both tested, one is seen by one adapter and unseen by the other."""
    first, *rest = record["queries"][5:]
    turned = {**first, "group": "unseen" if first["group"] == "seen" else "seen"}
    judged = choose_queries(
        learnable.data, {"a": adapter_of(record), "b": adapter_of(record, queries=[turned, *rest])}, None
    )
    assert set(judged.ids) == {row["id"] for row in record["queries"][5:]}
    assert judged.groups is None
    assert judged.notes[-1] == DISAGREE


def test_an_adapter_of_other_data_takes_the_groups_away(learnable, record):
    judged = choose_queries(learnable.data, {"a": adapter_of(record), "b": elsewhere(record)}, None)
    assert len(judged.ids) == 40
    assert judged.groups is None
    assert judged.notes[-1] == (
        "Seen and unseen are not judged apart: the record of b does not tell them of all these queries."
    )


def test_without_records_the_parts_of_the_data_tell_the_groups(learnable, record):
    parts = {query: "test" if at >= 110 else "train" for at, query in enumerate(learnable.data.queries)}
    divided = replace(learnable.data, parts=parts)
    judged = choose_queries(divided, {"a": IdentityAdapter()}, None)
    # Query n asks for document n % 120, so of the 90 test queries the first ten ask for what no training query does.
    assert judged.groups["unseen"] == tuple(f"q{n}" for n in range(110, 120))
    assert judged.groups["seen"] == tuple(f"q{n}" for n in range(120, 200))
    assert judged.notes == ("The test part of the data.",)
    # What trained on other data has seen no document of these.
    assert choose_queries(divided, {"a": elsewhere(record)}, None).groups is None


def test_where_nobody_could_tell_nothing_is_said_of_groups(learnable, record):
    assert choose_queries(learnable.data, {"a": IdentityAdapter()}, None) == (tuple(learnable.data.queries), None, ())
    (note,) = choose_queries(learnable.data, {"a": elsewhere(record)}, None).notes
    assert note.startswith("a was tuned on another data set")


def test_an_adapter_that_was_fitted_on_all_queries_has_no_groups(learnable, record):
    split = {**record["data"]["split"], "kind": "5 folds"}
    everything = adapter_of(record, data={**record["data"], "split": split})
    judged = choose_queries(learnable.data, {"a": everything}, None)
    assert len(judged.ids) == 200
    assert judged.groups is None
    assert judged.notes == ("a was fitted on every query of this data, so its figures here flatter it.",)


def test_records_without_a_query_in_common(learnable, record):
    half = [
        {"a": adapter_of(record, queries=record["queries"][:20])},
        {"b": adapter_of(record, queries=record["queries"][20:])},
    ]
    found = (
        "No query of toy is left to judge (200 queries in all, none of them a test query in the records of a and b)."
    )
    with pytest.raises(DataError, match=re.escape(found)):
        choose_queries(learnable.data, half[0] | half[1], None)


def test_a_part_without_a_relevant_document(learnable, record):
    parts = {"q0": "dev", "q1": "test"}
    bare = replace(learnable.data, parts=parts, qrels={**learnable.data.qrels, "q0": {"d0": 0.0}})
    trained = adapter_of(record, data={**record["data"], "fingerprint": bare.fingerprint})
    found = "No query of toy is left to judge (200 queries in all). Expected queries with a relevant document"
    with pytest.raises(DataError, match=re.escape(found)):
        choose_queries(bare, {"a": trained}, "dev")


def test_a_part_that_is_not_there_is_told_plainly(learnable, record):
    divided = replace(learnable.data, parts={"q0": "train", "q1": "train", "q2": "test"})
    for data, adapters, found in (
        (
            learnable.data,
            {},
            "toy has no part 'dev': it is not divided into parts. Judge all its queries with --part all.",
        ),
        (divided, {}, "toy has no part 'dev': its parts are train 2, test 1. Judge all its queries with --part all."),
        (
            learnable.data,
            {"a": adapter_of(record)},
            "it is not divided into parts. Judge all its queries with --part all or leave it out to judge the test "
            "queries that the adapters' records name.",
        ),
    ):
        with pytest.raises(DataError, match=re.escape(found) + "$"):
            choose_queries(data, adapters, "dev")
    assert choose_queries(divided, {}, "train").ids == ("q0", "q1")
    assert len(choose_queries(divided, {}, "all").ids) == 200


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError, match=re.escape("part must be 'train', 'dev', 'test' or 'all', got 'valid'")):
        check_part("valid")
