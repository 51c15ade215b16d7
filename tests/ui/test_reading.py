"""Where a job stands, read off what it told."""

from __future__ import annotations

from embertune.ui.jobs import Event
from embertune.ui.reading import curve, standing


def step(time, stage, done, total=None, note="", **numbers):
    return Event(time, stage, done, total, note, numbers)


def test_without_events_it_starts():
    assert standing([], 0.0) == ("start", None, None, "")


def test_a_stage_of_unknown_length_has_no_share():
    assert standing([step(0.0, "read data", 0)], 1.0) == ("read data", None, None, "")


def test_time_left_of_a_stage_is_that_of_its_own_steps():
    events = [step(0.0, "embed queries", 100, 100), step(100.0, "embed", 0, 10), step(110.0, "embed", 5, 10)]
    assert standing(events, 110.0).seconds_left == 10.0
    assert standing(events, 114.0).seconds_left == 6.0
    assert standing(events, 200.0).seconds_left == 0.0


def test_parts_are_one_count_over_all_stages():
    events = [step(0.0, "embed", 9, 9), step(10.0, "choose on dev", 0, 4, part=1, parts=2),
              step(20.0, "fit", 4, 4, part=1, parts=2)]  # fmt: skip
    found = standing(events, 20.0)
    assert (found.share, found.seconds_left) == (0.5, 10.0)


def test_the_curve_is_what_dev_said():
    events = [step(0.0, "choose on dev", 0, 4), step(1.0, "choose on dev", 1, 4, frozen=0.2, best=0.3, part=1, parts=2),
              step(2.0, "choose on dev", 1, 4, **{"held-out": 0.4, "part": 2})]  # fmt: skip
    assert curve(events) == [
        (1, 0.2, "without adapter", 1),
        (1, 0.3, "best so far", 1),
        (2, 0.4, "after each epoch, on held-out queries", 2),
    ]
