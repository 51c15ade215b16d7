"""Programs of adapters as modules of sentence-transformers, its own where they suffice."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from embertune._optional import require
from embertune.adapters.program import Program
from embertune.integrations.affine import Affine, affine_stages

__all__ = ["Modules"]

_CODE = "sentence_transformers_module.txt"
_FILE = "embertune_adapter.py"


class Modules:
    """Makes modules for a model that is saved to a folder.

    Args:
        folder: Where code goes that the library does not have.

    Attributes:
        library: The modules of sentence-transformers.
        has_code: Whether one was made that the library does not have.
    """

    def __init__(self, folder: Path) -> None:
        purpose = "Writing models of sentence-transformers"
        self.library: Any = require("sentence_transformers.models", extra="sentence-transformers", purpose=purpose)
        self.torch: Any = require("torch", extra="sentence-transformers", purpose=purpose)
        self.folder, self.has_code = folder, False

    def normalize(self) -> Any:
        """Give rows of length 1."""
        return self.library.Normalize()

    def dense(self, matrix: Any, bias: Any) -> Any:
        """Give ``x matrix + bias``; a bias of None is none."""
        weight = self._tensor(matrix.T)
        shift = None if bias is None else self._tensor(bias)
        return self.library.Dense(*matrix.shape, bias is not None, self.torch.nn.Identity(), weight, shift)

    def _tensor(self, array: Any) -> Any:
        return self.torch.tensor(np.ascontiguousarray(array, dtype=np.float32))

    def of(self, program: Program, width: int) -> list[Any]:
        """Give a program of embeddings of some dimension as modules, which may be none."""
        stages = affine_stages(program, width)
        if stages is not None:
            return [self.dense(*stage) if isinstance(stage, Affine) else self.normalize() for stage in stages]
        self.has_code = True
        return [self._own(program)]

    def _own(self, program: Program) -> Any:
        path = self.folder / _FILE
        shutil.copy(Path(__file__).with_name(_CODE), path)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        shapes = {name: list(array.shape) for name, array in program.arrays.items()}
        made = module.EmbertuneAdapter([list(step) for step in program.steps], shapes)
        for name, array in program.arrays.items():
            getattr(made, f"array_{name}").copy_(self._tensor(array))
        return made
