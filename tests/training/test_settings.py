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
    assert settings.still(np.array([0.0, 0.2, 0.2, 0.2, 0.2, 0, 0.2])) == [(1.0, 0.3, 0.1), (1.0, 0.3, 0.1)]


def test_strengths_that_are_fitted_on_everything_run_from_the_first_to_the_last_with_weight_or_are_their_mean():
    settings = settings_of(
        TuneConfig(side="both", maps=("shared",), pulls=(1.0, 0.1, 0.01)), rank=None, steps=3, seed=0
    )
    weights, means = np.array([0.2, 0, 0.3, 0.5, 0, 0, 0]), np.arange(7) / 10
    assert settings.spans(weights, means) == [((0.1, 0.01), (0.3, 0.5), (0.2, 0.3)), ((), (), ())]
    (pulls, shares, scores), none = settings.spans(weights, means, once=True)
    assert none == ((), (), ())
    np.testing.assert_allclose([*pulls, *shares, *scores], [10 ** -(1 + 5 / 8), 0.8, (0.06 + 0.15) / 0.8])
