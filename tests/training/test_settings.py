import numpy as np

from embertune.training.config import TuneConfig
from embertune.training.settings import settings_of


def test_rows_are_named_by_what_tells_them_apart():
    config = TuneConfig(side="both", maps=("shared", "separate"), pulls=(1.0, 0.1), temperatures=(0.05, 0.03))
    settings = settings_of(config, rank=4, steps=3, seed=0)
    assert len(settings) == 1 + 3 * 2 * 2
    params = settings.params()
    assert params[0] == {}
    assert params[1] == {"side": "query", "maps": "separate", "temperature": 0.05, "pull": 1.0}
    assert params[settings.row(3, 1)] == {"side": "both", "maps": "shared", "temperature": 0.03, "pull": 0.1}
    assert len({tuple(sorted(each.items())) for each in params}) == len(settings)
    alone = settings_of(TuneConfig(side="query", pulls=(1.0,)), rank=None, steps=3, seed=0)
    assert alone.params() == [{}, {"pull": 1.0}]


def test_strengths_go_on_to_the_last_that_has_weight():
    settings = settings_of(TuneConfig(side="both", maps=("shared",), pulls=(1.0, 0.3, 0.1)), rank=None, steps=3, seed=0)
    assert settings.still(np.array([0.5, 0, 0.3, 0, 0, 0, 0])) == [(1.0, 0.3), ()]
    assert settings.spans(np.array([0.5, 0, 0.3, 0.1, 0, 0, 0])) == [slice(1, 3), slice(0, 0)]
    assert settings.until(np.array([0.5, 0, 0.3, 0.1, 0, 0, 0])) == [(1.0, 0.3), ()]
    assert settings.still(np.array([0.0, 0.2, 0.2, 0.2, 0.2, 0, 0.2])) == [(1.0, 0.3, 0.1), (1.0, 0.3, 0.1)]
