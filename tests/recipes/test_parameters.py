"""What is no adapter, and parameters that no adapter can have, are refused before anything is embedded."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from embertune.adapters import Chain, DocumentAdapter, IdentityAdapter, LinearAdapter, MLPAdapter, WhiteningAdapter
from embertune.errors import ConfigError
from embertune.recipes.parameters import check_parameters
from embertune.recipes.tune import tune


class Untouched:
    """An encoder that must not be asked."""

    def __init__(self, spec):
        self.spec = spec

    def encode_query(self, texts):
        raise AssertionError("embedded")

    encode_document = encode_query


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("mlp", "adapter must be an adapter, such as embertune.MLPAdapter(), got 'mlp'"),
        (MLPAdapter, "adapter must be an adapter, such as embertune.MLPAdapter(), got <class 'embertune."),
        (MLPAdapter(hidden="abc"), "hidden must be a whole number, got 'abc'"),
        (DocumentAdapter(reach=-1), "reach must be positive, got -1"),
        (Chain([]), "A chain is made of one adapter or more, and there is none."),
        (Chain([LinearAdapter(), MLPAdapter(hidden=0)]), "hidden must be at least 1, got 0"),
    ],
)
def test_refused_before_anything_is_embedded(given, says, learnable, quick):
    untouched = Untouched(learnable.encoder.spec)
    with pytest.raises(ConfigError, match=re.escape(says)):
        tune(learnable.data, untouched, adapter=given)
    with pytest.raises(ConfigError, match=re.escape(says)):
        tune(learnable.data, untouched, effort=replace(quick, adapter=given))


def test_what_can_be_fitted_is_taken():
    class Mine(LinearAdapter):
        """Its parameters are its own affair."""

        type = "test-parameters"

        def __init__(self, words: int = 3) -> None:
            self.words = words

    for given in (
        IdentityAdapter(),
        LinearAdapter(rank=np.int64(3), pull=np.float32(0.5)),
        Chain([WhiteningAdapter(shrinkage=None), LinearAdapter(rank=None, pull=1)]),
        Mine("three"),
    ):
        check_parameters(given)
