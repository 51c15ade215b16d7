"""Ship it, or don't: a sentence, a code, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Evidence", "Verdict", "decide"]

Code = Literal["ship", "no-gain", "too-little-data"]

# A change of retrieval quality below one point of the metric is not worth a deployment.
_WORTHWHILE = 0.01
# Below this many test queries a bootstrap interval covers too rarely to be acted on (docs/experiments.md).
_FEWEST_QUERIES = 20
# A group of this many queries can veto on its mean alone; smaller ones only if their whole interval is below zero.
_GROUP_QUERIES = 30
_TOLERATED_LOSS = 0.005
# Queries that the adapter is not for may lose as much as would not count as a gain.
_FOREIGN_LOSS = 0.01
# What helps foreign queries, by whether there is a gate.
_GATES = {
    "no": 'A gate, as with gate="yes", gives queries unlike the training queries the frozen encoder back. ',
    "never": 'With offsets="no" documents stay where they are, and others find what they found. ',
    "yes": "",
}


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on; all figures in the primary metric on the test split.

    Attributes:
        metric: Name of the primary metric.
        base: Mean under the frozen encoder.
        tuned: Mean under the candidate.
        low: Lower end of the interval of the difference.
        high: Upper end.
        p: p value of the difference.
        queries: Number of test queries.
        wins: Queries that gained.
        losses: Queries that lost.
        identity: Whether dev already chose "no adapter".
        note: Why it did, where that can be said; a sentence.
        groups: Per group: {"n", "mean", "low", "high"} of the difference.
        headroom: {"recall@100", "mrr", "reordering"} of the base: what reordering its top 100 could win.
        seeds: The differences under this seed and others, each on its own split where the split is drawn.
        foreign: Of queries that it is not for: {"name", "n", "mean", "low", "high"} of the difference, and whether the
            adapter, or a link of it, has a "gate": "yes", "no", or "never" for one that maps no query; empty without.
        to_settle: How many test queries would settle the sign, if that can be told.
        synthetic: Test queries that nobody asked, by who wrote them; empty where people asked all.
    """

    metric: str
    base: float
    tuned: float
    low: float
    high: float
    p: float
    queries: int
    wins: int
    losses: int
    identity: bool = False
    note: str = ""
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    headroom: Mapping[str, float] = field(default_factory=dict)
    seeds: tuple[float, ...] = ()
    foreign: Mapping[str, Any] = field(default_factory=dict)
    to_settle: int | None = None
    synthetic: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The decision.

    Attributes:
        code: "ship", "no-gain" or "too-little-data".
        sentence: For a person.
        reason: The numbers, in words.
        numbers: The same numbers, as they were given.
    """

    code: Code
    sentence: str
    reason: str
    numbers: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        """Give the sentence and the reason."""
        return f"{self.sentence}\n{self.reason}"


def decide(evidence: Evidence) -> Verdict:
    """Judge a candidate by its evidence on the test split; of the following the first that holds is said.

    * ``ship``: the interval of the difference lies above zero, the test agrees (p < .05), and neither a group
      of queries (seen, unseen) nor foreign queries are harmed.
    * ``no-gain``: dev chose no adapter, or the difference is not positive, or a group or foreign queries are
      harmed, or the interval rules out a gain of one point.
    * ``too-little-data``: the difference is positive, and a worthwhile gain can neither be shown nor
      ruled out with this many queries.

    Args:
        evidence: See `Evidence`.

    Returns:
        The verdict.

    Example:
        >>> evidence = Evidence("ndcg@10", .5, .6, .05, .15, .001, 200, 60, 20)
        >>> decide(evidence).code
        'ship'
    """
    delta = evidence.tuned - evidence.base
    harmed = [name for name, group in evidence.groups.items() if _is_harmed(group)]
    measured = (
        f"{evidence.metric} {evidence.base:.3f} → {evidence.tuned:.3f} ({delta:+.3f}, 95 % interval "
        f"{evidence.low:+.3f} to {evidence.high:+.3f}, p = {evidence.p:.2g}, {evidence.queries} "
        f"{'synthetic ' if evidence.synthetic else ''}test queries)"
    )
    code, sentence = _code(evidence, delta, harmed, measured)
    return Verdict(
        code, sentence, _reason(evidence, harmed), {**asdict(evidence), "seeds": list(evidence.seeds), "delta": delta}
    )


def _code(evidence: Evidence, delta: float, harmed: list[str], measured: str) -> tuple[Code, str]:
    if evidence.queries < _FEWEST_QUERIES:
        return "too-little-data", (
            f"Do not ship this yet: {evidence.queries} test queries are too few to tell; at least {_FEWEST_QUERIES} "
            f"are needed. Measured: {measured}."
        )
    if evidence.identity and evidence.note:
        return "no-gain", f"Do not ship anything: the adapter is the identity. {evidence.note}"
    if evidence.identity:
        return "no-gain", (
            f"Do not ship anything: on dev no adapter beat the frozen encoder ({evidence.metric} {evidence.base:.3f}), "
            "so the adapter is the identity."
        )
    if evidence.low > 0 and evidence.p < 0.05:
        if harmed:
            hurt = f"{' and '.join(harmed)} documents"
            return "no-gain", f"Do not ship this: it helps overall, but harms {hurt}. {measured}."
        if _harms_others(evidence.foreign):
            name, lost = evidence.foreign["name"], -evidence.foreign["mean"]
            advice = _GATES[evidence.foreign["gate"]]
            return "no-gain", (
                "Do not ship this: it helps the queries that it is for, but harms others. "
                f"Those of {name} lose {lost:.3f}. {advice}Less strength, such as candidate.scaled(0.5), takes less "
                f"from them. {measured}."
            )
        return "ship", f"Ship it: {measured}."
    if delta <= 0 or evidence.high < _WORTHWHILE:
        return "no-gain", f"Do not ship this: there is no gain. {measured}."
    return "too-little-data", f"Do not ship this yet: the gain is within the noise. {measured}."


def _is_harmed(group: Mapping[str, float]) -> bool:
    if not group.get("n"):
        return False
    return group["high"] < 0 or (group["n"] >= _GROUP_QUERIES and group["mean"] < -_TOLERATED_LOSS)


def _harms_others(foreign: Mapping[str, Any]) -> bool:
    """Whether queries that it is not for lose much, which few of them can say only with their whole interval."""
    if not foreign or foreign["mean"] >= -_FOREIGN_LOSS:
        return False
    return bool(foreign["high"] < 0 or foreign["n"] >= _GROUP_QUERIES)


def _who_asked(evidence: Evidence) -> list[str]:
    if not evidence.synthetic:
        return []
    made = ", ".join(f"{count} by {name}" for name, count in evidence.synthetic.items())
    return [f"measured on synthetic queries ({made}), so what people ask may gain less or lose"]


def _reason(evidence: Evidence, harmed: list[str]) -> str:
    said = _who_asked(evidence)
    said += [
        f"the change lies between {evidence.low:+.3f} and {evidence.high:+.3f} (95 % interval)",
        f"{evidence.wins} queries gain, {evidence.losses} lose",
    ]
    for name, group in evidence.groups.items():
        if group.get("n"):
            verb = "lose" if name in harmed else "change by"
            said.append(
                f"the {group['n']:.0f} queries on {name} documents {verb} {group['mean']:+.3f} "
                f"[{group['low']:+.3f}, {group['high']:+.3f}]"
            )
    if evidence.foreign:
        other = evidence.foreign
        verb = "lose" if _harms_others(other) else "change by"
        said.append(
            f"the {other['n']} queries of {other['name']}, which it is not for, {verb} {other['mean']:+.3f} "
            f"[{other['low']:+.3f}, {other['high']:+.3f}]"
        )
    if evidence.headroom:
        room = evidence.headroom
        said.append(
            f"the base finds {room['recall@100']:.0%} of the answers in its top 100 at an MRR@100 of "
            f"{room['mrr']:.3f}, so reordering alone could win up to {room['reordering']:+.3f}"
        )
    if len(evidence.seeds) > 1:
        low, high = min(evidence.seeds), max(evidence.seeds)
        same = f"all give {low:+.3f}" if high - low < 5e-4 else f"differ from {low:+.3f} to {high:+.3f}"
        said.append(f"{len(evidence.seeds)} seeds {same}")
    if evidence.to_settle and evidence.to_settle > evidence.queries:
        said.append(
            f"about {evidence.to_settle:,} test queries would settle a difference of this size".replace(",", " ")
        )
    text = "; ".join(said)
    return text[0].upper() + text[1:] + "."
