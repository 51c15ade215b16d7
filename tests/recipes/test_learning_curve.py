"""More and more labels, each subset fitted once, whatever interrupts it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from embertune.data.dataset import Dataset
from embertune.errors import ConfigError, DataError
from embertune.evaluation.power_law import Forecast
from embertune.recipes import choosing
from embertune.recipes import learning_curve as module
from embertune.recipes.curve_journal import CurveJournal
from embertune.recipes.learning_curve import learning_curve
from embertune.recipes.tune import tune
from embertune.training.config import TuneConfig


@pytest.fixture(scope="module")
def data():
    words = [f"{kind}{at}" for kind in ("cat", "dog", "owl", "fox") for at in range(32)]
    return Dataset.from_pairs(
        [(f"where is the {word}?", f"home of {word} is number {at}") for at, word in enumerate(words)]
    )


def run(data, **options):
    quick = TuneConfig.of_effort("fast", pulls=(0.1,), folds=2)
    return learning_curve(data, "hashing", sizes=[24, 48], draws=2, effort=quick, **options)


def test_the_curve_ends_where_all_labels_are_and_starts_at_the_frozen_encoder(data, tmp_path):
    curve = run(data, journal=tmp_path / "curve.jsonl")
    assert [(point.size, point.draws) for point in curve.points] == [(24, 2), (48, 2), (103, 1)]
    assert curve.law.at(0) == pytest.approx(curve.base)
    assert [one.size - curve.size for one in curve.forecasts] == [100, 1_000, 10_000]
    rows = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines() if line]
    assert [(row["size"], row["draw"]) for row in rows] == [(0, 0), (24, 0), (24, 1), (48, 0), (48, 1), (103, 0)]
    assert np.mean(rows[0]["scores"]) == pytest.approx(curve.base)
    assert "labels  score  95 % interval" in str(curve)


def test_an_interruption_costs_only_the_subset_that_was_under_way(data, tmp_path, monkeypatch):
    whole = run(data)
    journal, fitted = tmp_path / "curve.jsonl", []
    fit = module._Bench.fit_and_judge

    def fits(bench, size, draw):
        if len(fitted) == 3:
            raise KeyboardInterrupt
        fitted.append((size, draw))
        return fit(bench, size, draw)

    monkeypatch.setattr(module._Bench, "fit_and_judge", fits)
    with pytest.raises(KeyboardInterrupt):
        run(data, journal=journal)
    # kill -9 in the middle of a line.
    with journal.open("a") as file:
        file.write('\n{"key": "sha256:')
    before, fitted = list(fitted), []
    monkeypatch.setattr(module._Bench, "fit_and_judge", lambda bench, *job: fitted.append(job) or fit(bench, *job))
    assert run(data, journal=journal) == whole
    assert (before, fitted) == ([(0, 0), (24, 0), (24, 1)], [(48, 0), (48, 1), (103, 0)])
    fitted.clear()
    assert run(data, journal=journal) == whole
    assert fitted == []
    run(data, journal=journal, seed=1)
    assert len(fitted) == 6, "another seed is another curve"


def test_subsets_are_nested(data, monkeypatch):
    seen = {}

    def choose(pool, folds, config, **options):
        seen.setdefault(len(pool.queries), []).append({row.tobytes() for row in pool.queries})
        return original(pool, folds, config, **options)

    original = choosing.choose
    monkeypatch.setattr(choosing, "choose", choose)
    run(data)
    for draw in range(2):
        assert seen[24][draw] < seen[48][draw] < seen[103][0]
    assert seen[24][0] != seen[24][1]


@pytest.mark.parametrize(
    ("low", "high", "start"),
    [(0.0, 0.004, "Stop labelling: "), (0.02, 0.05, "Go on labelling: "), (0.0, 0.03, "Not settled: ")],
)
def test_the_advice_goes_by_the_interval(data, low, high, start):
    gain = Forecast(192, 0.8, 0.7, 0.9, (low + high) / 2, low, high)
    assert replace(run(data), doubled=gain).advice().startswith(start)


def test_the_page_stands_alone(data, tmp_path):
    page = run(data).save(tmp_path / "new").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "new" / "curve.json").read_text())["points"][0]["size"] == 24
    assert 'id="plot-curve"' in page
    assert not re.search(r'(src|href)="https?:', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sizes": [24]}, "sizes must be two numbers below 103 at least, got [24]"),
        ({"sizes": [4, 24, 9999]}, "all that there are to train on; got [4, 24, 9999]"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
    ],
)
def test_impossible_settings_say_why(data, options, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        learning_curve(data, "hashing", **options)


def test_too_few_labels_for_a_curve_say_how_many_more():
    few = Dataset.from_pairs([(f"question {at}", f"answer {at}") for at in range(50)])
    with pytest.raises(DataError, match=re.escape("Found 40 labelled queries to train on.")):
        learning_curve(few, "hashing")


def test_a_journal_passes_over_what_is_no_line_of_its_own(tmp_path):
    path = tmp_path / "curve.jsonl"
    path.write_text('[]\nnonsense\n{"key": "a"}\n{"key": "other", "size": 1, "draw": 0, "scores": [1]}\n')
    journal = CurveJournal(path, "a")
    assert journal.get(1, 0) is None
    journal.put(1, 0, np.array([0.25]))
    assert CurveJournal(path, "a").get(1, 0).tolist() == [0.25]
    assert CurveJournal(path, "other").get(1, 0).tolist() == [1.0]


def test_with_all_labels_it_fits_what_tune_fits(data):
    quick = TuneConfig.of_effort("fast", pulls=(0.1,), folds=2)
    tuned = tune(data, "hashing", effort=quick)
    judged = tuned.candidate or tuned.adapter
    assert run(data).points[-1].score == pytest.approx(tuned.record["tuned"]["ndcg@10"], abs=1e-6), judged
