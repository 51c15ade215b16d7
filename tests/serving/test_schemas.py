from __future__ import annotations

import json

import pytest

pytest.importorskip("orjson", reason="the extra serve is not installed")

from embertune.serving.problems import ApiError
from embertune.serving.schemas import EmbeddingRequest, parse_request


def parse(**fields):
    return parse_request(json.dumps({"model": "m", "input": "a text", **fields}).encode())


def test_all_fields():
    asked = parse(input=["a", "b"], input_type="passage", dimensions=8, encoding_format="base64", user="u", other=1)
    assert asked == EmbeddingRequest("m", ["a", "b"], False, "document", 8, True)


def test_what_is_null_was_not_given():
    nothing = dict.fromkeys(("input_type", "dimensions", "encoding_format", "user"))
    assert parse(**nothing) == EmbeddingRequest("m", ["a text"], False, None, None, False)


@pytest.mark.parametrize(
    ("given", "inputs", "tokens"),
    [
        ([1, 2, 3], [(1, 2, 3)], True),
        ([[1], [2, 3]], [(1,), (2, 3)], True),
        ([0], [(0,)], True),
        ([1.0, 2], [(1, 2)], True),  # a whole number in JSON
    ],
)
def test_arrays_of_tokens(given, inputs, tokens):
    asked = parse(input=given)
    assert (asked.inputs, asked.tokens) == (inputs, tokens)


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"model": None}, "model", "model is not what it must be: expected the name of a model; GET "
         "/v1/models lists them."),
        ({"model": 3}, "model", "model is not what it must be"),
        ({"input": None}, "input", "input is missing: expected a text, a list of texts, or one or several "
         "arrays of tokens."),
        ({"input": []}, "input", "input is not what it must be"),
        ({"input": {}}, "input", "input is not what it must be"),
        ({"input": True}, "input", "input is not what it must be"),
        ({"input": [True]}, "input", "input[0] is neither a text nor an array of tokens (whole numbers from 0)."),
        ({"input": [1, "a"]}, "input", "input[0] is neither a text nor an array of tokens (whole numbers from 0)."),
        ({"input": [1, -1]}, "input", "input[0] is neither"),
        ({"input": [1, 2**31]}, "input", "input[0] is neither"),
        ({"input": [1, 1.5]}, "input", "input[0] is neither"),
        ({"input": [[1], []]}, "input", "input[1] is neither"),
        ({"input": [[1], "a"]}, "input", "input[1] is neither"),
        ({"input": ["a", [1]]}, "input", "input[1] is no text, but input[0] is. Texts and tokens cannot be mixed."),
        ({"input": ["a", None]}, "input", "input[1] is no text"),
        ({"input": ""}, "input", "input[0] is empty"),
        ({"input": ["a", " \n\u3000"]}, "input", "input[1] is empty"),
        ({"input_type": "classification"}, "input_type", "input_type is not what it must be: expected one of "
         "search_query, search_document, query, document, passage."),
        ({"input_type": ["query"]}, "input_type", "input_type is not"),
        ({"dimensions": 0}, "dimensions", "dimensions is not what it must be: expected a whole number from 1."),
        ({"dimensions": True}, "dimensions", "dimensions is not"),
        ({"dimensions": 8.5}, "dimensions", "dimensions is not"),
        ({"dimensions": "8"}, "dimensions", "dimensions is not"),
        ({"encoding_format": "int8"}, "encoding_format", "encoding_format is not what it must be: "
         "expected float or base64."),
        ({"encoding_format": ["float"]}, "encoding_format", "encoding_format is not"),
        ({"user": 5}, "user", "user is not what it must be: expected a text."),
    ],
)  # fmt: skip
def test_every_wrong_field_is_named(fields, param, said):
    with pytest.raises(ApiError) as caught:
        parse(**fields)
    error = caught.value
    assert (error.status, error.param, error.type) == (400, param, "invalid_request_error")
    assert error.message.startswith(said)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"3", b'"a"', b"\xff", b'{"model": "m", "input": "\\ud800"}', b"nan"]
)
def test_what_is_no_object(body):
    with pytest.raises(ApiError) as caught:
        parse_request(body)
    assert caught.value.status == 400


def test_no_text_is_quoted_in_an_error():
    with pytest.raises(ApiError) as caught:
        parse(input=["my secret", 5])
    assert "secret" not in caught.value.message
