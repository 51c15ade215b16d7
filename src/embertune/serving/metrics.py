"""Counters, gauges and histograms in the text format of Prometheus, written and read by one thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

__all__ = ["Counter", "Gauge", "Histogram", "Metrics"]

# Seconds, from an answer out of the cache to a provider on a bad day.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = tuple[str, ...]


class Counter:
    """A number that only grows, per combination of labels.

    Example:
        >>> counter = Counter("requests_total", "Requests.", ("status",))
        >>> counter.add("200")
        >>> list(counter.lines())[-1]
        'requests_total{status="200"} 1'
    """

    kind = "counter"

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *labels: str, by: float = 1) -> None:
        """Count up."""
        self._values[labels] = self._values.get(labels, 0) + by

    def value(self, *labels: str) -> float:
        """Give what was counted."""
        return self._values.get(labels, 0)

    def lines(self) -> Iterator[str]:
        """Give the lines of the text format."""
        yield from _head(self.name, self.meaning, self.kind)
        for labels, value in sorted(self._values.items()):
            yield f"{self.name}{_braces(self.labels, labels)} {_number(value)}"


class Gauge(Counter):
    """A number that goes up and down."""

    kind = "gauge"

    def set(self, value: float, *labels: str) -> None:
        """Give it a value."""
        self._values[labels] = value


class Histogram:
    """How many observations were at most so large, per combination of labels.

    Example:
        >>> histogram = Histogram("seconds", "Time.")
        >>> histogram.observe(0.003)
        >>> [line for line in histogram.lines() if line.startswith(("seconds_sum", "seconds_count"))]
        ['seconds_sum 0.003', 'seconds_count 1']
    """

    def __init__(self, name: str, meaning: str, labels: Labels = ()) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._values: dict[Labels, tuple[list[int], list[float]]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Add an observation, in seconds."""
        counts, total = self._values.setdefault(labels, ([0] * (len(_BUCKETS) + 1), [0.0]))
        counts[bisect_left(_BUCKETS, value)] += 1
        total[0] += value

    def lines(self) -> Iterator[str]:
        """Give the lines of the text format."""
        yield from _head(self.name, self.meaning, "histogram")
        for labels, (counts, total) in sorted(self._values.items()):
            below = 0
            for bound, count in zip((*map(str, _BUCKETS), "+Inf"), counts, strict=True):
                below += count
                yield f"{self.name}_bucket{_braces((*self.labels, 'le'), (*labels, bound))} {below}"
            braces = _braces(self.labels, labels)
            yield f"{self.name}_sum{braces} {_number(total[0])}"
            yield f"{self.name}_count{braces} {below}"


class Metrics:
    """Everything that a server counts.

    Example:
        >>> metrics = Metrics()
        >>> metrics.requests.add("faq/query", "200")
        >>> 'embertune_requests_total{model="faq/query",status="200"} 1' in metrics.text()
        True
    """

    def __init__(self) -> None:
        self.requests = Counter("embertune_requests_total", "Requests for embeddings.", ("model", "status"))
        self.inputs = Counter("embertune_inputs_total", "Texts in answered requests.", ("model",))
        self.seconds = Histogram("embertune_request_seconds", "Time from request to answer.", ("model",))
        self.hits = Counter("embertune_cache_hits_total", "Texts that were in the cache.")
        self.misses = Counter("embertune_cache_misses_total", "Texts that were not in the cache.")
        self.calls = Counter("embertune_upstream_requests_total", "Requests to the upstream, by status.", ("status",))
        self.call_seconds = Histogram("embertune_upstream_seconds", "Time of a request to the upstream.")
        self.call_inputs = Counter("embertune_upstream_inputs_total", "Texts sent to the upstream.")
        self.tokens = Counter("embertune_upstream_tokens_total", "Tokens that the upstream counted.")
        self.waiting = Gauge("embertune_waiting_inputs", "Texts that wait for the upstream.")
        self.reloads = Counter("embertune_reloads_total", "New versions of an adapter.", ("adapter", "outcome"))
        self.cosine = Gauge("embertune_canary_cosine", "Median cosine of canaries to training.", ("adapter",))
        self.dropped = Counter("embertune_shadow_dropped_total", "Shadow entries that were not written.")

    def text(self) -> str:
        """Give the page for Prometheus."""
        return "".join(f"{line}\n" for metric in vars(self).values() for line in metric.lines())


def _head(name: str, meaning: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _braces(names: Labels, values: Labels) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return f"{value:.15g}"
