"""Fields of a configuration for a form: names, defaults and the sentences that explain them, read from the class."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from typing import Any, NamedTuple

__all__ = ["Field", "fields_of"]


class Field(NamedTuple):
    """One field."""

    name: str
    default: Any
    meaning: str


def fields_of(config: type[Any]) -> list[Field]:
    """Give the fields of a dataclass with the docstring under each.

    Example:
        >>> from embertune.training.config import TuneConfig
        >>> fields_of(TuneConfig)[-1]
        Field(name='metric', default='ndcg@10', meaning='The metric that decides; the others are reported.')
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    assert isinstance(definition, ast.ClassDef)
    meanings = {}
    for node, after in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            text = after.value.value if isinstance(after.value, ast.Constant) else ""
            meanings[node.target.id] = " ".join(str(text).split())
    return [
        Field(field.name, None if field.default is dataclasses.MISSING else field.default, meanings.get(field.name, ""))
        for field in dataclasses.fields(config)
    ]
