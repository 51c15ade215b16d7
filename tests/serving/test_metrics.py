from __future__ import annotations

import pytest

from embertune.serving.metrics import Counter, Gauge, Histogram, Metrics


def test_a_histogram_is_cumulative():
    histogram = Histogram("s", "Seconds.", ("model",))
    for value in (0.0005, 0.001, 0.3, 99):
        histogram.observe(value, "a")
    lines = dict(line.rsplit(" ", 1) for line in histogram.lines() if not line.startswith("#"))
    assert lines['s_bucket{model="a",le="0.001"}'] == "2"
    assert lines['s_bucket{model="a",le="0.25"}'] == "2"
    assert lines['s_bucket{model="a",le="0.5"}'] == "3"
    assert lines['s_bucket{model="a",le="30.0"}'] == "3"
    assert lines['s_bucket{model="a",le="+Inf"}'] == lines['s_count{model="a"}'] == "4"
    assert float(lines['s_sum{model="a"}']) == pytest.approx(99.3015)


def test_labels_are_escaped():
    counter = Counter("c", "Count.", ("name",))
    counter.add('a"b\\c\nd')
    assert list(counter.lines())[-1] == 'c{name="a\\"b\\\\c\\nd"} 1'


def test_a_gauge_is_set():
    gauge = Gauge("g", "Value.", ("adapter",))
    gauge.set(0.5, "a")
    gauge.set(0.25, "a")
    assert list(gauge.lines())[-1] == 'g{adapter="a"} 0.25'


def test_prometheus_reads_the_page():
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus-client is not installed")
    metrics = Metrics()
    metrics.requests.add("faq/query", "200", by=3)
    metrics.seconds.observe(0.02, "faq/query")
    families = {family.name: family for family in parser.text_string_to_metric_families(metrics.text())}
    assert len(families) == len(vars(metrics))
    assert families["embertune_requests"].samples[0].value == 3
    assert families["embertune_requests"].samples[0].labels == {"model": "faq/query", "status": "200"}
    assert families["embertune_request_seconds"].type == "histogram"
