"""Floor 7: an OpenAI-compatible server that embeds upstream, adapts and answers."""

from __future__ import annotations

from embertune.serving.app import create_app
from embertune.serving.config import ServeConfig
from embertune.serving.run import serve

__all__ = ["ServeConfig", "create_app", "serve"]
