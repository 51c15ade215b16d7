"""Embertune makes retrieval better on your own data, with any embedding model, and proves it.

What is served, an adapter, is loaded with the package and needs numpy and safetensors alone. Every
other name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from embertune.adapters import (
    BridgeAdapter,
    Chain,
    DocumentAdapter,
    IdentityAdapter,
    LinearAdapter,
    MLPAdapter,
    OrthogonalAdapter,
    TruncationAdapter,
    WhiteningAdapter,
    load_adapter,
)
from embertune.adapters.base import Adapter as BaseAdapter
from embertune.adapters.gate import Gate
from embertune.errors import EmbertuneError

if TYPE_CHECKING:
    from embertune.data.dataset import Dataset, Document
    from embertune.data.demo import demo_dataset
    from embertune.data.io import load_dataset
    from embertune.data.log_config import LogConfig
    from embertune.data.margins import Margins
    from embertune.data.negatives import MiningConfig
    from embertune.data.quality import FilterConfig
    from embertune.data.splits import split_dataset
    from embertune.encoders.adapted import AdaptedEncoder
    from embertune.encoders.base import Encoder
    from embertune.encoders.registry import load_encoder
    from embertune.encoders.scorers import load_scorer
    from embertune.encoders.spec import EncoderSpec
    from embertune.evaluation.evaluate import Evaluation
    from embertune.evaluation.run import Run
    from embertune.integrations.export import export, export_model
    from embertune.integrations.hub import pull, push
    from embertune.recipes.adapter import Adapter
    from embertune.recipes.audit import apply_audit, audit
    from embertune.recipes.doctor import doctor
    from embertune.recipes.evaluate_encoders import compare, evaluate
    from embertune.recipes.filter_data import filter_queries
    from embertune.recipes.finetune_model import finetune
    from embertune.recipes.infer import infer
    from embertune.recipes.inspect_data import inspect
    from embertune.recipes.learning_curve import learning_curve
    from embertune.recipes.migrate import migrate
    from embertune.recipes.mine_negatives import mine_negatives
    from embertune.recipes.pseudo_label import pseudo_label
    from embertune.recipes.rag_dataset import rag_dataset
    from embertune.recipes.result import Result
    from embertune.recipes.synthesize import synthesize
    from embertune.recipes.transform_file import transform
    from embertune.recipes.tune import tune
    from embertune.recipes.update import update
    from embertune.training.config import TuneConfig
    from embertune.training.finetune.config import FinetuneConfig

    __version__: str

__all__ = [
    "AdaptedEncoder",
    "Adapter",
    "BaseAdapter",
    "BridgeAdapter",
    "Chain",
    "Dataset",
    "Document",
    "DocumentAdapter",
    "EmbertuneError",
    "Encoder",
    "EncoderSpec",
    "Evaluation",
    "FilterConfig",
    "FinetuneConfig",
    "Gate",
    "IdentityAdapter",
    "LinearAdapter",
    "LogConfig",
    "MLPAdapter",
    "Margins",
    "MiningConfig",
    "OrthogonalAdapter",
    "Result",
    "Run",
    "TruncationAdapter",
    "TuneConfig",
    "WhiteningAdapter",
    "__version__",
    "apply_audit",
    "audit",
    "compare",
    "demo_dataset",
    "doctor",
    "evaluate",
    "export",
    "export_model",
    "filter_queries",
    "finetune",
    "infer",
    "inspect",
    "learning_curve",
    "load_adapter",
    "load_dataset",
    "load_encoder",
    "load_scorer",
    "migrate",
    "mine_negatives",
    "pseudo_label",
    "pull",
    "push",
    "rag_dataset",
    "split_dataset",
    "synthesize",
    "transform",
    "tune",
    "update",
]

_LAZY = {
    "AdaptedEncoder": "encoders.adapted",
    "Adapter": "recipes.adapter",
    "Dataset": "data.dataset",
    "Document": "data.dataset",
    "Encoder": "encoders.base",
    "EncoderSpec": "encoders.spec",
    "Evaluation": "evaluation.evaluate",
    "FilterConfig": "data.quality",
    "FinetuneConfig": "training.finetune.config",
    "LogConfig": "data.log_config",
    "Margins": "data.margins",
    "MiningConfig": "data.negatives",
    "Result": "recipes.result",
    "Run": "evaluation.run",
    "TuneConfig": "training.config",
    "apply_audit": "recipes.audit",
    "audit": "recipes.audit",
    "compare": "recipes.evaluate_encoders",
    "demo_dataset": "data.demo",
    "doctor": "recipes.doctor",
    "evaluate": "recipes.evaluate_encoders",
    "export": "integrations.export",
    "export_model": "integrations.export",
    "filter_queries": "recipes.filter_data",
    "finetune": "recipes.finetune_model",
    "infer": "recipes.infer",
    "inspect": "recipes.inspect_data",
    "learning_curve": "recipes.learning_curve",
    "load_dataset": "data.io",
    "load_encoder": "encoders.registry",
    "load_scorer": "encoders.scorers",
    "migrate": "recipes.migrate",
    "mine_negatives": "recipes.mine_negatives",
    "pseudo_label": "recipes.pseudo_label",
    "pull": "integrations.hub",
    "push": "integrations.hub",
    "rag_dataset": "recipes.rag_dataset",
    "split_dataset": "data.splits",
    "synthesize": "recipes.synthesize",
    "transform": "recipes.transform_file",
    "tune": "recipes.tune",
    "update": "recipes.update",
}

# Hidden from type checkers, who would otherwise take every misspelt name for an object of unknown type.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used."""
        if name == "__version__":
            value = import_module("importlib.metadata").version("embertune")
        elif name in _LAZY:
            value = getattr(import_module(f"embertune.{_LAZY[name]}"), name)
        else:
            raise AttributeError(f"module 'embertune' has no attribute {name!r}", name=name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return sorted({*globals(), *__all__})
