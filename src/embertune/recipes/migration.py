"""What a migration found: the bridge, its table, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embertune.adapters.bridge import BridgeAdapter
from embertune.encoders.spec import EncoderSpec
from embertune.errors import ArtifactError
from embertune.recipes.bridging import Kept

__all__ = ["METRIC", "Migration", "check_target_space", "decide", "described"]

METRIC = "recall@10"
# What a bridge keeps between two versions of a model family in Drift-Adapter (EMNLP 2025): 95 to 99 %.
_ENOUGH = 0.95


@dataclass(frozen=True, eq=False)
class Migration:
    """A bridge, how much of a full re-embedding it keeps, and what that would cost; printing it gives the table.

    Attributes:
        bridge: The adapter: from the new encoder to the old space ("queries"), or the other way ("index").
        direction: "queries" or "index".
        kept: Recall@10 of the bridge as a share of that of a full re-embedding, with its 95 % interval.
        code: "bridge", "re-embed" or "too-little-data".
        verdict: The same in words.
        record: Everything, JSON-able: both encoders, what was tried, scores of every query, costs.
    """

    bridge: BridgeAdapter
    direction: str
    kept: Kept
    code: str
    verdict: str
    record: dict[str, Any]

    def save(self, folder: str | Path) -> Path:
        """Write the bridge as an artefact, with record.json and a card.

        Raises:
            StorageError: The folder holds something else, or the disk refused.
        """
        return self.bridge.save(folder)

    def to_dict(self) -> dict[str, Any]:
        """Give the record."""
        return self.record

    def __str__(self) -> str:
        """Give the table and the verdict."""
        record = self.record
        scores, judged = record["scores"], record["judged"]
        lines = [
            f"{record['from']} → {record['to']}, {_DIRECTIONS[self.direction]}",
            f"{judged['what']}: {judged['queries']} queries, {judged['documents']} documents",
            f"{'search':<44} {METRIC}",
        ]
        lines += [f"{_SEARCHES[name]:<44} {value:>9.3f}" for name, value in scores.items()]
        lines += [
            f"{'share kept':<44} {self.kept.share:>9.1%}  [{self.kept.low:.1%}, {self.kept.high:.1%}]",
            f"bridge: {described(record['bridge'])}, fitted on {record['sample']['fitted']} texts",
            f"embedding the index again: {record['re-embedding']['words']}",
            self.verdict,
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in record["notes"])])


_DIRECTIONS = {"queries": "the index stays, new queries are mapped", "index": "the index is mapped once"}
_SEARCHES = {
    "old": "old encoder, as it is",
    "bridged": "bridge",
    "full": "new encoder, everything embedded again",
}


def decide(kept: Kept, means: Mapping[str, float], queries: int, price: str) -> tuple[str, str]:
    """Say what to do, by the interval of the share that is kept.

    Args:
        kept: The share.
        means: Recall of "old", "bridged" and "full".
        queries: How many there were.
        price: Of embedding the index again, in words.

    Returns:
        "bridge", "re-embed" or "too-little-data", and the same in words.

    Example:
        >>> decide(Kept(0.97, 0.96, 0.98), {"old": 0.5, "bridged": 0.6, "full": 0.62}, 300, "about $12")[0]
        'bridge'
    """
    measured = f"{kept.share:.1%} [{kept.low:.1%}, {kept.high:.1%}] of its recall@10 over {queries} queries"
    if kept.low >= _ENOUGH:
        code, said = "bridge", f"The bridge does for a full re-embedding ({price}): it keeps {measured}."
    elif kept.high < _ENOUGH:
        code, said = "re-embed", f"Embed the index again ({price}): the bridge keeps {measured}."
    else:
        code, said = (
            "too-little-data",
            (f"Not settled: the bridge keeps {measured}, which may be {_ENOUGH:.0%} or not. Give more queries."),
        )
    old, bridged = means["old"], means["bridged"]
    if bridged <= old:
        until = "there is nothing to gain by the bridge" if code == "bridge" else "stay with it until the index is new"
        said += f" The old encoder by itself finds {old:.3f}, the bridge {bridged:.3f}: {until}."
    return code, said


def described(bridge: Mapping[str, Any]) -> str:
    """Say what a bridge is, by its parameters.

    Example:
        >>> described({"kind": "procrustes"})
        'a rotation'
    """
    if bridge["kind"] == "procrustes":
        return "a rotation"
    pulled = f"pulled to the rotation by {bridge['pull']:g}"
    rank = f" of rank {bridge['rank']}" if bridge["rank"] else ""
    more = f" and a network of {bridge['hidden']} units" if bridge["kind"] == "mlp" else ""
    return f"an affine map{rank}{more}, {pulled}"


def check_target_space(bridge: BridgeAdapter, index: EncoderSpec, name: str = "This bridge") -> None:
    """Refuse a bridge that leads to the space of another encoder than the index was embedded with.

    What it takes is checked where it is put behind an encoder (``encoder | bridge``).

    Args:
        bridge: A fitted bridge; one that does not know its target is checked by dimension alone.
        index: The encoder of the vectors that are searched together with mapped ones.
        name: What to call the bridge in the error, such as its folder.

    Raises:
        ArtifactError: Provider, model, revision, dimension, a prompt or the normalisation differ.

    Example:
        >>> spec = EncoderSpec("openai", "v1", dimension=4)
        >>> import numpy as np
        >>> bridge = BridgeAdapter(target=spec.to_dict()).fit(np.eye(4), np.eye(4))
        >>> check_target_space(bridge, spec)
    """
    dimension = bridge.output_dimension
    found = [f"dimension {dimension} here, {index.dimension} there"] if index.dimension not in (None, dimension) else []
    leads = f"{dimension} dimensions"
    if bridge.target is not None:
        goal = EncoderSpec.from_dict(bridge.target)
        found, leads = goal.differences(index), str(goal)
    if found:
        raise ArtifactError(
            f"{name} leads to {leads}; the index is of {index}: {'; '.join(found)} (here: the bridge, there: the "
            "index). Make one with: embertune migrate --from OLD --to NEW --sample texts.jsonl --out DIR"
        )
