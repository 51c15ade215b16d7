import re

import pytest

from embertune.errors import ConfigError
from embertune.training.config import EFFORTS, TuneConfig


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        TuneConfig(temperatures=(-1,), folds=1, pulls=(0.1, 0.3), side="documents")
    assert str(caught.value) == (
        "Invalid configuration:\n- folds must be at least 2, got 1\n"
        "- side must be 'query', 'both' or 'auto', got 'documents'\n"
        "- temperatures must be positive, got (-1,)\n- pulls must be positive and falling, got (0.1, 0.3)"
    )


def test_unknown_keyword_is_an_error():
    with pytest.raises(
        ConfigError,
        match=re.escape("There is no setting temprature. The settings are: side, adapter, maps, offsets, gate, pulls,"),
    ):
        TuneConfig.of_effort("fast", temprature=0.1)
    with pytest.raises(ConfigError, match=re.escape("effort must be one of fast, normal, thorough, got 'slow'")):
        TuneConfig.of_effort("slow")


def test_efforts_rise():
    fast, normal, thorough = (EFFORTS[name] for name in ("fast", "normal", "thorough"))
    assert fast.folds < normal.folds < thorough.folds
    assert len(normal.pulls) < len(thorough.pulls)


def test_wide_embeddings_are_adapted_in_a_subspace_unless_a_rank_is_said():
    assert [TuneConfig().rank_of(width) for width in (256, 512, 513, 1536)] == [None, None, 256, 256]
    assert [TuneConfig(rank=64).rank_of(width) for width in (256, 1536)] == [64, 64]
