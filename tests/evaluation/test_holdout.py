"""The test split is reached through one door, and the door keeps a list."""

import copy
import re
from datetime import UTC, datetime

import pytest

from embertune.errors import ConfigError
from embertune.evaluation.holdout import Holdout


def test_every_opening_is_counted_and_written_down():
    test = ["q1"]
    holdout = Holdout(test)
    assert (holdout.opened, holdout.openings) == (0, ())
    before = datetime.now(UTC).replace(microsecond=0)
    assert holdout.open("tune: final comparison") is test
    assert holdout.open("a second look") is test
    assert holdout.opened == 2
    assert [opening.reason for opening in holdout.openings] == ["tune: final comparison", "a second look"]
    assert all(before <= datetime.fromisoformat(opening.when) <= datetime.now(UTC) for opening in holdout.openings)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_it_stays_shut(reason):
    holdout = Holdout("secret")
    with pytest.raises(
        ConfigError, match=re.escape("The test split opens only with a reason. Type for example: holdout.open(")
    ):
        holdout.open(reason)
    assert holdout.opened == 0


def test_nothing_but_open_shows_the_content_or_moves_the_count():
    holdout = Holdout("secret")
    assert repr(holdout) == "Holdout(opened 0 times)"
    assert "secret" not in [getattr(holdout, name) for name in dir(holdout) if not name.startswith("_")]
    with pytest.raises(AttributeError):
        holdout.opened = 0


def test_a_copy_keeps_the_count():
    holdout = Holdout("secret")
    holdout.open("first")
    assert copy.deepcopy(holdout).opened == 1
