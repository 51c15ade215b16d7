"""The tab Data: thumbs as labels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from embertune.data.dataset import Dataset
from embertune.errors import DataError
from embertune.ui.tabs.data import _keep_thumbs
from embertune.ui.workspace import Workspace


@pytest.fixture
def bench(tmp_path):
    return SimpleNamespace(workspace=Workspace(tmp_path / "bench"))


def vote(passage, up):
    return {"query": "how tall?", "passages": [passage], "vote": up, "time": 1.0, "user": "ann"}


def test_thumbs_judge_the_documents_of_the_data_set_that_was_asked(bench):
    data = Dataset.from_pairs([("how old?", "Built in 1900."), ("how wide?", "It is 80 m tall."), ("why?", "For all.")])
    entry = bench.workspace.add(data, "Bridge")
    bench.workspace.add_vote(vote("It is 80 m tall.", 1))
    bench.workspace.add_vote(vote("For all.", 0))
    found = bench.workspace.load(_keep_thumbs(bench, entry.id).id)
    assert found.corpus == data.corpus
    assert list(found.queries.values()) == ["how tall?"]
    assert list(found.qrels.values()) == [{"d2": 1.0, "d3": 0.0}]
    assert bench.workspace.datasets()[0].name == "Thumbs on Bridge"


def test_without_a_thumb_it_is_said_where_they_come_from(bench):
    with pytest.raises(DataError, match="No thumb was given yet"):
        _keep_thumbs(bench, "")
