"""Foreseeable mistakes as one sentence on the page, in place of a stack trace."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from embertune._optional import require
from embertune.errors import EmbertuneError

__all__ = ["explained", "on_event"]


def explained(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Give an event handler whose `EmbertuneError` is shown as a notice, as text and never as markup.

    Its outputs stay as they are. Gradio's own error would cover them, controls too, until it is closed on each.

    Example:
        >>> explained(lambda: 1)()
        1
    """

    @wraps(handler)
    def told(*values: Any) -> Any:
        try:
            return handler(*values)
        except EmbertuneError as error:
            import html

            gr = require("gradio", extra="ui", purpose="The workbench")
            gr.Warning(html.escape(str(error)), duration=None, title="This did not work")
            return gr.skip()

    return told


def on_event(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Give a handler to which the event itself, with what it tells, comes first, then the inputs.

    Gradio finds out by its annotation which parameter the event is, and has to be asked for the class.
    """
    gr = require("gradio", extra="ui", purpose="The workbench")
    explaining = explained(handler)

    def told(event: Any, *values: Any) -> Any:
        return explaining(event, *values)

    told.__annotations__ = {"event": gr.EventData}
    return told
