from __future__ import annotations

import json
import re

import pytest

from embertune.core.secrets import scrub
from embertune.encoders.cost import Cost
from embertune.encoders.hashing import HashingEncoder
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ConfigError

SPEC = EncoderSpec("openai", "m", "r1", 8, "q: ", "d: ", False)


def test_through_json_and_back():
    assert EncoderSpec.from_dict(json.loads(json.dumps(SPEC.to_dict()))) == SPEC


def test_from_dict_lists_every_problem():
    message = "- the encoder's 'provider' is missing\n- the encoder's 'model' is missing\n- unknown field 'dim'"
    with pytest.raises(ConfigError, match=re.escape(message)):
        EncoderSpec.from_dict({"dim": 3})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "azure"),
        ("model", "n"),
        ("revision", "r2"),
        ("dimension", 4),
        ("query_prompt", ""),
        ("document_prompt", ""),
        ("normalized", True),
    ],
)
def test_every_field_makes_a_difference(field, value):
    other = EncoderSpec.from_dict({**SPEC.to_dict(), field: value})
    assert SPEC.differences(SPEC) == []
    assert SPEC.differences(other) == [f"{field} {getattr(SPEC, field)!r} here, {value!r} there"]


@pytest.mark.parametrize("field", ["revision", "dimension"])
def test_what_is_not_known_is_no_difference(field):
    assert SPEC.differences(EncoderSpec.from_dict({**SPEC.to_dict(), field: None})) == []


def test_cost_adds_up_and_unknown_stays_unknown():
    assert sum([Cost(1, 10, 0.5), Cost(2, 20, 0.25)], Cost()) == Cost(3, 30, 0.75)
    assert (Cost(1, 1, 0.5) + Cost(1, 1, None)).usd is None
    assert Cost(3, 30, 0.75) - Cost(1, 10, 0.5) == Cost(2, 20, 0.25)
    assert Cost(3, 30, None) - Cost() == Cost(3, 30, None)


def test_hashing_is_the_same_everywhere():
    # Fixed numbers: Python's own hash() changes with every process.
    vector = HashingEncoder(dimension=4, normalize=False).encode_query(["list"])[0]
    assert vector.sum() == len("  list ") - 2
    assert vector.tolist() == HashingEncoder(dimension=4, normalize=False).encode_document(["LIST"])[0].tolist()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("key sk-proj-abcdefgh12345678 is wrong", "key *** is wrong"),
        ("Incorrect API key provided: sk-abc***************wxyz.", "Incorrect API key provided: ***."),
        ("'Authorization': 'Bearer abc.def'", "'Authorization': 'Bearer ***"),
        ("https://host/v1?key=AIzaSyabcdefgh&alt=json", "https://host/v1?key=***&alt=json"),
        ("https://user:pass@host/v1", "https://***@host/v1"),
        ("the value my-own-odd-value of a variable", "the value *** of a variable"),
        ("a task of risk-free words, sk-short", "a task of risk-free words, sk-short"),
    ],
)
def test_scrubbing(monkeypatch, text, clean):
    monkeypatch.setenv("SOME_API_KEY", "my-own-odd-value")
    monkeypatch.setenv("OTHER_TOKEN", "a")
    assert scrub(text) == clean
