"""What each figure shows, in one sentence computed from the record; also its text for those who cannot see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from embertune.reports.record import Record
from embertune.reports.words import count, params, percent, score, with_interval

__all__ = ["captions", "separation"]


def captions(record: Mapping[str, Any]) -> dict[str, str]:
    """Say what the figures of a record show.

    Args:
        record: A `Record`, or its values.

    Returns:
        A text for each name that `draw_figures` may draw, empty where there is no data.

    Raises:
        ArtifactError: The record is incomplete.

    Example:
        >>> from embertune.reports.record import example_record
        >>> print(captions(example_record())["queries"])
        Of 6 test queries, 2 gain, 3 stay as they are, 1 lose.
    """
    record = Record.of(record)
    said: dict[str, Callable[[Record], str]] = {
        "intervals": _intervals,
        "strength": _strength,
        "training": _training,
        "cosines": _cosines,
        "queries": _queries,
        "candidates": _candidates,
    }
    return {name: say(record) for name, say in said.items()}


def separation(relevant: Sequence[float], irrelevant: Sequence[float]) -> float:
    """Give the probability that a relevant pair has the higher cosine (area under the ROC curve).

    Pairs of one bin count half, so the value is exact up to the width of a bin
    (Hanley & McNeil 1982).

    Args:
        relevant: Counts per bin, ascending.
        irrelevant: Counts per bin, ascending.

    Example:
        >>> separation([0, 0, 4], [2, 2, 0]), separation([1, 1], [1, 1])
        (1.0, 0.5)
    """
    below, won = 0.0, 0.0
    for mine, others in zip(relevant, irrelevant, strict=True):
        won += mine * (below + others / 2)
        below += others
    total = sum(relevant) * below
    return won / total if total else 0.5


def _intervals(record: Record) -> str:
    metric = record["primary"]
    parts = {
        "over all test queries": record,
        "on seen documents": record["groups"]["seen"],
        "on unseen documents": record["groups"]["unseen"],
    }
    if not any(delta["mean"] for part in parts.values() for delta in part["delta"].values()):
        return "No metric changes."
    said = [f"{with_interval(part['delta'][metric])} {where}" for where, part in parts.items() if part["delta"]]
    return f"{metric} changes by {', '.join(said)}. An interval that crosses zero proves no change."


def _strength(record: Record) -> str:
    rows = record.get("strength") or ()
    if not rows:
        return ""
    path = ", ".join(score(row["all"]) for row in rows)
    start = "plain reduction" if (record.get("candidate") or {}).get("output_dimension") else "frozen encoder"
    said = f"Strength 0 is the {start}, 1 is as trained. {record['primary']} of all test queries: {path}"
    best = max(rows, key=lambda row: row["all"])
    if best["all"] > rows[-1]["all"]:
        said += f", highest at {best['strength']:g}"
    if rows[0].get("foreign") is not None:
        said += f"; of other queries, which it is not for, it goes from {score(rows[0]['foreign'])} to "
        said += score(rows[-1]["foreign"])
    return f"{said}. Nothing was chosen by this; a strength picked here has to be judged on new queries."


def _training(record: Record) -> str:
    curve = (record.get("selection") or {}).get("curve") or ()
    said = []
    dev = [(point["dev"], point["step"]) for point in curve if point.get("dev") is not None]
    if dev:
        best = max(dev)
        said.append(
            f"On dev, {record['primary']} goes from {score(dev[0][0])} to {score(dev[-1][0])}"
            + (f" (highest: {score(best[0])} at step {best[1]})" if best[0] > dev[-1][0] else "")
        )
    losses = [point["loss"] for point in curve if point.get("loss") is not None]
    if losses:
        said.append(f"{'the' if dev else 'The'} training loss goes from {losses[0]:.3g} to {losses[-1]:.3g}")
    return f"{'; '.join(said)}. No test query was looked at here." if said else ""


def _cosines(record: Record) -> str:
    cosines = record.get("cosines")
    if not cosines or not sum(cosines["base"]["relevant"]) or not sum(cosines["base"]["irrelevant"]):
        return ""
    before, after = (separation(cosines[at]["relevant"], cosines[at]["irrelevant"]) for at in ("base", "tuned"))
    return (
        f"A relevant pair has a higher cosine than an irrelevant one in {percent(before)} of all cases before, and in "
        f"{percent(after)} after. Each curve sums to 100 %."
    )


def _queries(record: Record) -> str:
    rows = record.get("queries") or ()
    if not rows:
        return ""
    gains = [row["tuned"] - row["base"] for row in rows]
    up, down = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    total = "the one test query" if len(rows) == 1 else f"{count(len(rows))} test queries"
    return f"Of {total}, {up} gain, {len(rows) - up - down} stay as they are, {down} lose."


def _candidates(record: Record) -> str:
    tried = (record.get("selection") or {}).get("candidates") or ()
    heaviest = max(tried, key=lambda one: one["weight"], default=None)
    if heaviest is None:
        return ""
    counted = sum(one["weight"] > 0 for one in tried)
    text = f"{len(tried)} candidates were compared on dev; "
    if counted == 1:
        text += f"chosen: {params(heaviest['params'])} ({score(heaviest['dev'])})"
    else:
        text += (
            f"the adapter is the mean of {counted}, each by its share, most of it {params(heaviest['params'])} "
            f"({score(heaviest['dev'])}, {heaviest['weight']:.0%})"
        )
    nothing = next((one for one in tried if not one["params"]), heaviest)
    if nothing is not heaviest:
        text += f", against {score(nothing['dev'])} for no adapter"
    return f"{text}."
