from __future__ import annotations

import json
import time

import pytest

from embertune.data.synthesis.parsing import read_items

WHOLE = {"queries": [{"text": "a"}, {"text": "b, }"}]}


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(WHOLE),
        f'<think>maybe {{\'queries\': []}} or {{"queries": [{{"text": "no"}}]}}</think>{json.dumps(WHOLE)}',
        f"Of course:\n```json\n{json.dumps(WHOLE, indent=2)}\n```\nAnything else?",
        '{"questions": [{"text": "a"}, {"text": "b, }"}]}',
        '[{"text": "a"}, {"text": "b, }"}]',
        '["a", "b, }"]',
        '{"queries": ["a", {"text": "b, }"}]}',
        '{"queries": [{"text": "a"}, {"text": "b, }"},]}',
        '{"queries": [{"text": "a"}, {"text": "b, }"}, {"text": "c',
        'Like {"queries": [{"text": "..."}]}, so: {"queries": [{"text": "a"}, {"text": "b, }"}]}',
    ],
)
def test_forms_of_answers(answer):
    assert read_items(answer, "queries") == [{"text": "a"}, {"text": "b, }"}]


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "{", '{"queries": [{"te', "[1, 2]", "null"])
def test_no_list_is_an_error(answer):
    with pytest.raises(ValueError, match=f"no list 'queries' in an answer of {len(answer)} characters"):
        read_items(answer, "queries")


def test_an_empty_list_is_a_list():
    assert read_items('{"queries": []}', "queries") == []


def test_a_hostile_answer_is_given_up_soon():
    for answer in ("[" * 100_000, '{"a":' * 100_000, '{"a": [' * 50_000):
        began = time.process_time()
        with pytest.raises(ValueError, match="no list"):
            read_items(answer, "queries")
        assert time.process_time() - began < 20
