"""What the server takes and gives, as OpenAPI 3.1: exact, so that what it allows is answered and the rest refused."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from embertune.serving.schemas import INPUT_TYPES, MOST_INPUTS
from embertune.serving.service import Service

__all__ = ["openapi"]

Schema = dict[str, Any]

_JSON = "application/json"


def openapi(service: Service, *, with_key: bool) -> Schema:
    """Give the description of a server.

    Args:
        service: Whose models it lists.
        with_key: Whether clients need a key.
    """
    secured: Schema = {"security": [{"key": []}]} if with_key else {}
    schemes: Schema = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}} if with_key else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Embertune", "version": version("embertune"), "description": "Embeddings, adapted."},
        "paths": {
            "/v1/embeddings": {"post": {
                "operationId": "createEmbedding",
                "summary": "Embed texts or tokens.",
                "requestBody": {"required": True, "content": {_JSON: {"schema": _request(service)}}},
                "responses": {"200": _answer("Embeddings", _EMBEDDINGS),
                              **_errors(400, 401, 404, 413, 415, 429, 500, 502, 503, 504)},
                **secured,
            }},
            "/v1/models": {"get": {
                "operationId": "listModels", "summary": "All models.",
                "responses": {"200": _answer("Models", _object({"object": {"const": "list"},
                              "data": {"type": "array", "items": _MODEL}})), **_errors(401)},
                **secured,
            }},
            "/v1/models/{model}": {"get": {
                "operationId": "getModel", "summary": "One model.",
                "parameters": [{"name": "model", "in": "path", "required": True,
                                "schema": {"enum": [name for name, _ in service.catalogue.names()]}}],
                "responses": {"200": _answer("Model", _MODEL), **_errors(401, 404)},
                **secured,
            }},
            "/health": {"get": {
                "operationId": "health", "summary": "Whether requests are answered.",
                "responses": {"200": _answer("In order", _HEALTH), "503": _answer("Not all answer", _HEALTH)},
            }},
            "/metrics": {"get": {
                "operationId": "metrics", "summary": "Counters for Prometheus.",
                "responses": {"200": _answer("Metrics", {"type": "string"}, "text/plain"),
                              **_errors(401)},
                **secured,
            }},
        },
        "components": schemes,
    }  # fmt: skip


def _request(service: Service) -> Schema:
    return {"anyOf": [_variant(service, name, adapter) for name, adapter in service.catalogue.names()]}


def _variant(service: Service, name: str, adapter: str | None) -> Schema:
    """Give what may be asked of one model: its name may tell the side, and how many dimensions it has."""
    catalogue = service.catalogue
    words: list[str | None] = [*INPUT_TYPES]
    needed = ["model", "input"]
    side = catalogue.side_of(name)
    if catalogue.needs_side(name):
        needed.append("input_type")
    else:
        words = [None, *(word for word, means in INPUT_TYPES.items() if side in (None, means))]
    dimensions: Schema = {"type": ["integer", "null"], "minimum": 1}
    width = service.dimension_of(adapter)
    if width is not None:
        dimensions["maximum"] = width
    fields = {
        "model": {"const": name},
        "input": _input(tokens=service.upstream.takes_tokens),
        "input_type": {"enum": words},
        "dimensions": dimensions,
        "encoding_format": {"enum": ["float", "base64", None]},
        "user": {"type": ["string", "null"]},
    }
    return {"type": "object", "properties": fields, "required": needed}


def _input(*, tokens: bool) -> Schema:
    text: Schema = {"type": "string", "pattern": r"\S"}
    forms: list[Schema] = [text, {"type": "array", "items": text, "minItems": 1, "maxItems": MOST_INPUTS}]
    if tokens:
        array = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, "minItems": 1}
        forms += [array, {"type": "array", "items": array, "minItems": 1, "maxItems": MOST_INPUTS}]
    return {"anyOf": forms}


def _object(properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _answer(description: str, schema: Schema, kind: str = _JSON) -> Schema:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _errors(*statuses: int) -> dict[str, Schema]:
    return {str(status): _answer("Error", _ERROR) for status in statuses}


_TEXT_OR_NOTHING: Schema = {"type": ["string", "null"]}
_ERROR = _object(
    {
        "error": _object(
            {"message": {"type": "string"}, "type": {"type": "string"}, "param": _TEXT_OR_NOTHING,
             "code": _TEXT_OR_NOTHING}
        )
    }
)  # fmt: skip
_COUNT: Schema = {"type": "integer", "minimum": 0}
_EMBEDDINGS = _object(
    {
        "object": {"const": "list"},
        "data": {
            "type": "array",
            "items": _object(
                {
                    "object": {"const": "embedding"},
                    "index": _COUNT,
                    "embedding": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "number"}}]},
                }
            ),
        },
        "model": {"type": "string"},
        "usage": _object({"prompt_tokens": _COUNT, "total_tokens": _COUNT}),
    }
)
_MODEL = _object(
    {"id": {"type": "string"}, "object": {"const": "model"}, "created": _COUNT, "owned_by": {"type": "string"}}
)
_HEALTH = _object(
    {
        "status": {"enum": ["ok", "changed"]},
        "upstream": {"type": "string"},
        "shadow": {"type": "boolean"},
        "adapters": {"type": "object"},
    }
)
