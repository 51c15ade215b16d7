"""The figures are valid plotly, hold the record's numbers, and leave out what has no data."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from embertune.reports.captions import captions, separation
from embertune.reports.figures import draw_figures
from embertune.reports.palette import PALETTES, dark_for_light

ALL = ["candidates", "cosines", "intervals", "queries", "strength", "training"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plotly_accepts_every_figure(record, theme):
    from plotly import graph_objects

    drawn = draw_figures(record, theme)
    assert sorted(drawn) == ALL
    for figure in drawn.values():
        graph_objects.Figure(figure)  # refuses any unknown property or value


def test_figures_are_plain_json_and_themes_differ_in_colours_alone(record):
    light, dark = json.dumps(draw_figures(record)), json.dumps(draw_figures(record, "dark"))
    assert light != dark
    for old, new in dark_for_light().items():
        light = light.replace(old, new)
    assert light == dark


def test_intervals_reach_from_low_to_high(record):
    unseen = draw_figures(record)["intervals"]["data"][2]
    delta = record["groups"]["unseen"]["delta"][record["primary"]]
    assert unseen["name"] == "unseen documents"
    assert unseen["x"][0] == delta["mean"]
    assert unseen["x"][0] + unseen["error_x"]["array"][0] == pytest.approx(delta["high"])
    assert unseen["x"][0] - unseen["error_x"]["arrayminus"][0] == pytest.approx(delta["low"])


def test_a_group_without_queries_has_no_marks(make_record):
    drawn = draw_figures(make_record(unseen=0))["intervals"]["data"]
    assert [trace["name"] for trace in drawn] == ["all test queries", "seen documents"]


def test_the_strength_is_drawn_as_change_from_the_frozen_encoder(record):
    drawn = draw_figures(record)["strength"]["data"]
    assert [trace["name"] for trace in drawn] == [
        "all test queries", "seen documents", "unseen documents", "other queries",
    ]  # fmt: skip
    for trace, name in zip(drawn, ("all", "seen", "unseen", "foreign"), strict=True):
        assert trace["x"] == [0.0, 0.25, 0.5, 0.75, 1.0]
        assert trace["y"] == pytest.approx(
            [row[name] - record["strength"][0][name] for row in record["strength"]], abs=1e-5
        )
    first = record["strength"][2]
    assert drawn[0]["hovertext"][2].startswith(f"all test queries, strength 0.5: {first['all']:.3f} (+")


def test_the_strength_without_a_group_and_without_change(record):
    for row in record["strength"]:
        row["unseen"] = row["foreign"] = None
    assert len(draw_figures(record)["strength"]["data"]) == 2
    for row in record["strength"]:
        row["all"] = row["seen"] = 0.5
    assert "strength" not in draw_figures(record)


def test_every_query_is_a_bar_from_most_gained_to_most_lost(record):
    bars = draw_figures(record)["queries"]["data"][0]
    expected = sorted((row["tuned"] - row["base"] for row in record["queries"]), reverse=True)
    assert bars["y"] == pytest.approx(expected, abs=1e-5)


def test_many_queries_are_thinned_evenly_with_both_ends_kept(make_record):
    record = make_record(queries=5000)
    bars = draw_figures(record)["queries"]["data"][0]
    gains = sorted((row["tuned"] - row["base"] for row in record["queries"]), reverse=True)
    assert len(bars["y"]) == 600
    assert (bars["y"][0], bars["y"][-1]) == (pytest.approx(gains[0], abs=1e-5), pytest.approx(gains[-1], abs=1e-5))


def test_histograms_sum_to_one(record):
    for trace in draw_figures(record)["cosines"]["data"]:
        assert sum(trace["y"]) == pytest.approx(1, abs=1e-3)


def test_the_chosen_candidate_is_never_thinned_out(record):
    tried = [{"params": {"pull": at / 100}, "dev": at / 200, "weight": float(at == 3)} for at in range(100)]
    record["selection"]["candidates"] = [{"params": {}, "dev": 0.0, "weight": 0.0}, *tried]
    plain, chosen = draw_figures(record)["candidates"]["data"]
    assert chosen["x"] == [3 / 200]
    assert 0.0 in plain["x"]  # "no adapter" stays, too


def test_nothing_to_draw_is_not_drawn(degenerate, make_record):
    assert draw_figures(degenerate) == {}
    assert sorted(draw_figures(make_record("no-gain"))) == ["candidates", "cosines", "training"]


def test_a_curve_may_have_gaps_or_one_point(record):
    record["selection"]["curve"] = [{"step": 0, "loss": None, "dev": 0.5}]
    assert "training" not in draw_figures(record)
    record["selection"]["curve"] += [{"step": 1, "loss": 2.0, "dev": None}, {"step": 2, "loss": 1.0, "dev": None}]
    drawn = draw_figures(record)["training"]["data"]
    assert [trace["x"] for trace in drawn] == [[0], [1, 2]]


def test_tags_in_names_are_escaped(record):
    record["queries"][0]["id"] = '<a href="javascript:alert(1)">x</a>'
    record["selection"]["candidates"][1]["params"] = {"<b>": "<i>"}
    text = json.dumps(draw_figures(record))
    assert "<a" not in text
    assert "<i>" not in text


def test_separation_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    relevant, irrelevant = rng.integers(5, 10, 300), rng.integers(0, 9, 500)
    counts = [np.bincount(values, minlength=10).tolist() for values in (relevant, irrelevant)]
    u = stats.mannwhitneyu(relevant, irrelevant).statistic  # ties count half there, too
    assert separation(*counts) == pytest.approx(u / (300 * 500), abs=1e-12)
    assert separation([0, 0], [1, 1]) == 0.5


def test_captions_say_the_numbers(record):
    said = captions(record)
    gains = [row["tuned"] - row["base"] for row in record["queries"]]
    up, down = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    assert said["queries"] == f"Of 200 test queries, {up} gain, {200 - up - down} stay as they are, {down} lose."
    assert said["candidates"] == (
        "6 candidates were compared on dev; chosen: pull 0.03 (0.617), against 0.455 for no adapter."
    )
    assert said["training"].startswith("On dev, ndcg@10 goes from 0.455 to 0.609 (highest: 0.617 at step 48); the")


def test_the_strength_in_words(record):
    values = [0.45, 0.5, 0.58, 0.57, 0.56]
    for row, value in zip(record["strength"], values, strict=True):
        row |= {"all": value, "foreign": 0.95 - value / 10}
    assert captions(record)["strength"] == (
        "Strength 0 is the frozen encoder, 1 is as trained. ndcg@10 of all test queries: 0.450, 0.500, 0.580, 0.570, "
        "0.560, highest at 0.5; of other queries, which it is not for, it goes from 0.905 to 0.894. Nothing was chosen "
        "by this; a strength picked here has to be judged on new queries."
    )
    for row in record["strength"]:
        row |= {"all": row["strength"], "foreign": None}
    assert "0.750, 1.000. Nothing was chosen" in captions(record)["strength"]


def test_captions_of_nothing(degenerate):
    assert captions(degenerate) == {
        "intervals": "No metric changes.",
        **dict.fromkeys(["strength", "training", "cosines", "queries", "candidates"], ""),
    }


def _luminance(color: str) -> float:
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(theme):
    """WCAG 2.2: 4.5 for text, 3 for marks."""
    palette = PALETTES[theme]
    ground = _luminance(palette.ground)
    for name, least in (("ink", 4.5), ("muted", 4.5), ("gain", 4.5), ("loss", 4.5), ("plain", 3), ("zero", 3)):
        light, dark = sorted((ground, _luminance(getattr(palette, name))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= least, name
