"""The JSON of strangers, checked: what POST /v1/embeddings takes."""

from __future__ import annotations

from typing import Any, NamedTuple

from embertune.encoders.base import Side
from embertune.serving.problems import ApiError, bad_request

__all__ = ["INPUT_TYPES", "MOST_INPUTS", "EmbeddingRequest", "Input", "parse_request"]

# https://platform.openai.com/docs/api-reference/embeddings/create
MOST_INPUTS = 2048
_LARGEST_TOKEN = 2**31 - 1

INPUT_TYPES: dict[str, Side] = {
    "search_query": "query",
    "search_document": "document",
    "query": "query",
    "document": "document",
    "passage": "document",
}
"""Cohere's words for the sides, and those of Voyage and NVIDIA."""

Input = str | tuple[int, ...]


class EmbeddingRequest(NamedTuple):
    """A request that is well formed; whether its model exists is not known here.

    Attributes:
        model: As it was asked for.
        inputs: Texts, or tuples of tokens.
        tokens: Whether they are tokens.
        side: From input_type; None where it was not given.
        dimensions: How many to answer with; None for all.
        base64: Whether to answer in base64 instead of lists of numbers.
    """

    model: str
    inputs: list[Input]
    tokens: bool
    side: Side | None
    dimensions: int | None
    base64: bool


def parse_request(body: bytes) -> EmbeddingRequest:
    """Read the body of a request; fields that are not known are passed over.

    Raises:
        ApiError: 400, with the field and what was expected of it.

    Example:
        >>> parse_request(b'{"model": "faq", "input": "a question", "input_type": "search_query"}').side
        'query'
        >>> parse_request(b'{"model": "faq", "input": [[1, 2], [3]]}').inputs
        [(1, 2), (3,)]
    """
    import orjson

    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The body is not JSON: {error.msg}.") from None
    if not isinstance(found, dict):
        raise bad_request("The body must be a JSON object with model and input.")
    model = found.get("model")
    if not isinstance(model, str):
        raise _wrong("model", "the name of a model; GET /v1/models lists them", missing="model" not in found)
    inputs, tokens = _inputs(found)
    return EmbeddingRequest(model, inputs, tokens, _side(found), _dimensions(found), _is_base64(found))


def _inputs(found: dict[str, Any]) -> tuple[list[Input], bool]:
    value = found.get("input")
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not value:
        raise _wrong("input", "a text, a list of texts, or one or several arrays of tokens", missing=value is None)
    if _whole(value[0]) is not None:
        value = [value]
    if len(value) > MOST_INPUTS:
        raise bad_request(f"input has {len(value)} entries; at most {MOST_INPUTS} are taken at once.", "input")
    if isinstance(value[0], str):
        return _texts(value), False
    return [_tokens(row, entry) for row, entry in enumerate(value)], True


def _texts(value: list[Any]) -> list[Input]:
    for row, text in enumerate(value):
        if not isinstance(text, str):
            raise bad_request(f"input[{row}] is no text, but input[0] is. Texts and tokens cannot be mixed.", "input")
        if not text or text.isspace():
            raise bad_request(f"input[{row}] is empty; an empty text has no embedding. Leave it out.", "input")
    return value


def _tokens(row: int, entry: Any) -> Input:
    tokens = [_whole(one) for one in entry] if isinstance(entry, list) else []
    good = [token for token in tokens if token is not None and 0 <= token <= _LARGEST_TOKEN]
    if not tokens or len(good) != len(tokens):
        raise bad_request(f"input[{row}] is neither a text nor an array of tokens (whole numbers from 0).", "input")
    return tuple(good)


def _whole(value: Any) -> int | None:
    """Give a whole number; 3.0 is one in JSON, true is none."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _side(found: dict[str, Any]) -> Side | None:
    value = found.get("input_type")
    if value is None:
        return None
    if not isinstance(value, str) or value not in INPUT_TYPES:
        raise _wrong("input_type", f"one of {', '.join(INPUT_TYPES)}")
    return INPUT_TYPES[value]


def _dimensions(found: dict[str, Any]) -> int | None:
    value = found.get("dimensions")
    if value is None:
        return None
    number = _whole(value)
    if number is None or number < 1:
        raise _wrong("dimensions", "a whole number from 1")
    return number


def _is_base64(found: dict[str, Any]) -> bool:
    value = found.get("encoding_format")
    if value not in (None, "float", "base64"):
        raise _wrong("encoding_format", "float or base64")
    user = found.get("user")
    if user is not None and not isinstance(user, str):
        raise _wrong("user", "a text")
    return value == "base64"


def _wrong(name: str, expected: str, *, missing: bool = False) -> ApiError:
    return bad_request(f"{name} is {'missing' if missing else 'not what it must be'}: expected {expected}.", name)
